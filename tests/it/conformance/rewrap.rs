//! Claims on giving an hour new terms.

use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::{Subject, candidate, found, mint_one, won};
use crate::world::{HOUR, command, customer, random};

/// One week later than the due with a retention of one day ([`Due::of`]).
const LATER: Due = Due(HOUR.0 + 25 + 24 * 7);

fn later() -> KekId {
    KekId::of_due(LATER)
}

/// Returns new terms for an hour in its current state, with its live keys.
async fn terms(store: &dyn Store, token: Token, hour: Hour) -> Rewrap {
    store.register_kek(&later(), [1; 16]).await.expect("it answers");
    let row = hour_of(store, token, hour).await;
    let live = row.keys.into_iter().filter(|key| key.state == KeyState::Live);
    let keys = live.map(|seen| Rewrapped { seen, wrapped: random() }).collect();
    let seen = (row.gate.due, row.gate.kek.expect("a KEK"), row.gate.command);
    Rewrap { token, hour, seen, due: LATER, kek: later(), command: Some(command(7)), keys }
}

async fn hour_of(store: &dyn Store, token: Token, hour: Hour) -> HourRow {
    store.hours(token, hour, hour).await.expect("it answers").pop().expect("a gate")
}

async fn give(store: &dyn Store, terms: &Rewrap) -> HourRow {
    store.rewrap(terms, HOUR.start()).await.expect("it answers").expect("a gate")
}

pub async fn an_hour_gets_new_terms_with_all_its_keys(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    won(&*store, "acme", HOUR, 3).await;
    let untouched = won(&*store, "acme", HOUR.plus(1), 0).await;
    let before = hour_of(&*store, token, HOUR).await;
    let terms = terms(&*store, token, HOUR).await;
    let after = give(&*store, &terms).await;
    assert_eq!(after, hour_of(&*subject.open().await, token, HOUR).await, "durable, as it was answered");
    assert_eq!((after.gate.due, after.gate.kek), (LATER, Some(later())));
    for ((is, was), new) in after.keys.iter().zip(&before.keys).zip(&terms.keys) {
        let expected = KeyRow { kek: later(), wrapped: Some(new.wrapped), ..was.clone() };
        assert_eq!(*is, expected, "all the rest of it stays");
    }
    let beside = found(&*store, untouched.slot).await;
    assert_eq!(beside.gate.expect("a gate").kek, Some(untouched.kek.clone()));
    assert_eq!(beside.key.expect("a key").wrapped, Some(untouched.wrapped));

    let due = |until| store.due_hours(until, None, 10);
    let soon = Due(LATER.0 - 1);
    assert_eq!(due(soon).await.expect("it answers").len(), 1, "the other hour");
    let all = due(LATER).await.expect("it answers");
    assert_eq!(all.last(), Some(&DueHour::new(LATER, token, HOUR)));
    assert_eq!(store.expire_secrets(soon, HOUR.start()).await.expect("it answers"), 1, "not before its due");
}

pub async fn terms_are_given_to_an_hour_only_as_it_was_seen(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let seen = terms(&*store, token, HOUR).await;
    let before = hour_of(&*store, token, HOUR).await;
    let (due, kek, by) = seen.seen.clone();
    for other in [(Due(due.0 + 1), kek.clone(), by), (due, later(), by), (due, kek, Some(command(9)))] {
        assert_eq!(give(&*store, &Rewrap { seen: other, ..seen.clone() }).await, before);
    }
    let unknown = store.rewrap(&Rewrap { hour: HOUR.plus(9), ..seen }, HOUR.start()).await;
    assert_eq!(unknown.expect("it answers"), None);
    assert_eq!(store.hours(token, HOUR.plus(9), HOUR.plus(9)).await.expect("it answers"), []);
}

