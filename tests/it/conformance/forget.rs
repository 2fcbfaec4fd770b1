//! Claims on forgetting.

use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::{Subject, candidate, found, mint_one, won};
use crate::world::{HOUR, command, customer};

const DUE: Due = Due(HOUR.0 + 25);

fn hold(store: &dyn Store, id: &[u8], customer_id: &str, from: u32, to: u32) -> Hold {
    let token = store.token(&customer(customer_id));
    Hold { id: HoldId(id.to_vec()), token, from: HOUR.plus(from), to: HOUR.plus(to) }
}

async fn fence(store: &dyn Store, token: Token, hour: Hour) -> Fence {
    store.fence(token, hour, DUE, command(1)).await.expect("it answers")
}

async fn erase(store: &dyn Store, token: Token, hour: Hour) -> Erasure {
    store.erase(token, hour, command(1), HOUR.plus(30).start()).await.expect("it answers")
}

/// Fences and erases, and returns the rows.
async fn forget(store: &dyn Store, token: Token, hour: Hour) -> Vec<KeyRow> {
    assert_eq!(fence(store, token, hour).await, Fence::Fenced);
    match erase(store, token, hour).await {
        Erasure::Erased(rows) => rows,
        other => panic!("{other:?}"),
    }
}

async fn is_fenced(store: &dyn Store, id: &str, hour: Hour, generation: u16) -> bool {
    matches!(mint_one(store, &candidate(store, id, hour, generation)).await, Minted::Fenced(_))
}

pub async fn a_fenced_hour_mints_nothing_in_any_generation(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    assert_eq!(fence(&*store, token, HOUR).await, Fence::Fenced);
    for generation in [0, 1, 2, 25, u16::MAX] {
        assert!(is_fenced(&*store, "acme", HOUR, generation).await, "generation {generation}");
    }
}

pub async fn an_hour_that_never_had_a_key_is_fenced_too(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = candidate(&*store, "acme", HOUR, 0).slot;
    assert_eq!(fence(&*store, slot.token, HOUR).await, Fence::Fenced);
    for generation in [0, 1, u16::MAX] {
        assert!(is_fenced(&*store, "acme", HOUR, generation).await, "generation {generation}");
    }
    let gate = found(&*store, slot).await.gate.expect("a gate");
    assert_eq!((gate.due, gate.kek, gate.fenced), (DUE, None, true));
    assert_eq!(gate.command, Some(command(1)));
}

pub async fn a_fence_outlives_reopening(subject: &impl Subject) {
    let token = won(&*subject.open().await, "acme", HOUR, 0).await.slot.token;
    fence(&*subject.open().await, token, HOUR).await;
    fence(&*subject.open().await, token, HOUR.plus(1)).await;
    let store = subject.open().await;
    assert!(is_fenced(&*store, "acme", HOUR, 1).await);
    assert!(is_fenced(&*store, "acme", HOUR.plus(1), 0).await);
}

pub async fn fencing_again_keeps_the_first_command(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    fence(&*store, slot.token, HOUR).await;
    let again = store.fence(slot.token, HOUR, Due(DUE.0 + 9), command(2)).await.expect("it answers");
    assert_eq!(again, Fence::Fenced);
    let gate = found(&*store, slot).await.gate.expect("a gate");
    assert_eq!((gate.due, gate.command), (DUE, Some(command(1))));
}

pub async fn a_fence_touches_no_other_hour(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    fence(&*store, token, HOUR).await;
    won(&*store, "acme", HOUR.plus(1), 0).await;
    won(&*store, "ajax", HOUR, 0).await;
}

pub async fn nothing_is_minted_after_a_fence_that_races(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let mut tasks = JoinSet::new();
    for generation in 1..40 {
        let store = subject.open().await;
        tasks.spawn(async move { mint_one(&*store, &candidate(&*store, "acme", HOUR, generation)).await });
    }
    fence(&*store, token, HOUR).await;
    let keys = async || store.hours(token, HOUR, HOUR).await.expect("it answers").remove(0).keys;
    let when_fenced = keys().await;
    let won = tasks.join_all().await.iter().filter(|minted| **minted == Minted::Won).count();
    assert_eq!(keys().await, when_fenced);
    assert_eq!(when_fenced.len(), won + 1);
}

