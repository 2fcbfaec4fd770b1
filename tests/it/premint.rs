//! Pre-minting: the next hour's keys are in the ring before it begins.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hourseal::keys::*;
use hourseal::model::*;

use crate::ring::{Ringed, slots, soon};
use crate::world::{HOUR, command, customer, slot};

const LEAD: Duration = Duration::from_secs(600);
const SECOND: i64 = 1_000;
const NEXT: Hour = HOUR.plus(1);

fn premint(ringed: &Ringed) -> Premint {
    Premint::new(ringed.ring.clone(), LEAD)
}

/// Returns a ring with the keys of these slots, this number of seconds before the next hour.
fn before_next(seconds: i64, capacity: usize, slots: &[Slot]) -> Ringed {
    let ringed = Ringed::with_capacity(capacity);
    ringed.prove();
    ringed.ring.obtain(slots, soon()).expect("it answers");
    ringed.advance(MILLIS_PER_HOUR - seconds * SECOND);
    ringed
}

/// Ticks once per second, and returns the sum.
fn tick(ringed: &Ringed, premint: &mut Premint, seconds: i64) -> Tick {
    let mut sum = Tick::default();
    for _ in 0..seconds {
        let Tick { ready, refused, waiting, why } = premint.tick(soon());
        sum.ready += ready;
        sum.refused += refused;
        sum.waiting += waiting;
        sum.why = sum.why.or(why);
        ringed.advance(SECOND);
    }
    sum
}

fn is_minted(ringed: &Ringed, slot: &Slot) -> bool {
    let world = &ringed.world;
    let found = ringed.runtime.block_on(world.store().fetch(&[world.place(slot)])).expect("it answers");
    found[0].key.is_some()
}

#[test]
fn the_next_hours_keys_are_there_before_it_begins() {
    let ringed = before_next(600, 1_000, &slots(50, HOUR));
    let tick = tick(&ringed, &mut premint(&ringed), 599);
    assert_eq!((tick.ready, tick.refused, tick.waiting), (50, 0, 0));
    assert_eq!((ringed.ring.stats().mint.minted, ringed.entries()), (100, 100));
    assert!(ringed.world.clock.now() < NEXT.start());
}

#[test]
fn at_the_edge_a_lane_asks_the_store_nothing() {
    let ringed = before_next(10, 1_000, &slots(50, HOUR));
    tick(&ringed, &mut premint(&ringed), 10);
    assert_eq!(ringed.world.clock.now(), NEXT.start());
    let fetched = ringed.world.spy.fetched();
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    ringed.ring.obtain(&slots(50, NEXT), soon()).expect("from memory");
    assert_eq!(ringed.world.spy.fetched(), fetched);
}

#[test]
fn nothing_is_asked_for_before_the_lead() {
    let ringed = before_next(610, 1_000, &slots(5, HOUR));
    let mut premint = premint(&ringed);
    tick(&ringed, &mut premint, 10);
    assert_eq!(ringed.entries(), 5);
    tick(&ringed, &mut premint, 5);
    assert_eq!(ringed.entries(), 10);
}

#[test]
fn a_customer_that_was_not_active_is_not_pre_minted() {
    let others = [slot("earlier", HOUR, 0), slot("late", NEXT, 1), slot("early", HOUR.plus(2), 0)];
    let ringed = before_next(0, 1_000, &others);
    ringed.ring.obtain(&[slot("active", NEXT, 0)], soon()).expect("it answers");
    ringed.advance(MILLIS_PER_HOUR - 60 * SECOND);
    assert_eq!(tick(&ringed, &mut premint(&ringed), 60).ready, 1);
    assert!(is_minted(&ringed, &slot("active", HOUR.plus(2), 0)));
    for id in ["earlier", "late"] {
        assert!(!is_minted(&ringed, &slot(id, HOUR.plus(2), 0)), "{id}");
    }
}

#[test]
fn newcomers_are_included() {
    let ringed = before_next(60, 1_000, &slots(5, HOUR));
    let mut premint = premint(&ringed);
    assert_eq!(tick(&ringed, &mut premint, 30).ready, 5);
    ringed.ring.obtain(&[slot("newcomer", HOUR, 0)], soon()).expect("it answers");
    assert_eq!(tick(&ringed, &mut premint, 10).ready, 1);
    assert!(is_minted(&ringed, &slot("newcomer", NEXT, 0)));
}

#[test]
fn two_workers_share_the_work() {
    let ringed = before_next(60, 1_000, &slots(40, HOUR));
    let world = &ringed.world;
    let (clock, runtime) = (world.clock.clone(), ringed.runtime.handle().clone());
    let other = Ring::new(world.mint(), ringed.lease.clone(), clock, 1_000, runtime);
    other.obtain(&slots(40, HOUR), soon()).expect("it answers");
    let (mut here, mut there) = (premint(&ringed), Premint::new(other.clone(), LEAD));
    for _ in 0..60 {
        there.tick(soon());
        tick(&ringed, &mut here, 1);
    }
    let [here, there] = [ringed.ring.stats(), other.stats()];
    assert_eq!((here.entries, there.entries), (80, 80));
    assert_eq!(here.mint.minted + there.mint.minted, 80, "one DEK per slot");
    assert!(here.mint.minted > 40 && there.mint.minted > 0, "each was first somewhere");
}

