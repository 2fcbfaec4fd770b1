//! Level L3: the KEK of a day that has ended goes, when nothing live is wrapped by it.

use super::*;

/// The KEK of what is due at [`HOUR`]'s own hour; a day and its grace before [`NOW`] that has ended.
fn ended() -> KekId {
    KekId::of_due(Due(HOUR.0))
}

impl World {
    /// Its KEK is in store and vault.
    fn with_kek(self, id: &KekId) -> Self {
        self.store.state().keks.insert(id.clone(), KekState::Live);
        self.vault.ids.lock().expect("not poisoned").insert(id.clone());
        self
    }

    fn destroyed(&self, offset: i64, id: &KekId, nonce: u64) -> Option<Receipt> {
        match self.try_execute(offset, &call(id, nonce)).expect("no trouble") {
            Answer::Receipt(receipt) => Some(*receipt),
            Answer::NothingDue(Kind::DestroyKek) => None,
            answer => panic!("{answer:?}"),
        }
    }

    fn state_of(&self, id: &KekId) -> (Option<KekState>, bool) {
        let in_vault = self.vault.ids.lock().expect("not poisoned").contains(id);
        (self.store.state().keks.get(id).copied(), in_vault)
    }
}

fn call(id: &KekId, nonce: u64) -> Vec<u8> {
    Call::record(&Wants::DestroyKek(id.clone()), nonce)
}

/// A key that is wrapped by the ended KEK, whatever hour it is of.
fn wrapped_by_the_ended_one(store: FakeStore) -> FakeStore {
    let store = store.with_keys(HOUR, 1);
    store.state().hours.values_mut().flat_map(|row| &mut row.keys).for_each(|key| key.kek = ended());
    store
}

#[test]
fn a_kek_that_nothing_needs_is_closed_destroyed_and_has_its_receipt() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1)).with_kek(&ended());
    let receipt = world.destroyed(3, &ended(), 1).expect("nothing needs it");
    assert_eq!(world.state_of(&ended()), (Some(KekState::Destroyed), false));
    let evidence = "it is forgotten".to_owned();
    assert_eq!(receipt.deed, Deed::DestroyKek { kek: ended(), evidence, held: 0 });
    assert_eq!((receipt.outcome, receipt.token, receipt.key_count), (Outcome::KekDestroyed, None, 0));
    assert_eq!(receipt.to.0 - receipt.from.0, 23);
    assert_eq!(KekId::of_due(Due(receipt.from.0)), ended(), "its first due");
    assert_eq!(KekId::of_due(Due(receipt.to.0)), ended(), "its last due");
    assert_eq!(receipt.assumptions, ["the vault is a file", "A3"]);
    assert_eq!(Receipt::parse(&receipt.to_json()), Ok(receipt));
    assert!(world.destroyed(4, &ended(), 2).is_none(), "it is gone already");
    assert!(matches!(world.try_execute(9, &call(&ended(), 1)), Ok(Answer::Copy)));
}

#[test]
fn a_kek_that_wraps_a_live_key_stays_whoever_calls() {
    let world = World::of(wrapped_by_the_ended_one(FakeStore::default())).with_kek(&ended());
    assert!(world.destroyed(0, &ended(), 1).is_none());
    assert_eq!(world.state_of(&ended()), (Some(KekState::Live), true));
    assert!(world.store.state().verdicts.is_empty(), "it leaves no trace");
    let found = world.runtime.block_on(due_keks(&*world.store, &FakeClock)).expect("no trouble");
    assert_eq!(found, [DueKek { id: ended(), needed: 1, held: 0 }]);
}

#[test]
fn neither_a_young_kek_nor_an_unknown_one_goes() {
    let young = KekId::of_due(Due(Hour::containing(NOW).expect("an hour").0));
    let world = World::of(FakeStore::default()).with_kek(&young);
    assert!(world.destroyed(0, &young, 1).is_none());
    assert!(world.destroyed(1, &ended(), 2).is_none(), "the store has never heard of it");
    assert_eq!(world.state_of(&young), (Some(KekState::Live), true));
    assert_eq!(world.runtime.block_on(due_keks(&*world.store, &FakeClock)).expect("no trouble"), []);
}

