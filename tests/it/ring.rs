//! The ring: keys in memory, under a lease. Each is fetched once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use hourseal::keys::*;
use hourseal::model::*;
use tokio::runtime::Runtime;

use crate::world::{HOUR, World, command, key, slot};

const FLIGHT: usize = Ring::FLIGHT_SLOTS;

/// A ring over a watched store. Tests are plain threads, like lanes.
pub struct Ringed {
    pub world: World,
    pub lease: Arc<Lease>,
    pub ring: Ring,
    pub runtime: Runtime,
}

impl Ringed {
    pub fn new() -> Self {
        Self::with_capacity(1_000)
    }

    pub fn with_capacity(capacity: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (runtime, world) = (runtime.expect("a runtime"), World::new());
        let lease = Arc::new(Lease::new(60_000, 60_000));
        let handle = runtime.handle().clone();
        let ring = Ring::new(world.mint(), lease.clone(), world.clock.clone(), capacity, handle);
        Self { world, lease, ring, runtime }
    }

    /// Creates a ring with a lease that was just proven.
    pub fn leased() -> Self {
        let ringed = Self::new();
        ringed.prove();
        ringed
    }

    pub fn prove(&self) {
        self.lease.prove(self.world.clock.boot_ms());
    }

    pub fn obtain(&self, slot: &Slot) -> Obtained {
        self.try_obtain(slot).expect("it answers")
    }

    fn try_obtain(&self, slot: &Slot) -> Result<Obtained, Waiting> {
        let obtained = self.ring.obtain(std::slice::from_ref(slot), soon())?;
        Ok(obtained.into_iter().next().expect("one answer"))
    }

    pub fn key_id(&self, slot: &Slot) -> KeyId {
        key(&self.obtain(slot)).seal.key_id()
    }

    /// Moves every clock, and proves the lease again.
    pub fn advance(&self, milliseconds: i64) {
        for clock in [&self.world.clock, &self.world.store_clock] {
            clock.advance(milliseconds);
        }
        self.prove();
    }

    /// Waits until this number of keys is in memory.
    fn until_entries(&self, count: usize) {
        while self.entries() < count as u64 {
            std::thread::yield_now();
        }
    }

    pub fn entries(&self) -> u64 {
        self.ring.stats().entries
    }
}

/// Returns this number of slots in this hour, each of another customer.
pub fn slots(count: usize, hour: Hour) -> Vec<Slot> {
    (0..count).map(|n| slot(&format!("customer {n}"), hour, 0)).collect()
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn sixteen_lanes_that_need_one_slot_ask_and_mint_once() {
    let ringed = Ringed::leased();
    let hindrance = ringed.runtime.block_on(ringed.world.spy.held_up.write());
    let (slot, barrier) = (slot("acme", HOUR, 0), Barrier::new(17));
    std::thread::scope(|scope| {
        let lane = || {
            barrier.wait();
            ringed.key_id(&slot)
        };
        let lanes: Vec<_> = (0..16).map(|_| scope.spawn(lane)).collect();
        barrier.wait();
        while ringed.ring.stats().misses < 16 {
            std::thread::yield_now();
        }
        drop(hindrance);
        let key_ids: Vec<_> = lanes.into_iter().map(|lane| lane.join().expect("it ends")).collect();
        assert!(key_ids.iter().all(|key_id| *key_id == key_ids[0]));
    });
    let stats = ringed.ring.stats();
    assert_eq!((stats.mint.minted, stats.mint.adopted, stats.misses, stats.entries), (1, 0, 16, 1));
    assert_eq!(ringed.world.spy.fetched(), 1);
}

#[test]
fn under_a_lease_a_known_slot_asks_nobody() {
    let ringed = Ringed::leased();
    let slots = [slot("acme", HOUR, 0), slot("ajax", HOUR, 0), slot("acme", HOUR, 0)];
    let first = ringed.ring.obtain(&slots, soon()).expect("it answers");
    assert_eq!(ringed.world.spy.fetched(), 2, "a slot twice in a batch is asked for once");
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    let again = ringed.ring.obtain(&slots, soon()).expect("from memory");
    for (one, other) in first.iter().zip(&again) {
        assert!(Arc::ptr_eq(key(one), key(other)));
    }
    assert!(Arc::ptr_eq(key(&first[0]), key(&first[2])));
    assert_eq!((ringed.ring.stats().hits, ringed.ring.stats().misses), (3, 3));
}

#[test]
fn answers_come_in_the_order_asked() {
    let ringed = Ringed::leased();
    let slots: Vec<_> = (0..40).map(|hour| slot("acme", HOUR.plus(hour), 0)).collect();
    let key_ids: Vec<_> = slots.iter().step_by(2).map(|slot| ringed.key_id(slot)).collect();
    let obtained = ringed.ring.obtain(&slots, soon()).expect("it answers");
    let even: Vec<_> = obtained.iter().step_by(2).map(|it| key(it).seal.key_id()).collect();
    assert_eq!(even, key_ids);
    for (slot, obtained) in slots.iter().zip(&obtained) {
        assert_eq!(ringed.key_id(slot), key(obtained).seal.key_id());
    }
}

#[test]
fn without_a_lease_the_store_is_asked_each_time_and_nothing_is_kept() {
    let ringed = Ringed::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = ringed.key_id(&slot);
    assert_eq!(ringed.key_id(&slot), key_id);
    assert_eq!((ringed.world.spy.fetched(), ringed.entries()), (2, 0));
}

#[test]
fn when_the_lease_is_over_the_store_is_asked_again() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    ringed.key_id(&slot);
    for clock in [&ringed.world.clock, &ringed.world.store_clock] {
        clock.advance(60_000);
    }
    ringed.runtime.block_on(ringed.world.erase(&slot, command(1)));
    assert!(matches!(ringed.obtain(&slot), Obtained::Erased), "memory was not believed");
    assert_eq!((ringed.world.spy.fetched(), ringed.entries()), (2, 0), "and what it held is gone");
}

