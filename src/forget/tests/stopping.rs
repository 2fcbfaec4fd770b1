//! One customer's trouble, or a trust store that cannot be read, does not stop what does not depend on it.

use std::time::{Duration, Instant};

use super::stepping::{admit, committed, emit, executor, executor_that_trusts};
use super::*;
use crate::forget::follow::restore::still_has;
use crate::stream::{Event, Ready, Step, Wait};

/// A trust store that cannot be read until the test repairs it.
#[derive(Default)]
struct Torn(AtomicBool);

impl TrustSource for Torn {
    fn trust(&self) -> Result<Option<Arc<Trust>>, String> {
        if self.0.load(Ordering::SeqCst) { Ok(None) } else { Err("malformed".to_owned()) }
    }
}

fn bravo() -> CustomerId {
    CustomerId::parse("bravo").expect("a valid id")
}

fn sweep(nonce: u64) -> Vec<u8> {
    Call::record(&Wants::Sweep(Due(0)), nonce)
}

/// Three due hours of acme and one of bravo, with a key each.
fn two_customers() -> World {
    let store = FakeStore::default().with_keys(HOUR, 1).with_keys(HOUR.plus(1), 1);
    World::of(store.with_keys(HOUR.plus(2), 1).with_keys_of(&bravo(), HOUR, 1))
}

fn live_keys_of(world: &World, customer: &CustomerId) -> usize {
    let token = world.store.token(customer);
    let state = world.store.state();
    let keys = state.hours.values().filter(|row| row.token == token).flat_map(|row| &row.keys);
    keys.filter(|key| key.state == KeyState::Live).count()
}

/// The middle one of acme's hours cannot be read.
fn spoil(world: &World) {
    let at = (world.store.token(&acme()), HOUR.plus(1));
    world.store.state().unusable.insert(at);
}

/// Prepares until the batch is ready. Returns the number of waits.
fn waits(executor: &mut Executor) -> usize {
    for waits in 0..100 {
        match executor.prepare(Instant::now() + Duration::from_secs(10)) {
            Ready::Yes => return waits,
            Ready::Wait(why) => assert_ne!(why.cause, Wait::Pending, "a run has ended"),
        }
    }
    panic!("it is never ready");
}

fn said(receipts: &[Receipt]) -> Vec<(&str, Outcome, Option<Why>)> {
    let words = |receipt: &Receipt| (receipt.deed.kind() == Kind::Sweep, receipt.outcome, receipt.why);
    receipts
        .iter()
        .map(|receipt| match words(receipt) {
            (true, outcome, why) => ("sweep", outcome, why),
            (false, outcome, why) => (receipt.command.as_str(), outcome, why),
        })
        .collect()
}

#[test]
fn a_sweep_needs_no_trust_store_and_the_process_still_reports_it() {
    let world = two_customers();
    let trust = Arc::new(Torn::default());
    let (mut executor, observer) = executor_that_trusts(&world, trust.clone());
    let state = || observer.said.lock().expect("not poisoned").clone();
    admit(&mut executor, 0, 0, Some(&sweep(1)));
    assert_eq!(waits(&mut executor), 0);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    assert_eq!(said(&receipts), [("sweep", Outcome::Erased, None)]);
    committed(&mut executor, 1);
    assert_eq!((world.store.live_keys(), state()), (0, Err("malformed".to_owned())));
    executor.observe(Event::Resumed);
    assert_eq!(state(), Err("malformed".to_owned()), "commands would still wait");
    trust.0.store(true, Ordering::SeqCst);
    admit(&mut executor, 0, 1, Some(&sweep(2)));
    assert_eq!(waits(&mut executor), 0);
    committed(&mut executor, 2);
    assert_eq!(state(), Ok(()));
}

#[test]
fn a_sweep_behind_a_waiting_command_leaves_out_its_customer() {
    let world = two_customers();
    let trust = Arc::new(Torn::default());
    let (mut executor, _) = executor_that_trusts(&world, trust.clone());
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    admit(&mut executor, 0, 1, Some(&sweep(1)));
    assert!(waits(&mut executor) > 0);
    assert_eq!((live_keys_of(&world, &acme()), live_keys_of(&world, &bravo())), (3, 0));
    assert!(emit(&mut executor, usize::MAX).is_err(), "no receipt goes before the command's");

    // The engine reads the batch again. Meanwhile another hour of bravo and another call are there.
    executor.clear();
    let late = FakeStore::default().with_keys_of(&bravo(), HOUR.plus(2), 1);
    world.store.state().hours.append(&mut late.state().hours);
    for (offset, record) in [due_hours("c-1"), sweep(1), sweep(2)].iter().enumerate() {
        admit(&mut executor, 0, offset as i64, Some(record));
    }
    assert!(waits(&mut executor) > 0);
    assert_eq!((live_keys_of(&world, &acme()), live_keys_of(&world, &bravo())), (3, 0), "sweeps go on");

    executor.clear();
    trust.0.store(true, Ordering::SeqCst);
    for (offset, record) in [due_hours("c-1"), sweep(1), sweep(2)].iter().enumerate() {
        admit(&mut executor, 0, offset as i64, Some(record));
    }
    assert_eq!(waits(&mut executor), 0);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    let erased = Outcome::Erased;
    assert_eq!(said(&receipts), [("c-1", erased, None), ("sweep", erased, None), ("sweep", erased, None)]);
    assert_eq!(receipts.iter().map(|receipt| receipt.key_count).collect::<Vec<_>>(), [3, 1, 1]);
}