pub async fn a_hold_forbids_the_fence(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    let held = hold(&*store, b"case 7", "acme", 0, 5);
    assert_eq!(store.place_hold(&held).await.expect("it answers"), Placed::InForce);
    assert_eq!(fence(&*subject.open().await, slot.token, HOUR).await, Fence::Held(held.id.clone()));
    let gate = found(&*store, slot).await.gate.expect("a gate");
    assert_eq!((gate.fenced, gate.hold), (false, Some(held.id)));
}

pub async fn a_hold_forbids_erasing_what_was_fenced_before(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    fence(&*store, slot.token, HOUR).await;
    let held = hold(&*store, b"case 7", "acme", 0, 0);
    store.place_hold(&held).await.expect("it answers");
    assert_eq!(erase(&*store, slot.token, HOUR).await, Erasure::Held(held.id));
    assert_eq!(found(&*store, slot).await.key.expect("a key").state, KeyState::Live);
}

pub async fn a_hold_waits_for_hours_that_come_later(subject: &impl Subject) {
    let store = subject.open().await;
    let held = hold(&*store, b"case 7", "acme", 0, 5);
    store.place_hold(&held).await.expect("it answers");
    assert_eq!(
        fence(&*store, held.token, HOUR.plus(4)).await,
        Fence::Held(held.id.clone()),
        "without a gate"
    );
    won(&*store, "acme", HOUR.plus(5), 0).await;
    assert_eq!(fence(&*store, held.token, HOUR.plus(5)).await, Fence::Held(held.id));
}

pub async fn a_hold_does_not_stop_minting(subject: &impl Subject) {
    let store = subject.open().await;
    won(&*store, "acme", HOUR, 0).await;
    store.place_hold(&hold(&*store, b"case 7", "acme", 0, 5)).await.expect("it answers");
    won(&*store, "acme", HOUR, 1).await;
    won(&*store, "acme", HOUR.plus(3), 0).await;
}

pub async fn a_released_hold_forbids_nothing(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let held = hold(&*store, b"case 7", "acme", 0, 5);
    store.place_hold(&held).await.expect("it answers");
    won(&*store, "acme", HOUR.plus(1), 0).await;
    store.release_hold(&held.id).await.expect("it answers");
    store.release_hold(&held.id).await.expect("releasing again is no error");
    for hour in 0..4 {
        assert_eq!(fence(&*store, token, HOUR.plus(hour)).await, Fence::Fenced, "hour {hour}");
    }
}

pub async fn an_hour_under_two_holds_stays_held_until_both_are_released(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let (first, second) = (hold(&*store, b"case 7", "acme", 0, 0), hold(&*store, b"case 8", "acme", 0, 9));
    store.place_hold(&first).await.expect("it answers");
    store.place_hold(&second).await.expect("it answers");
    store.release_hold(&first.id).await.expect("it answers");
    assert_eq!(fence(&*store, token, HOUR).await, Fence::Held(second.id.clone()));
    store.release_hold(&second.id).await.expect("it answers");
    assert_eq!(fence(&*store, token, HOUR).await, Fence::Fenced);
}

pub async fn a_holds_id_is_not_used_for_another(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR.plus(9), 0).await.slot.token;
    let held = hold(&*store, b"case 7", "acme", 0, 5);
    store.place_hold(&held).await.expect("it answers");
    assert_eq!(store.place_hold(&held).await.expect("it answers"), Placed::InForce);
    let wider = Hold { to: HOUR.plus(9), ..held };
    assert_eq!(store.place_hold(&wider).await.expect("it answers"), Placed::IdReuse);
    assert_eq!(fence(&*store, token, HOUR.plus(9)).await, Fence::Fenced, "nothing was changed");
}

pub async fn holds_in_force_are_listed_and_found_by_id(subject: &impl Subject) {
    let store = subject.open().await;
    let (first, second) =
        (hold(&*store, b"case 7", "acme", 3, 5), hold(&*store, b"case 8", "ajax", 0, u32::MAX - HOUR.0));
    for held in [&second, &first] {
        assert_eq!(store.hold(&held.id).await.expect("it answers"), None);
        store.place_hold(held).await.expect("it answers");
    }
    let store = subject.open().await;
    assert_eq!(store.hold(&second.id).await.expect("it answers"), Some(second.clone()));
    assert_eq!(store.holds().await.expect("it answers"), [first.clone(), second.clone()], "by id");
    store.release_hold(&first.id).await.expect("it answers");
    assert_eq!(store.hold(&first.id).await.expect("it answers"), None);
    assert_eq!(store.holds().await.expect("it answers"), [second]);
}

