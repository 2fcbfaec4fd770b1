//! The clock's sweep: from a call to its receipt, and back from that to a restored store.

use super::*;
use crate::forget::execute::answer::Sweep;

impl World {
    fn swept(&self, offset: i64, nonce: u64) -> Option<Sweep> {
        match self.try_execute(offset, &call(nonce)).expect("no trouble") {
            Answer::Swept(sweep) => Some(*sweep),
            Answer::NothingDue(Kind::Sweep) => None,
            answer => panic!("{answer:?}"),
        }
    }

    fn restore_sweep(&self, Sweep { receipt, hours }: &Sweep) -> Result<Restored, ExecuteError> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let vault = Arc::clone(&self.vault) as Arc<dyn KekVault>;
        self.runtime.block_on(restore(&store, &vault, &FakeClock, receipt, hours))
    }
}

fn call(nonce: u64) -> Vec<u8> {
    Call::record(&Wants::Sweep(Due(HOUR.0)), nonce)
}

/// Two of these hours are due; the third is an hour too young.
fn three_hours() -> World {
    let store = FakeStore::default().with_keys(HOUR, 2).with_keys(HOUR.plus(2), 1);
    World::of(store.with_keys(HOUR.plus(3), 1))
}

#[test]
fn a_sweep_forgets_what_is_due_by_the_clock_and_nothing_else() {
    let world = three_hours();
    let Sweep { receipt, hours } = world.swept(0, 1).expect("due");
    assert_eq!(
        hours.iter().map(|of| (of.hour, of.key_count)).collect::<Vec<_>>(),
        [(HOUR, 2), (HOUR.plus(2), 1)]
    );
    assert_eq!((receipt.outcome, receipt.key_count, receipt.token), (Outcome::Erased, 3, None));
    assert_eq!((receipt.from, receipt.to, receipt.due), (HOUR, HOUR.plus(2), Some(Due(HOUR.0 + 3 + 720))));
    assert_eq!(receipt.deed, Deed::Sweep(SweptBatch::of(&hours)));
    assert_eq!(receipt.unusable_after, Some(receipt.done_at.plus(60_000)));
    assert_eq!(receipt.l3_by.map(|at| at.to_string()), Some("2027-02-15T00:00:00.000Z".to_owned()));
    assert_eq!((world.store.live_keys(), world.store.fenced_hours()), (1, 2));
}

#[test]
fn what_the_call_says_is_due_binds_nobody() {
    let world = three_hours();
    let early = Call::record(&Wants::Sweep(Due(u32::MAX)), 1);
    assert!(matches!(world.try_execute(0, &early), Ok(Answer::Swept(_))));
    assert_eq!(world.store.live_keys(), 1, "the earliest clock decides");
    let mut late = three_hours();
    Arc::get_mut(&mut late.store).expect("nobody else has it").skew_ms = -1;
    let sweep = late.swept(0, 1).expect("one is due by both clocks");
    assert_eq!(sweep.hours.iter().map(|of| of.hour).collect::<Vec<_>>(), [HOUR]);
    assert_eq!(late.store.live_keys(), 2);
}

#[test]
fn a_sweep_looks_first_where_its_call_says_and_then_from_the_beginning() {
    let world = three_hours();
    let from_the_third = |nonce| Call::record(&Wants::Sweep(Due(HOUR.0 + 3 + 720)), nonce);
    let swept = |offset, nonce| match world.try_execute(offset, &from_the_third(nonce)) {
        Ok(Answer::Swept(sweep)) => sweep.hours.iter().map(|of| of.hour).collect::<Vec<_>>(),
        answer => panic!("{answer:?}"),
    };
    assert_eq!(swept(0, 1), [HOUR.plus(2)]);
    assert_eq!(swept(1, 2), [HOUR]);
}

#[test]
fn a_call_that_finds_nothing_due_leaves_no_trace() {
    let world = World::of(FakeStore::default().with_keys(HOUR.plus(3), 1));
    assert!(world.swept(0, 1).is_none());
    let state = world.store.state();
    assert!(state.verdicts.is_empty() && state.ids.is_empty());
}

#[test]
fn calls_need_no_signature_for_they_ask_for_no_more_than_the_clock() {
    let mut world = three_hours();
    world.signatures_required = true;
    assert!(world.swept(0, 1).is_some());
}

#[test]
fn a_held_hour_stays_and_goes_when_the_hold_does() {
    let world = three_hours();
    let hold = Hold { id: HoldId(b"case".to_vec()), token: world.store.token(&acme()), from: HOUR, to: HOUR };
    world.runtime.block_on(world.store.place_hold(&hold)).expect("placed");
    let first = world.swept(0, 1).expect("the other one is due");
    assert_eq!(first.hours.iter().map(|of| of.hour).collect::<Vec<_>>(), [HOUR.plus(2)]);
    assert!(world.swept(1, 2).is_none(), "held");
    world.runtime.block_on(world.store.release_hold(&hold.id)).expect("released");
    assert_eq!(world.swept(2, 3).expect("released").hours[0].hour, HOUR);
}