#[test]
fn a_key_that_turns_up_after_the_decision_keeps_it() {
    let world = World::of(FakeStore::default()).with_kek(&ended());
    world.vault.away.store(true, Ordering::SeqCst);
    assert!(
        world.destroyed(0, &ended(), 1).is_none(),
        "it is decided and not done, and no command waits for it"
    );
    assert_eq!(world.state_of(&ended()), (Some(KekState::Closing), true));
    world.vault.away.store(false, Ordering::SeqCst);
    let late = wrapped_by_the_ended_one(FakeStore::default());
    world.store.state().hours = std::mem::take(&mut late.state().hours);
    assert!(world.destroyed(0, &ended(), 1).is_none());
    assert_eq!(world.state_of(&ended()), (Some(KekState::Closing), true), "and wraps nothing new");
}

#[test]
fn an_open_hour_keeps_the_kek_of_its_day_until_it_is_swept_though_its_keys_are_gone() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1)).with_kek(&ended());
    let at = (world.store.token(&acme()), HOUR);
    if let Some(row) = world.store.state().hours.get_mut(&at) {
        row.gate.due = Due(HOUR.0);
        row.keys[0].state = KeyState::ErasedByTtl;
    }
    assert!(world.destroyed(0, &ended(), 1).is_none(), "the sweep owes its receipt");
    assert!(world.try_execute(1, &Call::record(&Wants::Sweep(Due(0)), 1)).is_ok());
    assert!(world.destroyed(2, &ended(), 2).is_some());
}

#[test]
fn a_vault_that_is_away_destroys_at_the_next_call() {
    let world = World::of(FakeStore::default()).with_kek(&ended());
    world.vault.away.store(true, Ordering::SeqCst);
    assert!(world.destroyed(0, &ended(), 1).is_none());
    world.vault.away.store(false, Ordering::SeqCst);
    assert!(world.destroyed(1, &ended(), 2).is_some(), "another call ends what one began");
    assert_eq!(world.state_of(&ended()), (Some(KekState::Destroyed), false));
}

#[test]
fn a_redo_ends_what_was_begun_wherever_it_was_cut_off() {
    let undisturbed = World::of(FakeStore::default()).with_kek(&ended()).destroyed(7, &ended(), 1);
    let calls = {
        let world = World::of(FakeStore::default()).with_kek(&ended());
        world.destroyed(7, &ended(), 1);
        world.store.state().calls.clone()
    };
    let at = |name| calls.iter().position(|call| *call == name).expect("it was called");
    assert!(at("store_verdict") < at("advance_kek"));
    assert_eq!(
        calls.iter().filter(|call| **call == "live_keys").count(),
        2,
        "counted again after it is closed"
    );
    for answers in 0..calls.len() {
        let world = World::of(FakeStore::default()).with_kek(&ended());
        world.store.state().answers = Some(answers);
        assert!(world.try_execute(7, &call(&ended(), 1)).is_err(), "after {answers} calls");
        world.store.state().answers = None;
        assert_eq!(world.destroyed(7, &ended(), 1), undisturbed, "after {answers} calls");
        assert_eq!(world.state_of(&ended()), (Some(KekState::Destroyed), false));
    }
}

#[test]
fn a_restored_store_learns_that_a_kek_is_gone_and_takes_no_receipts_word_for_it() {
    let receipt = World::of(FakeStore::default()).with_kek(&ended()).destroyed(0, &ended(), 1).expect("done");
    let restored = World::of(FakeStore::default()).with_kek(&ended());
    restored.vault.ids.lock().expect("not poisoned").clear();
    assert_eq!(restored.restore(&receipt).expect("no trouble"), Restored::Again);
    assert_eq!(restored.state_of(&ended()), (Some(KekState::Destroyed), false));
    assert_eq!(restored.restore(&receipt).expect("no trouble"), Restored::Already);
    let vault_too = World::of(FakeStore::default()).with_kek(&ended());
    assert!(matches!(vault_too.restore(&receipt), Err(ExecuteError::KekIsBack(..))), "a person has to look");
    assert_eq!(vault_too.state_of(&ended()), (Some(KekState::Live), true));
    let older = World::of(FakeStore::default());
    assert_eq!(older.restore(&receipt).expect("no trouble"), Restored::Already, "it never had it");
}