pub async fn a_hold_covers_its_own_customer_and_hours_only(subject: &impl Subject) {
    let store = subject.open().await;
    for hour in 0..4 {
        won(&*store, "acme", HOUR.plus(hour), 0).await;
    }
    let held = hold(&*store, b"case 7", "acme", 1, 2);
    store.place_hold(&held).await.expect("it answers");
    let ajax = won(&*store, "ajax", HOUR.plus(1), 0).await.slot.token;
    assert_eq!(fence(&*store, held.token, HOUR).await, Fence::Fenced);
    assert!(matches!(fence(&*store, held.token, HOUR.plus(1)).await, Fence::Held(_)));
    assert!(matches!(fence(&*store, held.token, HOUR.plus(2)).await, Fence::Held(_)));
    assert_eq!(fence(&*store, held.token, HOUR.plus(3)).await, Fence::Fenced);
    assert_eq!(fence(&*store, ajax, HOUR.plus(1)).await, Fence::Fenced);
}

pub async fn an_open_hour_is_not_erased(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    assert_eq!(erase(&*store, slot.token, HOUR).await, Erasure::NotFenced);
    assert_eq!(erase(&*store, slot.token, HOUR.plus(1)).await, Erasure::NotFenced);
    assert_eq!(found(&*store, slot).await.key.expect("a key").state, KeyState::Live);
}

pub async fn erasing_overwrites_every_generation_and_leaves_markers(subject: &impl Subject) {
    let store = subject.open().await;
    let mut minted = Vec::new();
    for generation in [0, 1, 7] {
        minted.push(won(&*store, "acme", HOUR, generation).await);
    }
    let other = won(&*store, "acme", HOUR.plus(1), 0).await;
    let rows = forget(&*store, other.slot.token, HOUR).await;
    assert_eq!(rows.len(), 3);
    for (row, dek) in rows.iter().zip(&minted) {
        assert_eq!((row.generation, row.key_id), (dek.slot.generation, dek.key_id()));
        assert_eq!((row.state, row.wrapped), (KeyState::Erased, None));
        assert_eq!((row.erased_at, row.command), (Some(HOUR.plus(30).start()), Some(command(1))));
        assert_eq!(found(&*store, dek.slot).await.key.as_ref(), Some(row));
    }
    let key = found(&*store, other.slot).await.key.expect("a key");
    assert_eq!((key.state, key.wrapped), (KeyState::Live, Some(other.wrapped)));
}

pub async fn erasing_again_changes_nothing(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let rows = forget(&*store, token, HOUR).await;
    let again = store.erase(token, HOUR, command(2), HOUR.plus(40).start()).await.expect("it answers");
    assert_eq!(again, Erasure::Erased(rows));
}

pub async fn erasing_an_hour_without_keys_finds_none(subject: &impl Subject) {
    let store = subject.open().await;
    let token = store.token(&customer("acme"));
    assert_eq!(forget(&*store, token, HOUR).await, []);
}

pub async fn an_erased_slot_stays_erased_after_reopening(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    forget(&*store, slot.token, HOUR).await;
    let store = subject.open().await;
    assert_eq!(found(&*store, slot).await.key.expect("a marker").state, KeyState::Erased);
    assert!(is_fenced(&*store, "acme", HOUR, 0).await);
}

pub async fn below_the_floor_nothing_is_minted(subject: &impl Subject) {
    let store = subject.open().await;
    let floor = HOUR.plus(2);
    store.raise_floor(store.token(&customer("acme")), floor).await.expect("it answers");
    for hour in [0, 1] {
        let minted = mint_one(&*store, &candidate(&*store, "acme", HOUR.plus(hour), 0)).await;
        assert_eq!(minted, Minted::BelowFloor(floor));
    }
    won(&*store, "acme", floor, 0).await;
    won(&*store, "ajax", HOUR, 0).await;
}