#[test]
fn a_proof_makes_memory_good_again() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    ringed.key_id(&slot);
    for clock in [&ringed.world.clock, &ringed.world.store_clock] {
        clock.advance(60_000);
    }
    ringed.prove();
    ringed.key_id(&slot);
    assert_eq!(ringed.world.spy.fetched(), 1);
}

#[test]
fn a_receipt_evicts_its_hours() {
    let ringed = Ringed::leased();
    let slots =
        [slot("acme", HOUR, 0), slot("acme", HOUR, 3), slot("acme", HOUR.plus(1), 0), slot("ajax", HOUR, 0)];
    ringed.ring.obtain(&slots, soon()).expect("it answers");
    ringed.runtime.block_on(ringed.world.erase(&slots[0], command(1)));
    assert_eq!(ringed.ring.evict(ringed.world.place(&slots[0]).token, HOUR, HOUR), 2);
    assert_eq!(ringed.entries(), 2);
    let obtained = ringed.ring.obtain(&slots, soon()).expect("it answers");
    let erased: Vec<_> = obtained.iter().map(|it| matches!(it, Obtained::Erased)).collect();
    assert_eq!(erased, [true, true, false, false]);
}

#[test]
fn an_answer_older_than_a_receipt_is_not_kept() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    ringed
        .runtime
        .block_on(ringed.world.mint().obtain(std::slice::from_ref(&slot), HOUR.start()))
        .expect("minted");
    let before = ringed.world.spy.fetched();
    let hindrance = ringed.runtime.block_on(ringed.world.spy.held_up.write());
    std::thread::scope(|scope| {
        let lane = scope.spawn(|| ringed.obtain(&slot));
        while ringed.world.spy.fetched() == before {
            std::thread::yield_now();
        }
        // The store has answered "live". Now the key is erased, and the receipt arrives before the answer.
        ringed.runtime.block_on(ringed.world.erase(&slot, command(1)));
        ringed.ring.evict(ringed.world.place(&slot).token, HOUR, HOUR);
        drop(hindrance);
        lane.join().expect("it ends");
    });
    assert_eq!(ringed.entries(), 0);
    assert!(matches!(ringed.obtain(&slot), Obtained::Erased));
}