pub async fn what_was_erased_meanwhile_does_not_come_back(subject: &impl Subject) {
    let store = subject.open().await;
    let (first, _) = (won(&*store, "acme", HOUR, 0).await, won(&*store, "acme", HOUR, 1).await);
    let token = first.slot.token;
    let seen = terms(&*store, token, HOUR).await;
    store.fence(token, HOUR, first.due, command(1)).await.expect("it answers");
    store.erase(token, HOUR, command(1), HOUR.start()).await.expect("it answers");
    let after = give(&*store, &seen).await;
    assert!(after.gate.fenced && after.gate.command == Some(command(1)));
    for key in after.keys {
        assert_eq!((key.state, key.wrapped, key.command), (KeyState::Erased, None, Some(command(1))));
    }
}

pub async fn whatever_is_minted_meets_the_new_terms(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    give(&*store, &terms(&*store, token, HOUR).await).await;
    let old = candidate(&*store, "acme", HOUR, 1);
    let Minted::GateDiffers(gate) = mint_one(&*store, &old).await else { panic!("it was minted") };
    assert_eq!((gate.due, gate.kek.clone()), (LATER, Some(later())));
    let new = Candidate { due: LATER, kek: later(), ..old };
    assert_eq!(mint_one(&*store, &new).await, Minted::Won);
}

pub async fn what_was_listed_before_is_forgotten_under_the_new_terms(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    let token = first.slot.token;
    let terms = terms(&*store, token, HOUR).await;
    let listed = store.due_hours(first.due, None, 10).await.expect("it answers");
    give(&*subject.open().await, &terms).await;
    store.forget(&listed, command(1), HOUR.start()).await.expect("it answers");
    let after = hour_of(&*store, token, HOUR).await;
    assert_eq!((after.gate.due, after.gate.kek), (LATER, Some(later())));
    assert!(after.gate.fenced && after.keys.iter().all(|key| key.state == KeyState::Erased));
    assert_eq!(store.due_hours(LATER, None, 10).await.expect("it answers"), []);
}

pub async fn a_held_hour_keeps_its_hold_and_a_fenced_one_its_fence(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    let (token, fenced) = (first.slot.token, HOUR.plus(1));
    won(&*store, "acme", fenced, 0).await;
    store.fence(token, fenced, first.due, command(1)).await.expect("it answers");
    let hold = Hold { id: HoldId(b"case".to_vec()), token, from: HOUR, to: fenced };
    store.place_hold(&hold).await.expect("it answers");
    for hour in [HOUR, fenced] {
        let after = give(&*store, &terms(&*store, token, hour).await).await;
        assert_eq!((after.gate.hold, after.gate.fenced), (Some(hold.id.clone()), hour == fenced));
        assert_eq!((after.gate.kek, &after.keys[0].kek), (Some(later()), &later()));
        assert_eq!(after.keys[0].state, KeyState::Live);
        let erasure = store.erase(token, hour, command(2), HOUR.start()).await.expect("it answers");
        assert_eq!(erasure, Erasure::Held(hold.id.clone()));
    }
    store.release_hold(&hold.id).await.expect("it answers");
    let forgotten = [HOUR, fenced].map(|hour| DueHour::new(LATER, token, hour));
    for row in store.forget(&forgotten, command(3), HOUR.start()).await.expect("it answers") {
        assert_eq!(row.expect("a gate").keys[0].state, KeyState::Erased);
    }
}

pub async fn terms_and_mints_that_race_leave_no_key_behind(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let mut tasks = JoinSet::new();
    for generation in 1..8 {
        let store = subject.open().await;
        tasks.spawn(async move {
            let offer = candidate(&*store, "acme", HOUR, generation);
            match mint_one(&*store, &offer).await {
                Minted::GateDiffers(gate) => {
                    let (due, kek) = (gate.due, gate.kek.expect("a KEK"));
                    mint_one(&*store, &Candidate { due, kek, ..offer }).await
                }
                minted => minted,
            }
        });
    }
    for _ in 0..20 {
        give(&*store, &terms(&*store, token, HOUR).await).await;
    }
    while let Some(minted) = tasks.join_next().await {
        assert_eq!(minted.expect("no panic"), Minted::Won);
    }
    let after = give(&*store, &terms(&*store, token, HOUR).await).await;
    assert_eq!(after.keys.len(), 8);
    assert!(after.keys.iter().all(|key| key.kek == later() && key.state == KeyState::Live), "{after:?}");
}