pub async fn the_floor_never_goes_down(subject: &impl Subject) {
    let store = subject.open().await;
    let acme = customer("acme");
    for (raised, floor) in [(5, 5), (2, 5), (7, 7)] {
        store.raise_floor(store.token(&acme), HOUR.plus(raised)).await.expect("it answers");
        let known = store.customer(store.token(&acme)).await.expect("it answers").expect("a customer");
        assert_eq!(known.floor, Some(HOUR.plus(floor)));
    }
}

pub async fn the_floor_outlives_the_rows(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    won(&*store, "acme", HOUR.plus(1), 0).await;
    forget(&*store, slot.token, HOUR).await;
    store.raise_floor(store.token(&customer("acme")), HOUR.plus(1)).await.expect("it answers");
    let due = Due(HOUR.0 + 25);
    assert_eq!(store.expire_markers(Due(due.0 - 1)).await.expect("it answers"), 0, "not yet");
    assert_eq!(store.expire_markers(due).await.expect("it answers"), 1);
    let store = subject.open().await;
    let there = found(&*store, slot).await;
    assert_eq!((there.gate, there.key), (None, None), "the rows are gone");
    let minted = mint_one(&*store, &candidate(&*store, "acme", HOUR, 1)).await;
    assert_eq!(minted, Minted::BelowFloor(HOUR.plus(1)));
}

pub async fn markers_that_still_matter_do_not_expire(subject: &impl Subject) {
    let store = subject.open().await;
    let token = store.token(&customer("acme"));
    for hour in 0..5 {
        won(&*store, "acme", HOUR.plus(hour), 0).await;
    }
    forget(&*store, token, HOUR).await; // held later
    fence(&*store, token, HOUR.plus(1)).await; // fenced, with a live key; hour 2 stays open
    forget(&*store, token, HOUR.plus(3)).await; // may expire
    forget(&*store, token, HOUR.plus(4)).await; // not below the floor
    store.place_hold(&hold(&*store, b"case 7", "acme", 0, 0)).await.expect("it answers");
    store.raise_floor(store.token(&customer("acme")), HOUR.plus(4)).await.expect("it answers");
    assert_eq!(store.expire_markers(Due(u32::MAX)).await.expect("it answers"), 1);
    let left = store.hours(token, Hour(0), Hour(u32::MAX)).await.expect("it answers");
    let left: Vec<u32> = left.iter().map(|row| row.hour.0 - HOUR.0).collect();
    assert_eq!(left, [0, 1, 2, 4]);
}

pub async fn a_closed_customer_gets_no_key(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    store.close_customer(store.token(&customer("acme"))).await.expect("it answers");
    for (hour, generation) in [(0, 0), (0, 1), (5, 0)] {
        let candidate = candidate(&*store, "acme", HOUR.plus(hour), generation);
        assert_eq!(mint_one(&*store, &candidate).await, Minted::Closed);
    }
    assert!(found(&*subject.open().await, slot).await.customer.expect("a customer").closed);
    won(&*store, "ajax", HOUR, 0).await;
}

pub async fn a_token_without_a_name_is_closed_and_stays_so_when_its_name_comes(subject: &impl Subject) {
    let store = subject.open().await;
    let (acme, floor) = (customer("acme"), HOUR.plus(2));
    let token = store.token(&acme);
    store.raise_floor(token, floor).await.expect("it answers");
    store.close_customer(token).await.expect("it answers");
    let known = async || store.customer(token).await.expect("it answers").expect("a customer");
    let nameless = Customer { name: None, retention: None, floor: Some(floor), closed: true };
    assert_eq!(known().await, nameless);
    assert_eq!(mint_one(&*store, &candidate(&*store, "acme", floor, 0)).await, Minted::Closed);
    assert_eq!(known().await, nameless, "a refused mint leaves nothing behind");
    store.set_retention(token, None, Retention::hours(168)).await.expect("it answers");
    assert_eq!(known().await, Customer { retention: Retention::hours(168), ..nameless });
    assert_eq!(mint_one(&*store, &candidate(&*store, "acme", floor, 0)).await, Minted::Closed);
}