#[test]
fn a_redo_by_another_process_sweeps_what_was_chosen_while_commands_waited() {
    let world = two_customers();
    let (mut first, _) = executor_that_trusts(&world, Arc::new(Torn::default()));
    let (mut second, _) = executor(&world);
    for executor in [&mut first, &mut second] {
        admit(executor, 0, 0, Some(&due_hours("c-1")));
        admit(executor, 0, 1, Some(&sweep(1)));
        waits(executor);
    }
    let receipts = emit(&mut second, usize::MAX).expect("sent");
    assert_eq!(receipts.iter().map(|receipt| receipt.key_count).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn an_unusable_row_ends_its_customers_command_incomplete_and_no_other() {
    let world = two_customers();
    spoil(&world);
    let bravos = bytes("c-2", "bravo", (HOUR.0, HOUR.0), "retention-end");
    let records = [due_hours("c-1"), bravos, sweep(1), due_hours("c-1")];
    let (mut executor, _) = executor(&world);
    for _ in 0..2 {
        for (offset, record) in records.iter().enumerate() {
            admit(&mut executor, 0, offset as i64, Some(record));
        }
        waits(&mut executor);
        let receipts = emit(&mut executor, usize::MAX).expect("sent");
        let stopped = ("c-1", Outcome::Incomplete, Some(Why::Unusable));
        let others = [("c-2", Outcome::Erased, None), ("sweep", Outcome::Erased, None)];
        assert_eq!(said(&receipts), [stopped, others[0], others[1]], "a redo says the same");
        assert_eq!((receipts[0].key_count, receipts[2].key_count), (0, 2));
        executor.clear();
    }
    assert_eq!((live_keys_of(&world, &acme()), live_keys_of(&world, &bravo())), (1, 0));

    world.store.state().unusable.clear();
    assert!(matches!(world.try_execute(9, &due_hours("c-1")), Ok(Answer::Copy)), "it has ended");
    assert_eq!(world.execute(10, &due_hours("c-3")).key_count, 1, "the operator asks again");
}

#[test]
fn many_unusable_rows_cost_a_batch_no_more_tries_than_one() {
    let tries = |commands: i64| {
        let world = two_customers();
        spoil(&world);
        let (mut executor, _) = executor(&world);
        for offset in 0..commands {
            admit(&mut executor, 0, offset, Some(&due_hours(&format!("c-{offset}"))));
        }
        let waits = waits(&mut executor);
        assert_eq!(emit(&mut executor, usize::MAX).expect("sent").len() as i64, commands);
        waits
    };
    assert!(tries(1) > 1);
    assert_eq!(tries(1), tries(50));
}

#[test]
fn a_row_that_is_repaired_in_time_costs_nothing() {
    let world = two_customers();
    spoil(&world);
    let (mut executor, _) = executor(&world);
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    let why = executor.prepare(Instant::now() + Duration::from_secs(10));
    assert!(matches!(why, Ready::Wait(why) if why.cause == Wait::Store));
    world.store.state().unusable.clear();
    waits(&mut executor);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    assert_eq!((said(&receipts), receipts[0].key_count), (vec![("c-1", Outcome::Erased, None)], 3));
}

#[test]
fn what_was_decided_is_done_but_for_the_unusable_hour() {
    let world = two_customers();
    spoil(&world);
    let digest = message(&due_hours("c-1")).digest;
    let verdict = br#"{"version":1,"offset":0,"verdict":"erase","due":1}"#;
    world.store.state().verdicts.insert(digest, verdict.to_vec());
    let (mut executor, _) = executor(&world);
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    assert!(waits(&mut executor) > 0);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    assert_eq!(said(&receipts), [("c-1", Outcome::Incomplete, Some(Why::Unusable))]);
    let hours: Vec<Hour> = receipts[0].keys.iter().map(|key| key.hour).collect();
    assert_eq!(hours, [HOUR, HOUR.plus(2)]);
    assert!(receipts[0].unusable_after.is_some(), "other processes may have these keys");
    assert_eq!(live_keys_of(&world, &acme()), 1);
}

#[test]
fn a_store_that_is_away_gives_no_receipt_however_long() {
    let world = two_customers();
    let (mut executor, _) = executor(&world);
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    world.store.state().answers = Some(0);
    for _ in 0..40 {
        let why = executor.prepare(Instant::now() + Duration::from_secs(10));
        assert!(matches!(why, Ready::Wait(why) if why.cause == Wait::Store));
    }
    world.store.state().answers = None;
    waits(&mut executor);
    assert_eq!(said(&emit(&mut executor, usize::MAX).expect("sent")), [("c-1", Outcome::Erased, None)]);
}

#[test]
fn a_sweep_leaves_out_an_unusable_row_until_it_is_repaired() {
    let world = two_customers();
    spoil(&world);
    let Answer::Swept(first) = world.try_execute(0, &sweep(1)).expect("no trouble") else { panic!("due") };
    assert_eq!((first.hours.len(), world.store.live_keys()), (3, 1));
    assert!(matches!(world.try_execute(1, &sweep(2)), Ok(Answer::NothingDue(Kind::Sweep))));
    world.store.state().unusable.clear();
    let Answer::Swept(last) = world.try_execute(2, &sweep(3)).expect("no trouble") else { panic!("due") };
    assert_eq!((last.hours[0].hour, world.store.live_keys()), (HOUR.plus(1), 0));
}

#[test]
fn a_sweep_that_found_nothing_saves_the_later_ones_their_look() {
    let looks = |records: &[Vec<u8>]| {
        let world = World::of(FakeStore::default().with_keys(HOUR.plus(9), 1));
        let (mut executor, _) = executor(&world);
        for (offset, record) in records.iter().enumerate() {
            admit(&mut executor, 0, offset as i64, Some(record));
        }
        waits(&mut executor);
        world.store.state().calls.iter().filter(|call| **call == "due_hours").count()
    };
    let one = looks(&[sweep(1)]);
    assert_eq!(looks(&[sweep(1), sweep(2), sweep(3)]), one);
    assert_eq!(looks(&[sweep(1), due_hours("c-1"), sweep(2)]), 2 * one, "a command may free hours");
}

#[test]
fn an_unusable_row_keeps_its_days_kek_and_stops_no_other_call() {
    let (world, kek) = (two_customers(), KekId::of_due(Due(HOUR.0)));
    world.store.state().keks.insert(kek.clone(), KekState::Live);
    world.vault.ids.lock().expect("not poisoned").insert(kek.clone());
    world.store.state().hours.values_mut().for_each(|row| row.gate.due = Due(HOUR.0));
    spoil(&world);
    let call = Call::record(&Wants::DestroyKek(kek.clone()), 1);
    assert!(matches!(world.try_execute(0, &call), Ok(Answer::NothingDue(Kind::DestroyKek))));
    let found = world.runtime.block_on(due_keks(&*world.store, &FakeClock)).expect("no trouble");
    assert_eq!(found, [DueKek { id: kek, needed: 1, held: 0 }]);
}

#[test]
fn readers_do_not_need_the_row_that_stopped_a_command() {
    let world = two_customers();
    spoil(&world);
    let receipt = Receipt { why: Some(Why::Unusable), ..a_receipt(Outcome::Incomplete) };
    let still_has = |receipt: &Receipt| {
        world.runtime.block_on(still_has(&*world.store, &*world.vault, receipt, &[])).expect("no trouble")
    };
    assert!(!still_has(&receipt));
    let at = (world.store.token(&acme()), HOUR);
    let key = ErasedKey::of(HOUR, &world.store.state().hours[&at].keys[0]);
    assert!(still_has(&Receipt { keys: vec![key], ..receipt }), "the store is behind this one");
}

#[test]
fn a_restored_store_does_not_do_what_an_unusable_row_stopped() {
    let of = |act: Act, keys: Vec<ErasedKey>| Receipt {
        deed: Deed::Command(act),
        why: Some(Why::Unusable),
        keys,
        ..a_receipt(Outcome::Incomplete)
    };
    let world = two_customers();
    let hold = Hold { id: HoldId(b"case".to_vec()), token: world.store.token(&acme()), from: HOUR, to: HOUR };
    world.runtime.block_on(world.store.place_hold(&hold)).expect("placed");
    let retention = Act::Retention(Retention::hours(1).expect("not zero"));
    for act in [Act::Release(hold.id), retention, Act::EraseCustomer, Act::Erase(Reason::Request)] {
        assert_eq!(world.restore(&of(act, Vec::new())).expect("no trouble"), Restored::Already);
    }
    assert_eq!((world.store.live_keys(), world.store.state().closed()), (4, 0));
    assert_eq!(world.store.state().holds.len(), 1);
}
