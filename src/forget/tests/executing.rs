//! From a command to its receipt, and again from a receipt to a restored store.

use super::*;

#[test]
fn a_due_command_erases_every_generation_of_every_hour_and_fences_those_without_a_key() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 3).with_keys(HOUR.plus(1), 1));
    let receipt = world.execute(0, &due_hours("c-1"));
    assert_eq!((receipt.outcome, receipt.why, receipt.key_count), (Outcome::Erased, None, 4));
    assert_eq!(receipt.keys.iter().filter(|key| key.hour == HOUR).count(), 3);
    assert_eq!(receipt.due, Some(Due::of(HOUR.plus(2), meta(None).default_retention)));
    assert_eq!(receipt.unusable_after, Some(receipt.done_at.plus(60_000)));
    assert_eq!(receipt.assumptions.last().expect("one").as_str(), "the vault is a file");
    assert!(receipt.l3_by.is_some());
    assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (0, 3));
}

#[test]
fn the_verdict_is_durable_before_anything_is_done() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    world.execute(0, &due_hours("c-1"));
    let calls = world.store.state().calls.clone();
    let first = |name| calls.iter().position(|call| *call == name).expect("it was called");
    assert!(first("store_verdict") < first("fence") && first("fence") < first("erase"));
    assert_eq!(calls.last(), Some(&"now"), "after the last look at the hours: {calls:?}");
    assert_eq!(calls[calls.len() - 2], "hours", "it is read back");
}

#[test]
fn an_unknown_customer_is_fenced_all_the_same() {
    let world = World::of(FakeStore::default());
    let receipt = world.execute(0, &bytes("c-1", "nobody", (HOUR.0, HOUR.0 + 2), "retention-end"));
    assert_eq!((receipt.outcome, receipt.keys.len(), receipt.l3_by), (Outcome::NothingToErase, 0, None));
    assert_eq!(world.store.fenced_hours(), 3);
}

#[test]
fn what_is_refused_changes_nothing_and_says_why() {
    let (from, to) = (HOUR.0, HOUR.0 + 2);
    for (what, customer, hours, reason, why) in [
        ("one hour is not due", "acme", (from, to + 1), "retention-end", Why::NotDue),
        ("the hours are to come", "acme", (from, from + 10_000), "retention-end", Why::NotDue),
        ("early erasure", "acme", (from, to), "request", Why::SignatureRequired),
        ("no customer", "", (from, to), "retention-end", Why::InvalidCustomer),
        ("a reserved customer", "~quarantine", (from, to), "retention-end", Why::InvalidCustomer),
        ("hours the wrong way round", "acme", (to, from), "retention-end", Why::InvalidRange),
        ("too many hours", "acme", (0, 65_535), "retention-end", Why::InvalidRange),
    ] {
        let world = World::of(FakeStore::default().with_keys(HOUR, 1));
        let receipt = world.execute(0, &bytes("c-1", customer, hours, reason));
        assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(why)), "{what}");
        assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (1, 0), "{what}");
        assert_eq!(receipt.token.is_some(), why != Why::InvalidCustomer, "{what}");
        let id_taken = world.store.state().ids.contains_key("c-1");
        assert_eq!(id_taken, why != Why::SignatureRequired, "{what}");
        let json = String::from_utf8(receipt.to_json()).expect("UTF-8");
        assert!(!json.contains("acme") && !json.contains("quarantine"), "{what}: {json}");
    }
}

#[test]
fn while_signatures_are_required_an_unsigned_command_leaves_no_trace() {
    let mut world = World::of(FakeStore::default().with_keys(HOUR, 1));
    world.signatures_required = true;
    assert!(matches!(world.try_execute(0, &due_hours("c-1")), Ok(Answer::Unverified)));
    assert!(world.store.state().ids.is_empty() && world.store.state().verdicts.is_empty());
    world.signatures_required = false;
    assert_eq!(world.execute(1, &due_hours("c-1")).outcome, Outcome::Erased);
}

#[test]
fn a_hold_refuses_the_whole_command() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1).with_keys(HOUR.plus(1), 1));
    world.store.hold(HOUR.plus(1));
    let receipt = world.execute(0, &due_hours("c-1"));
    assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(Why::Held)));
    assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (2, 0));
}

#[test]
fn a_hold_that_comes_after_the_decision_leaves_the_erasure_incomplete() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1).with_keys(HOUR.plus(1), 1));
    world.store.state().late_hold = Some(HOUR.plus(1));
    let receipt = world.execute(0, &due_hours("c-1"));
    assert_eq!((receipt.outcome, receipt.why), (Outcome::Incomplete, Some(Why::Held)));
    assert_eq!((receipt.key_count, world.store.live_keys()), (1, 1));
}

#[test]
fn what_is_not_confirmed_is_not_called_erased() {
    let world = World::of(FakeStore { broken: true, ..FakeStore::default() }.with_keys(HOUR, 1));
    let receipt = world.execute(0, &due_hours("c-1"));
    assert_eq!((receipt.outcome, receipt.why), (Outcome::Incomplete, Some(Why::NotConfirmed)));
    assert_eq!(receipt.key_count, 0);
}