pub async fn a_token_without_a_name_gets_it_from_its_first_key(subject: &impl Subject) {
    let store = subject.open().await;
    let token = store.token(&customer("acme"));
    store.raise_floor(token, HOUR).await.expect("it answers");
    won(&*store, "acme", HOUR, 0).await;
    let known = subject.open().await.customer(token).await.expect("it answers").expect("a customer");
    assert_eq!((known.name, known.floor), (Some(customer("acme")), Some(HOUR)));
}

pub async fn the_fail_safe_overwrites_what_is_due_and_not_held(subject: &impl Subject) {
    let store = subject.open().await;
    let mut slots = Vec::new();
    for hour in 0..3 {
        slots.push(won(&*store, "acme", HOUR.plus(hour), 0).await.slot);
    }
    store.place_hold(&hold(&*store, b"case 7", "acme", 0, 0)).await.expect("it answers");
    let now = HOUR.plus(30).start();
    assert_eq!(store.expire_secrets(Due(DUE.0 + 1), now).await.expect("it answers"), 1);
    let states = [KeyState::Live, KeyState::ErasedByTtl, KeyState::Live];
    for (slot, state) in slots.iter().zip(states) {
        let key = found(&*store, *slot).await.key.expect("a key");
        assert_eq!(key.state, state);
        assert_eq!(key.wrapped.is_some(), state == KeyState::Live);
        assert_eq!(key.erased_at, (state != KeyState::Live).then_some(now));
    }
}

pub async fn what_the_fail_safe_took_stays_so(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    store.expire_secrets(DUE, HOUR.plus(26).start()).await.expect("it answers");
    let minted = mint_one(&*store, &candidate(&*store, "acme", HOUR, 0)).await;
    assert!(matches!(minted, Minted::Adopted { key, .. } if key.state == KeyState::ErasedByTtl));
    let rows = forget(&*store, slot.token, HOUR).await;
    assert_eq!((rows[0].state, rows[0].command), (KeyState::ErasedByTtl, None));
}

/// One call does what a fence and an erasure do hour by hour.
pub async fn many_hours_are_forgotten_and_read_back_but_for_those_that_are_held(subject: &impl Subject) {
    let store = subject.open().await;
    let token = store.token(&customer("acme"));
    for hour in 0..4 {
        won(&*store, "acme", HOUR.plus(hour), 0).await;
    }
    assert_eq!(mint_one(&*store, &candidate(&*store, "acme", HOUR, 1)).await, Minted::Won);
    store.place_hold(&hold(&*store, b"case", "acme", 1, 1)).await.expect("it answers");
    assert_eq!(fence(&*store, token, HOUR.plus(2)).await, Fence::Fenced, "an attempt came so far");

    let due = |hour: u32| DueHour::new(DUE, token, HOUR.plus(hour));
    let hours = [due(0), due(1), due(2), due(9)];
    for _ in 0..2 {
        let rows = store.forget(&hours, command(7), HOUR.plus(30).start()).await.expect("it answers");
        let [Some(first), Some(held), Some(begun), None] = &rows[..] else { panic!("{rows:?}") };
        assert!(first.gate.fenced && first.gate.command == Some(command(7)));
        let erased = |key: &KeyRow| {
            (key.state, key.command, key.wrapped) == (KeyState::Erased, Some(command(7)), None)
        };
        assert!(first.keys.len() == 2 && first.keys.iter().all(erased), "{first:?}");
        assert!(!held.gate.fenced && held.keys[0].state == KeyState::Live, "{held:?}");
        assert!(begun.gate.command == Some(command(1)) && erased(&begun.keys[0]), "{begun:?}");
    }
    assert!(is_fenced(&*store, "acme", HOUR, 2).await);
    assert!(!is_fenced(&*store, "acme", HOUR.plus(3), 1).await, "nobody asked for it");
    assert_eq!(
        store.hours(token, HOUR.plus(9), HOUR.plus(9)).await.expect("it answers"),
        [],
        "nothing is made up"
    );
    let left = store.due_hours(Due(DUE.0 + 3), None, 10).await.expect("it answers");
    assert_eq!(left.iter().map(|due| due.hour).collect::<Vec<_>>(), [HOUR.plus(1), HOUR.plus(3)]);
}