pub async fn the_hours_under_a_kek_are_those_with_a_live_key_of_it(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    let token = first.slot.token;
    won(&*store, "acme", HOUR, 1).await;
    let [moved, erased, other] = [1, 2, 3].map(|hour| HOUR.plus(hour));
    for hour in [moved, erased, other] {
        won(&*store, "acme", hour, 0).await;
    }
    give(&*store, &terms(&*store, token, moved).await).await;
    store.fence(token, erased, first.due, command(1)).await.expect("it answers");
    store.erase(token, erased, command(1), HOUR.start()).await.expect("it answers");
    let under = async |kek: &KekId, limit| {
        let mut hours = store.hours_under(kek, limit).await.expect("it answers");
        hours.sort_unstable();
        hours
    };
    assert_eq!(under(&first.kek, 10).await, [(token, HOUR), (token, other)]);
    assert_eq!(under(&later(), 10).await, [(token, moved)]);
    assert_eq!(under(&first.kek, 1).await.len(), 1);
    let nobody = store.token(&customer("nobody"));
    assert!(under(&KekId::of_due(Due(0)), 10).await.iter().all(|(token, _)| *token == nobody));
}

pub async fn a_fence_is_known_until_the_later_due_and_nothing_else_of_it_changes(subject: &impl Subject) {
    let store = subject.open().await;
    let candidate = won(&*store, "acme", HOUR, 0).await;
    let (token, due) = (candidate.slot.token, candidate.due);
    won(&*store, "acme", HOUR.plus(2), 0).await;
    let open = hour_of(&*store, token, HOUR.plus(2)).await;
    // One hour has a key, and the other never had one.
    for hour in [HOUR, HOUR.plus(1)] {
        store.fence(token, hour, due, command(1)).await.expect("it answers");
        store.erase(token, hour, command(1), HOUR.start()).await.expect("it answers");
        let before = hour_of(&*store, token, hour).await;
        store.keep_fence(token, hour, LATER, HOUR.start()).await.expect("it answers");
        store.keep_fence(token, hour, Due(LATER.0 - 1), HOUR.start()).await.expect("it answers");
        let after = hour_of(&*subject.open().await, token, hour).await;
        assert_eq!(after, HourRow { gate: Gate { due: LATER, ..before.gate.clone() }, ..before });
        let late = Candidate { due: LATER, ..super::candidate(&*store, "acme", hour, 5) };
        assert!(matches!(mint_one(&*store, &late).await, Minted::Fenced(_)));
    }
    let listed = store.due_hours(LATER, None, 10).await.expect("it answers");
    assert!(listed.iter().all(|row| row.hour == HOUR.plus(2)), "{listed:?}");
    store.keep_fence(token, HOUR.plus(2), LATER, HOUR.start()).await.expect("it answers");
    assert_eq!(hour_of(&*store, token, HOUR.plus(2)).await, open, "it is no fence");
    store.keep_fence(token, HOUR.plus(3), LATER, HOUR.start()).await.expect("it answers");
    assert_eq!(store.hours(token, HOUR.plus(3), HOUR.plus(3)).await.expect("it answers"), []);
}

pub async fn the_fence_of_a_held_hour_gets_the_later_due_too(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    let (token, never_minted) = (first.slot.token, HOUR.plus(1));
    for hour in [HOUR, never_minted] {
        store.fence(token, hour, first.due, command(1)).await.expect("it answers");
    }
    let hold = Hold { id: HoldId(b"case".to_vec()), token, from: HOUR, to: never_minted };
    store.place_hold(&hold).await.expect("it answers");
    for hour in [HOUR, never_minted] {
        let before = hour_of(&*store, token, hour).await;
        store.keep_fence(token, hour, LATER, HOUR.start()).await.expect("it answers");
        let after = hour_of(&*subject.open().await, token, hour).await;
        assert_eq!(after, HourRow { gate: Gate { due: LATER, ..before.gate.clone() }, ..before });
        assert_eq!(after.gate.hold.as_ref(), Some(&hold.id));
    }
}