#[test]
fn a_key_in_memory_is_known_even_if_it_may_not_be_used() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    assert!(!ringed.ring.has(&slot));
    ringed.key_id(&slot);
    ringed.advance(120_000);
    assert!(ringed.ring.has(&slot), "the lease is over");
    ringed.ring.clear();
    assert!(!ringed.ring.has(&slot));
}

#[test]
fn clearing_forgets_everything() {
    let ringed = Ringed::leased();
    ringed.key_id(&slot("acme", HOUR, 0));
    ringed.ring.clear();
    assert_eq!(ringed.entries(), 0);
}

#[test]
fn a_cached_key_stops_sealing_when_it_is_due() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    ringed.key_id(&slot);
    for clock in [&ringed.world.clock, &ringed.world.store_clock] {
        clock.advance(25 * MILLIS_PER_HOUR);
    }
    ringed.prove();
    assert!(matches!(ringed.obtain(&slot), Obtained::Expired));
    assert_eq!(ringed.entries(), 0);
}

#[test]
fn memory_is_bounded() {
    let ringed = Ringed::with_capacity(10);
    ringed.prove();
    for hour in 0..20 {
        let slots: Vec<_> = ["a", "b", "c"].map(|id| slot(id, HOUR.plus(hour), 0)).into();
        ringed.ring.obtain(&slots, soon()).expect("it answers");
        assert!(ringed.entries() <= 10);
    }
    assert_eq!(ringed.entries(), 10);
}

#[test]
fn a_store_that_is_away_keeps_lanes_waiting_with_its_reason() {
    let ringed = Ringed::leased();
    ringed.world.spy.away.store(true, Ordering::SeqCst);
    let waiting = ringed.try_obtain(&slot("Jane Doe", HOUR, 0)).err().expect("away");
    assert_eq!(waiting.cause(), Cause::Store);
    assert!(waiting.reason().contains("away") && waiting.reason().len() <= Waiting::MAX_REASON);
    assert!(!format!("{waiting} {waiting:?}").contains("Jane"));
    ringed.world.spy.away.store(false, Ordering::SeqCst);
    ringed.key_id(&slot("Jane Doe", HOUR, 0));
}

#[test]
fn clocks_that_disagree_keep_lanes_waiting() {
    let ringed = Ringed::leased();
    ringed.world.store_clock.advance(31_000);
    let waiting = ringed.try_obtain(&slot("acme", HOUR, 0)).err().expect("apart");
    assert_eq!(waiting.cause(), Cause::Clocks);
}

#[test]
fn an_answer_that_comes_after_the_deadline_is_there_for_the_next_call() {
    let ringed = Ringed::leased();
    let slot = slot("acme", HOUR, 0);
    let hindrance = ringed.runtime.block_on(ringed.world.spy.held_up.write());
    for _ in 0..3 {
        let late = ringed.ring.obtain(std::slice::from_ref(&slot), Instant::now() + Duration::from_millis(5));
        assert_eq!(late.err().expect("held up").cause(), Cause::Deadline);
    }
    drop(hindrance);
    ringed.key_id(&slot);
    assert_eq!(ringed.world.spy.fetched(), 1, "asked once in all");
}

#[test]
fn a_runtime_that_ends_leaves_no_lane_hanging() {
    let ringed = Ringed::leased();
    let runtime = Runtime::new().expect("a runtime");
    let (mint, handle) = (ringed.world.mint(), runtime.handle().clone());
    let ring = Ring::new(mint, ringed.lease.clone(), ringed.world.clock.clone(), 10, handle);
    let _hindrance = ringed.runtime.block_on(ringed.world.spy.held_up.write());
    std::thread::scope(|scope| {
        let lane = scope.spawn(|| ring.obtain(&[slot("acme", HOUR, 0)], soon()));
        while ringed.world.spy.fetched() == 0 {
            std::thread::yield_now();
        }
        runtime.shutdown_background();
        let waiting = lane.join().expect("it ends").err().expect("no answer");
        assert_eq!(waiting.cause(), Cause::Store);
    });
}