#[test]
fn without_a_lease_nothing_is_pre_minted() {
    let ringed = before_next(300, 1_000, &slots(5, HOUR));
    for clock in [&ringed.world.clock, &ringed.world.store_clock] {
        clock.advance(60 * SECOND);
    }
    let mut premint = premint(&ringed);
    let asked = premint.tick(soon());
    assert_eq!((asked.ready, asked.waiting, ringed.world.spy.fetched()), (0, 0, 5));
    ringed.prove();
    assert_eq!(tick(&ringed, &mut premint, 10).ready, 5, "it goes on with the lease");
}

#[test]
fn a_store_that_is_away_is_asked_again() {
    let ringed = before_next(60, 1_000, &slots(5, HOUR));
    let mut premint = premint(&ringed);
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    let away = tick(&ringed, &mut premint, 3);
    assert_eq!((away.ready, away.waiting), (0, 3));
    assert_eq!(away.why.expect("a reason").cause(), Cause::Store);
    ringed.world.spy.away.store(false, Ordering::SeqCst);
    assert_eq!(tick(&ringed, &mut premint, 10).ready, 5);
}

#[test]
fn a_full_ring_is_left_alone() {
    let slots = slots(10, HOUR);
    let ringed = before_next(60, 10, &slots);
    let tick = tick(&ringed, &mut premint(&ringed), 60);
    assert_eq!((tick.ready, tick.waiting, ringed.entries()), (0, 0, 10));
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    ringed.ring.obtain(&slots, soon()).expect("every key of before is still there");
}

#[test]
fn a_ring_is_filled_to_the_brim_and_not_beyond() {
    let slots = slots(10, HOUR);
    let ringed = before_next(60, 14, &slots);
    assert_eq!(tick(&ringed, &mut premint(&ringed), 60).ready, 4);
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    ringed.ring.obtain(&slots, soon()).expect("every key of before is still there");
}

#[test]
fn keys_that_are_spent_make_room() {
    let ringed = before_next(0, 10, &slots(6, HOUR));
    ringed.advance(MILLIS_PER_HOUR);
    let now = slots(4, HOUR.plus(2));
    ringed.ring.obtain(&now, soon()).expect("it answers");
    ringed.advance(MILLIS_PER_HOUR - 60 * SECOND);
    assert_eq!(ringed.entries(), 10, "full");
    assert_eq!(tick(&ringed, &mut premint(&ringed), 60).ready, 4);
    assert_eq!(ringed.entries(), 8);
}

#[test]
fn it_is_bounded_per_tick() {
    let ringed = before_next(1, 10_000, &slots(Premint::MOST + 500, HOUR));
    let mut premint = premint(&ringed);
    assert_eq!(premint.tick(soon()).ready, Premint::MOST as u64, "though the hour ends");
    assert_eq!(ringed.world.spy.fetches.lock().expect("not poisoned").last(), Some(&Premint::MOST));
}

#[test]
fn who_is_forgotten_gets_no_key_and_is_asked_for_once() {
    let ringed = before_next(60, 1_000, &slots(5, HOUR));
    let gone = customer("customer 3");
    ringed
        .runtime
        .block_on(ringed.world.store().close_customer(ringed.world.store().token(&gone)))
        .expect("it answers");
    let fetched = ringed.world.spy.fetched();
    let tick = tick(&ringed, &mut premint(&ringed), 60);
    assert_eq!((tick.ready, tick.refused), (4, 1));
    assert_eq!(ringed.world.spy.fetched() - fetched, 5);
}

#[test]
fn a_receipt_evicts_what_was_pre_minted() {
    let ringed = before_next(60, 1_000, &slots(2, HOUR));
    tick(&ringed, &mut premint(&ringed), 60);
    let slot = slot("customer 0", NEXT, 0);
    ringed.runtime.block_on(ringed.world.erase(&slot, command(1)));
    ringed.ring.evict(ringed.world.place(&slot).token, NEXT, NEXT);
    assert!(matches!(ringed.obtain(&slot), Obtained::Erased));
}

#[test]
fn who_is_wanting_is_listed_every_five_seconds() {
    let ringed = before_next(20, 1_000, &slots(1, HOUR));
    let mut premint = premint(&ringed);
    while premint.tick(soon()).ready == 0 {
        ringed.advance(SECOND);
    }
    ringed.advance(5 * SECOND);
    premint.tick(soon());
    ringed.ring.obtain(&[slot("newcomer", HOUR, 0)], soon()).expect("it answers");
    ringed.advance(5 * SECOND - 1);
    assert_eq!(premint.tick(soon()).ready, 0, "the list is not old enough");
    ringed.advance(1);
    assert_eq!(premint.tick(soon()).ready, 1);
}

#[test]
fn keys_on_their_way_have_their_place() {
    let ringed = before_next(1, 14, &slots(10, HOUR));
    let hindrance = ringed.runtime.block_on(ringed.world.spy.held_up.write());
    let others: Vec<_> = (0..3).map(|n| slot(&format!("other {n}"), HOUR, 0)).collect();
    std::thread::scope(|scope| {
        let lane = scope.spawn(|| ringed.ring.obtain(&others, soon()).map(drop));
        while ringed.ring.stats().misses < 13 {
            std::thread::yield_now();
        }
        let tick = premint(&ringed).tick(std::time::Instant::now());
        assert_eq!((tick.ready, tick.waiting), (0, 1), "14 less 10 that are here and 3 on their way");
        drop(hindrance);
        lane.join().expect("it ends").expect("it answers");
    });
}