#[test]
fn a_redo_obeys_the_first_verdict_and_writes_the_same_receipt() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 2));
    let first = world.execute(5, &due_hours("c-1"));
    // A hold placed meanwhile does not turn what was decided, and partly done, into a refusal.
    world.store.hold(HOUR);
    assert_eq!(world.execute(5, &due_hours("c-1")), first);
    let refused = bytes("c-2", "acme", (HOUR.0, HOUR.0 + 3), "retention-end");
    let digest = message(&refused).digest;
    world
        .store
        .state()
        .verdicts
        .insert(digest, br#"{"version":1,"offset":6,"verdict":"erase","due":1}"#.to_vec());
    assert_ne!(world.execute(6, &refused).outcome, Outcome::Refused, "stored is stored");
}

#[test]
fn a_failure_at_any_call_gives_no_receipt_and_the_redo_gives_the_one() {
    let undisturbed = World::of(FakeStore::default().with_keys(HOUR, 2)).execute(0, &due_hours("c-1"));
    for answers in 0..100 {
        let world = World::of(FakeStore::default().with_keys(HOUR, 2));
        world.store.state().answers = Some(answers);
        let first = world.try_execute(0, &due_hours("c-1"));
        world.store.state().answers = None;
        assert_eq!(world.execute(0, &due_hours("c-1")), undisturbed, "after {answers} calls");
        if first.is_ok() {
            assert!(answers > 10, "it asks the store more than {answers} times");
            return;
        }
    }
    panic!("it never ends");
}

#[test]
fn a_copy_further_on_in_the_topic_gets_no_second_receipt() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    world.execute(5, &due_hours("c-1"));
    assert!(matches!(world.try_execute(6, &due_hours("c-1")), Ok(Answer::Copy)));
}

#[test]
fn the_same_id_with_another_body_is_refused_each_time_it_is_done() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    world.execute(0, &due_hours("c-1"));
    let other = bytes("c-1", "acme", (HOUR.0 - 5, HOUR.0 - 5), "retention-end");
    for _ in 0..2 {
        let receipt = world.execute(1, &other);
        assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(Why::IdReuse)));
    }
    assert_eq!(world.store.fenced_hours(), 3);
}

#[test]
fn clocks_that_disagree_and_verdicts_of_another_version_wait() {
    let world = World::of(FakeStore { skew_ms: 30_001, ..FakeStore::default() }.with_keys(HOUR, 1));
    assert!(matches!(world.try_execute(0, &due_hours("c-1")), Err(ExecuteError::Clocks(_))));
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let digest = message(&due_hours("c-1")).digest;
    world.store.state().verdicts.insert(digest, br#"{"version":2}"#.to_vec());
    assert!(matches!(world.try_execute(0, &due_hours("c-1")), Err(ExecuteError::Verdict(_))));
    assert_eq!(world.store.live_keys(), 1);
}

#[test]
fn a_slow_store_clock_keeps_what_only_the_worker_calls_due() {
    let world = World::of(FakeStore { skew_ms: -20_000, ..FakeStore::default() }.with_keys(HOUR.plus(2), 1));
    assert_eq!(world.execute(0, &due_hours("c-1")).why, Some(Why::NotDue));
}

#[test]
fn a_restored_store_erases_again_what_its_receipts_say() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 2));
    assert_eq!(world.restore(&a_receipt(Outcome::Erased)).expect("no trouble"), Restored::Again);
    assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (0, 2));
    assert_eq!(world.restore(&a_receipt(Outcome::Erased)).expect("no trouble"), Restored::Already);
    let writes = world.store.state().calls.iter().filter(|call| ["fence", "erase"].contains(call)).count();
    assert_eq!(writes, 3, "the second time nothing is written");
}

#[test]
fn nothing_is_erased_again_before_it_is_due_or_against_a_hold() {
    let world = World::of(FakeStore::default().with_keys(HOUR.plus(9), 1));
    let receipt = Receipt { to: HOUR.plus(9), ..a_receipt(Outcome::Erased) };
    assert!(matches!(world.restore(&receipt), Err(ExecuteError::Premature(_))));
    assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (1, 0));
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    world.store.hold(HOUR);
    assert_eq!(world.restore(&a_receipt(Outcome::Erased)).expect("no trouble"), Restored::Held);
    assert_eq!(world.store.live_keys(), 1);
}

#[test]
fn an_incomplete_erasure_is_restored_as_far_as_it_went() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1).with_keys(HOUR.plus(1), 1));
    let key = ErasedKey {
        hour: HOUR,
        generation: Generation(0),
        key_id: KeyId([0; 16]),
        kek: KekId::of_due(Due(1)),
    };
    let receipt = Receipt { keys: vec![key], ..a_receipt(Outcome::Incomplete) };
    assert_eq!(world.restore(&receipt).expect("no trouble"), Restored::Again);
    assert_eq!(world.store.live_keys(), 1);
}