#[test]
fn a_burst_of_many_slots_lands_in_flights_that_each_are_bounded() {
    let ringed = Ringed::with_capacity(10 * FLIGHT);
    ringed.prove();
    let slots = slots(4 * FLIGHT + FLIGHT / 2, HOUR);
    let obtained = ringed.ring.obtain(&slots, soon()).expect("it answers");
    assert!(obtained.iter().all(|it| matches!(it, Obtained::Key(_))));
    let mut fetches = ringed.world.spy.fetches.lock().expect("not poisoned").clone();
    fetches.sort_unstable();
    assert_eq!(fetches, [FLIGHT / 2, FLIGHT, FLIGHT, FLIGHT, FLIGHT]);
    assert!(ringed.world.spy.most_flying() <= Ring::FLIGHTS as u64);
}

#[test]
fn what_has_landed_before_a_deadline_is_there_for_the_next_call() {
    let ringed = Ringed::with_capacity(10 * FLIGHT);
    ringed.prove();
    let slots = slots(3 * FLIGHT, HOUR);
    ringed.world.spy.answer_only(2);
    let late = ringed.ring.obtain(&slots, Instant::now());
    assert_eq!(late.err().expect("two of three flights").cause(), Cause::Deadline);
    ringed.until_entries(2 * FLIGHT);
    let misses = ringed.ring.stats().misses;
    ringed.ring.obtain(&slots, Instant::now()).err().expect("the third is still held up");
    assert_eq!(ringed.ring.stats().misses - misses, FLIGHT as u64, "the others are in memory");
    ringed.world.spy.answer_only(1);
    ringed.ring.obtain(&slots, soon()).expect("it answers");
    assert_eq!(ringed.world.spy.fetched(), 3 * FLIGHT as u64, "asked once in all");
}

#[test]
fn a_flight_that_waited_for_the_runway_goes_by_the_time_of_its_take_off() {
    let ringed = Ringed::with_capacity(10 * FLIGHT);
    ringed.prove();
    let slots = slots(3 * FLIGHT, HOUR);
    ringed.world.spy.answer_only(0);
    assert!(ringed.ring.obtain(&slots, Instant::now()).is_err());
    while ringed.world.spy.fetched() < 2 * FLIGHT as u64 {
        std::thread::yield_now();
    }
    ringed.advance(40_000);
    ringed.world.spy.answer_only(9);
    ringed.ring.obtain(&slots[2 * FLIGHT..], soon()).expect("40 s later, and no clocks apart");
}

#[test]
fn a_receipt_takes_its_slots_out_of_flights_that_have_not_taken_off() {
    let ringed = Ringed::with_capacity(10 * FLIGHT);
    ringed.prove();
    let slots = slots(3 * FLIGHT, HOUR);
    let last = slots.last().expect("many");
    ringed.world.spy.answer_only(0);
    assert!(ringed.ring.obtain(&slots, Instant::now()).is_err());
    ringed.ring.evict(ringed.world.place(last).token, HOUR, HOUR);
    ringed.world.spy.answer_only(9);
    ringed.until_entries(3 * FLIGHT - 1);
    assert_eq!(ringed.ring.stats().mint.minted, 3 * FLIGHT as u64, "asked for");
    assert_eq!(ringed.entries(), 3 * FLIGHT as u64 - 1, "and not kept");
}

#[test]
fn without_a_lease_a_call_is_one_flight_for_those_that_come_again() {
    let ringed = Ringed::new();
    let slots = slots(2 * FLIGHT, HOUR);
    ringed.world.spy.answer_only(0);
    assert!(ringed.ring.obtain(&slots, Instant::now()).is_err());
    ringed.world.spy.answer_only(1);
    ringed.ring.obtain(&slots, soon()).expect("it answers");
    assert_eq!(*ringed.world.spy.fetches.lock().expect("not poisoned"), [2 * FLIGHT]);
}

#[test]
fn a_customers_token_is_computed_once() {
    let ringed = Ringed::leased();
    for hour in 0..3 {
        ringed.ring.obtain(&slots(4, HOUR.plus(hour)), soon()).expect("it answers");
    }
    let before = ringed.world.spy.tokens.load(Ordering::SeqCst);
    ringed.ring.obtain(&slots(4, HOUR), soon()).expect("from memory");
    assert_eq!(ringed.world.spy.tokens.load(Ordering::SeqCst), before);
}