#[test]
fn held_hours_are_listed_again_only_if_the_holds_change() {
    let world = three_hours();
    let (store, mut looks) = (&*world.store, DueLooks::default());
    let mut listed = || {
        let pending = world.runtime.block_on(looks.look(store, &FakeClock, 10)).expect("no trouble");
        pending.hours.into_iter().map(|hour| (hour.hour.hour, hour.held)).collect::<Vec<_>>()
    };
    let token = store.token(&acme());
    let hold = |id: &[u8], from, to| Hold { id: HoldId(id.to_vec()), token, from, to };
    let place = |hold: &Hold| world.runtime.block_on(store.place_hold(hold)).expect("placed");
    let first = hold(b"first", HOUR, HOUR);
    place(&first);
    let (held, free) = ((HOUR, true), (HOUR.plus(2), false));
    assert_eq!([listed(), listed()], [vec![held, free], vec![free]]);
    place(&hold(b"second", HOUR.plus(2), HOUR.plus(2)));
    assert_eq!([listed(), listed()], [vec![held, (HOUR.plus(2), true)], vec![(HOUR.plus(2), true)]]);
    world.runtime.block_on(store.release_hold(&first.id)).expect("released");
    assert_eq!(listed(), [(HOUR, false), (HOUR.plus(2), true)]);
}

#[test]
fn a_hold_that_comes_after_the_choice_is_obeyed_and_its_hour_is_in_no_receipt() {
    let world = three_hours();
    world.store.state().late_hold = Some(HOUR);
    let sweep = world.swept(0, 1).expect("the other one is due");
    assert_eq!(sweep.hours.iter().map(|of| of.hour).collect::<Vec<_>>(), [HOUR.plus(2)]);
    assert_eq!(world.store.live_keys(), 3);
}

#[test]
fn the_choice_is_durable_before_anything_is_done_and_every_redo_obeys_it() {
    let undisturbed = three_hours().swept(4, 1).expect("due");
    let calls = {
        let world = three_hours();
        world.swept(4, 1);
        world.store.state().calls.clone()
    };
    let first = |name| calls.iter().position(|call| *call == name).expect("it was called");
    assert!(first("store_verdict") < first("fence"));
    for answers in 0..calls.len() {
        let world = three_hours();
        world.store.state().answers = Some(answers);
        assert!(world.try_execute(4, &call(1)).is_err(), "after {answers} calls");
        world.store.state().answers = None;
        let sweep = world.swept(4, 1).expect("due");
        assert_eq!((sweep.receipt, sweep.hours), (undisturbed.receipt.clone(), undisturbed.hours.clone()));
    }
}

#[test]
fn a_call_that_stands_in_the_topic_again_gets_no_second_receipt() {
    let world = three_hours();
    world.swept(4, 1).expect("due");
    assert!(matches!(world.try_execute(5, &call(1)), Ok(Answer::Copy)));
    assert!(world.swept(6, 2).is_none(), "all of it is gone");
}

#[test]
fn an_hour_that_a_command_took_meanwhile_is_the_commands() {
    let world = three_hours();
    world.store.state().answers = Some(7);
    assert!(world.try_execute(4, &call(1)).is_err());
    world.store.state().answers = None;
    assert!(
        world.store.state().verdicts.len() == 1 && world.store.fenced_hours() == 0,
        "chosen, nothing done"
    );
    assert_eq!(world.execute(5, &due_hours("c-1")).key_count, 3);
    assert!(world.swept(4, 1).is_none(), "every hour is in one receipt");
}

#[test]
fn what_the_failsafe_took_before_gets_its_receipt() {
    let world = three_hours();
    let at = (world.store.token(&acme()), HOUR);
    for key in &mut world.store.state().hours.get_mut(&at).expect("an hour").keys {
        key.state = KeyState::ErasedByTtl;
    }
    let sweep = world.swept(0, 1).expect("due");
    assert_eq!((sweep.hours[0].hour, sweep.hours[0].key_count), (HOUR, 2));
}

#[test]
fn a_restored_store_is_swept_again() {
    let sweep = three_hours().swept(0, 1).expect("due");
    let restored = three_hours();
    assert_eq!(restored.restore_sweep(&sweep).expect("no trouble"), Restored::Again);
    assert_eq!((restored.store.live_keys(), restored.store.fenced_hours()), (1, 2));
    assert_eq!(restored.restore_sweep(&sweep).expect("no trouble"), Restored::Already);
    restored.store.hold(HOUR.plus(3));
    let held = three_hours();
    held.store.hold(HOUR);
    assert_eq!(held.restore_sweep(&sweep).expect("no trouble"), Restored::Held);
    assert_eq!(held.store.live_keys(), 3, "the other one went");
}

#[test]
fn a_receipt_of_a_sweep_makes_nothing_go_early() {
    let mut sweep = three_hours().swept(0, 1).expect("due");
    sweep.hours[0].hour = HOUR.plus(3);
    let restored = three_hours();
    assert!(matches!(restored.restore_sweep(&sweep), Err(ExecuteError::Premature(_))));
    assert_eq!(restored.store.live_keys(), 4);
}
