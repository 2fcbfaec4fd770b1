//! Rights of signers: commands in their envelopes, from the record to the receipt.

use serde_json::{Value, json};

use super::*;

/// Two keys that may do everything, one that may erase what is due, and one that nobody knows.
struct Office {
    world: World,
    dpo: SigningKey,
    legal: SigningKey,
    job: SigningKey,
    stranger: SigningKey,
}

impl Office {
    fn of(store: FakeStore) -> Self {
        let generate = || SigningKey::from_pem(&SigningKey::generate()).expect("as it was generated");
        let (dpo, legal, job, stranger) = (generate(), generate(), generate(), generate());
        let mut office = Self { world: World::of(store), dpo, legal, job, stranger };
        office.world.signatures_required = true;
        office.trust(&["dpo", "legal", "job"]);
        office
    }

    fn trust(&mut self, names: &[&str]) {
        let all = json!(["erase", "erase-early", "hold", "release"]);
        let entry = |name: &&str| {
            let (key, rights) = match *name {
                "dpo" => (&self.dpo, all.clone()),
                "legal" => (&self.legal, all.clone()),
                _ => (&self.job, json!(["erase"])),
            };
            json!({ "name": name, "public": key.public().to_string(), "rights": rights })
        };
        let keys: Vec<Value> = names.iter().map(entry).collect();
        let thresholds = json!({ "erase-early": names.len().min(2), "release": names.len().min(2) });
        let store = json!({ "version": 1, "keys": keys, "thresholds": thresholds }).to_string();
        self.world.trust = Some(Arc::new(Trust::parse(&store).expect("a trust store")));
    }

    fn execute(&self, offset: i64, payload: &[u8], keys: &[&SigningKey]) -> Receipt {
        self.world.execute(offset, &enveloped(payload, keys))
    }

    fn answers(&self, offset: i64, payload: &[u8], keys: &[&SigningKey]) -> Answer {
        self.world.try_execute(offset, &enveloped(payload, keys)).expect("no error")
    }
}

fn enveloped(payload: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let signed = pae(payload);
    let of = |key: &&SigningKey| Signature { hint: "anything".to_owned(), bytes: key.sign(&signed).to_vec() };
    to_envelope(payload, &keys.iter().map(of).collect::<Vec<_>>())
}

/// A command with what a signed one needs; `change` overrides it.
fn command(id: &str, change: Value) -> Vec<u8> {
    let mut command = json!({
        "id": id, "type": "erase", "customer": "acme", "from_hour": HOUR.0, "to_hour": HOUR.0,
        "reason": "retention-end", "issuer": "the office", "deployment": STORE.to_string(),
        "not_before": NOW.plus(-1).to_string(), "expires": NOW.plus(1).to_string(),
    });
    let fields = command.as_object_mut().expect("an object");
    for (name, value) in change.as_object().expect("an object") {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    command.to_string().into_bytes()
}

/// An hour that is not due for a long time.
const LATER: Hour = Hour(HOUR.0 + 300);

fn early(id: &str) -> Vec<u8> {
    command(id, json!({ "from_hour": LATER.0, "to_hour": LATER.0, "reason": "request" }))
}

fn hold(id: &str, case: &str, customer: &str) -> Vec<u8> {
    command(id, json!({ "type": "hold", "reason": null, "hold": case, "customer": customer }))
}

fn release(id: &str, case: &str, customer: &str) -> Vec<u8> {
    let change = json!({ "type": "release", "reason": null, "hold": case, "customer": customer,
        "from_hour": null, "to_hour": null });
    command(id, change)
}

#[test]
fn a_key_with_the_right_has_what_is_due_erased_and_stands_in_the_receipt() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 2));
    let receipt = office.execute(0, &command("c-1", json!({})), &[&office.job]);
    assert_eq!((receipt.outcome, receipt.key_count), (Outcome::Erased, 2));
    assert_eq!(
        (receipt.issuer.as_deref(), receipt.signers.as_slice()),
        (Some("the office"), &["job".to_owned()][..])
    );
}

#[test]
fn what_nobody_trusted_has_signed_leaves_no_trace() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let payload = command("c-1", json!({}));
    assert!(matches!(office.answers(0, &payload, &[]), Answer::Unverified));
    assert!(matches!(office.answers(1, &payload, &[&office.stranger]), Answer::Unverified));
    let other = to_envelope(
        &payload,
        &[Signature { hint: String::new(), bytes: office.dpo.sign(b"other").to_vec() }],
    );
    assert!(matches!(office.world.try_execute(2, &other), Ok(Answer::Unverified)));
    assert!(matches!(office.world.try_execute(3, &due_hours("c-1")), Ok(Answer::Unverified)), "unsigned");
    assert!(office.world.store.state().ids.is_empty() && office.world.store.state().verdicts.is_empty());
    assert_eq!(office.execute(4, &payload, &[&office.dpo]).outcome, Outcome::Erased, "the id is free");
}

#[test]
fn early_erasure_takes_two_keys_and_too_few_of_them_get_one_refusal_and_take_no_id() {
    let office = Office::of(FakeStore::default().with_keys(LATER, 1));
    let payload = early("c-1");
    for (at, keys) in
        [(0, vec![&office.dpo]), (10, vec![&office.dpo, &office.dpo]), (20, vec![&office.dpo, &office.job])]
    {
        let receipt = office.execute(at, &payload, &keys);
        assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(Why::NotAuthorized)));
        assert_eq!(office.execute(at, &payload, &keys), receipt, "a redo writes the same");
        assert!(
            matches!(office.answers(at + 1, &payload, &keys), Answer::Copy),
            "a replay gets no second one"
        );
    }
    assert_eq!(office.world.store.live_keys(), 1);
    let receipt = office.execute(30, &payload, &[&office.dpo, &office.legal]);
    assert_eq!((receipt.outcome, receipt.signers.len()), (Outcome::Erased, 2));
    assert!(receipt.due.is_some_and(|due| !due.reached(NOW)), "it went early");
    assert!(matches!(office.answers(31, &payload, &[&office.dpo]), Answer::Copy));
}

#[test]
fn no_signature_makes_retention_end_come_early() {
    let office = Office::of(FakeStore::default().with_keys(LATER, 1));
    let payload = command("c-1", json!({ "from_hour": LATER.0, "to_hour": LATER.0 }));
    let receipt = office.execute(0, &payload, &[&office.dpo, &office.legal, &office.job]);
    assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(Why::NotDue)));
}

#[test]
fn what_is_meant_for_another_deployment_is_refused_and_its_id_is_free_here() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let other = command("c-1", json!({ "deployment": "ee".repeat(16) }));
    assert_eq!(office.execute(0, &other, &[&office.dpo]).why, Some(Why::OtherDeployment));
    assert!(matches!(office.answers(1, &other, &[&office.dpo]), Answer::Copy));
    assert_eq!(office.execute(2, &command("c-1", json!({})), &[&office.dpo]).outcome, Outcome::Erased);
}

#[test]
fn a_command_is_carried_out_between_its_times_only_and_never_later() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let why = |offset, id, change| office.execute(offset, &command(id, change), &[&office.dpo]).why;
    assert_eq!(why(0, "c-1", json!({ "expires": NOW.to_string() })), Some(Why::Expired));
    assert_eq!(why(1, "c-2", json!({ "not_before": NOW.plus(1).to_string() })), Some(Why::NotYet));
    assert_eq!(why(2, "c-1", json!({})), Some(Why::IdReuse));
    assert_eq!(office.world.store.live_keys(), 1);
}

#[test]
fn a_redo_obeys_although_its_signer_is_trusted_no_more_and_a_copy_gets_nothing() {
    let mut office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let payload = command("c-1", json!({}));
    let first = office.execute(7, &payload, &[&office.job]);
    office.trust(&["dpo", "legal"]);
    assert_eq!(office.execute(7, &payload, &[&office.job]), first);
    assert!(matches!(office.answers(8, &payload, &[&office.job]), Answer::Copy));
    assert!(matches!(office.answers(8, &command("c-2", json!({})), &[&office.job]), Answer::Unverified));
}

#[test]
fn a_hold_keeps_what_is_due_until_two_keys_release_it() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let placed = office.execute(0, &hold("c-1", "case-17", "acme"), &[&office.legal]);
    assert_eq!((placed.outcome, placed.why, placed.unusable_after), (Outcome::HoldPlaced, None, None));
    let why = |offset, payload: &[u8], keys: &[&SigningKey]| office.execute(offset, payload, keys).why;
    assert_eq!(why(1, &command("c-2", json!({})), &[&office.job]), Some(Why::Held));
    assert_eq!(why(2, &release("c-3", "case-17", "acme"), &[&office.legal]), Some(Why::NotAuthorized));
    let both = [&office.legal, &office.dpo];
    assert_eq!(why(3, &release("c-4", "case-18", "acme"), &both), Some(Why::UnknownHold));
    assert_eq!(why(4, &release("c-5", "case-17", "ajax"), &both), Some(Why::UnknownHold));
    assert_eq!(why(5, &hold("c-6", "case-17", "ajax"), &[&office.dpo]), Some(Why::HoldIdReuse));
    assert_eq!(why(6, &hold("c-7", "case-19", "acme"), &[&office.job]), Some(Why::NotAuthorized));
    assert_eq!(office.world.store.live_keys(), 1);
    let lifted = office.execute(7, &release("c-3", "case-17", "acme"), &both);
    assert_eq!((lifted.outcome, lifted.signers.len()), (Outcome::HoldReleased, 2));
    assert_eq!(office.execute(8, &command("c-8", json!({})), &[&office.job]).outcome, Outcome::Erased);
}

#[test]
fn unsigned_mode_accepts_retention_end_and_nothing_else() {
    let mut office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    office.world.signatures_required = false;
    for (offset, payload) in
        [(0, early("c-1")), (1, hold("c-1", "case-17", "acme")), (2, release("c-1", "x", "acme"))]
    {
        let receipt = office.world.execute(offset, &payload);
        assert_eq!((receipt.outcome, receipt.why), (Outcome::Refused, Some(Why::SignatureRequired)));
        assert!(matches!(office.world.try_execute(offset + 10, &payload), Ok(Answer::Copy)));
    }
    assert_eq!(
        office.execute(20, &early("c-1"), &[&office.dpo, &office.legal]).outcome,
        Outcome::NothingToErase
    );
    assert_eq!(office.world.execute(21, &due_hours("c-2")).outcome, Outcome::Erased);
}

#[test]
fn a_failure_at_any_call_of_a_hold_gives_no_receipt_and_the_redo_gives_the_one() {
    let run = |answers| {
        let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
        let signed = enveloped(&hold("c-1", "case-17", "acme"), &[&office.legal]);
        office.world.store.state().answers = answers;
        let first = office.world.try_execute(0, &signed).is_ok();
        office.world.store.state().answers = None;
        (first, office.world.execute(0, &signed), office.world.store.state().holds.len())
    };
    let undisturbed = run(None).1;
    for answers in 0..100 {
        let (first, receipt, holds) = run(Some(answers));
        assert_eq!((&receipt.outcome, holds), (&undisturbed.outcome, 1), "after {answers} calls");
        if first {
            assert!(answers > 4, "it asks the store more than {answers} times");
            return;
        }
    }
    panic!("it never ends");
}

#[test]
fn a_restored_store_gets_its_holds_and_its_early_erasures_again() {
    let office = Office::of(FakeStore::default().with_keys(LATER, 1));
    let both = [&office.dpo, &office.legal];
    let erased = office.execute(0, &early("c-1"), &both);
    let held = office.execute(1, &hold("c-2", "case-17", "acme"), &both);
    let lifted = office.execute(2, &release("c-3", "case-17", "acme"), &both);
    let restored = World::of(FakeStore::default().with_keys(LATER, 1).with_keys(HOUR, 1));
    assert_eq!(restored.restore(&erased).expect("no error"), Restored::Again);
    assert_eq!(restored.store.live_keys(), 1);
    restored.restore(&held).expect("no error");
    assert_eq!(restored.store.state().holds.len(), 1);
    restored.restore(&lifted).expect("no error");
    assert!(restored.store.state().holds.is_empty());
    let forged = Receipt { signers: Vec::new(), ..erased };
    let again = World::of(FakeStore::default().with_keys(LATER, 1));
    assert!(matches!(again.restore(&forged), Err(ExecuteError::Premature(_))));
}

/// A customer as a whole.
fn everything(id: &str) -> Vec<u8> {
    let nothing = json!({ "type": "erase-customer", "reason": null, "from_hour": null, "to_hour": null });
    command(id, nothing)
}

#[test]
fn two_people_have_a_customer_forgotten_as_a_whole() {
    let long_ago = Hour(HOUR.0 - 5_000);
    let office = Office::of(FakeStore::default().with_keys(long_ago, 1).with_keys(LATER, 2));
    assert!(matches!(office.answers(0, &everything("c-1"), &[]), Answer::Unverified));
    let alone = office.execute(1, &everything("c-1"), &[&office.dpo]);
    assert_eq!((alone.outcome, alone.why), (Outcome::Refused, Some(Why::NotAuthorized)));
    assert!(office.world.store.state().closed() == 0 && office.world.store.live_keys() == 3);

    let receipt = office.execute(2, &everything("c-1"), &[&office.dpo, &office.legal]);
    assert_eq!((receipt.outcome, receipt.key_count, receipt.due), (Outcome::Erased, 3, None));
    let now = Hour::containing(NOW).expect("an hour");
    assert_eq!(
        (receipt.from, receipt.to),
        (long_ago, now.plus(2)),
        "from the first key to what could get one"
    );
    assert_eq!(office.world.store.state().closed(), 1);
    let fenced = now.0 + 2 - long_ago.0 + 1;
    assert_eq!((office.world.store.live_keys(), office.world.store.fenced_hours()), (0, fenced as usize));
    let calls = office.world.store.state().calls.clone();
    let at = |name| calls.iter().position(|call| *call == name).expect("it was called");
    assert!(at("store_verdict") < at("close_customer") && at("close_customer") < at("fence"));
}

#[test]
fn a_customer_of_whom_anything_is_held_is_not_forgotten() {
    let office = Office::of(FakeStore::default().with_keys(HOUR, 1));
    let both = [&office.dpo, &office.legal];
    let to_come =
        json!({ "type": "hold", "reason": null, "hold": "case", "from_hour": u32::MAX, "to_hour": u32::MAX });
    office.execute(0, &command("c-1", to_come), &both);
    let held = office.execute(1, &everything("c-2"), &both);
    assert_eq!((held.outcome, held.why), (Outcome::Refused, Some(Why::Held)), "also of hours without a key");
    assert!(office.world.store.state().closed() == 0);
    office.execute(2, &release("c-3", "case", "acme"), &both);
    assert_eq!(office.execute(3, &everything("c-4"), &both).outcome, Outcome::Erased);
}

#[test]
fn a_customers_erasure_is_redone_wherever_it_was_cut_off_and_applied_again_to_a_restored_store() {
    let signed = |office: &Office| enveloped(&everything("c-1"), &[&office.dpo, &office.legal]);
    let fresh = || Office::of(FakeStore::default().with_keys(LATER, 2));
    let office = fresh();
    let undisturbed = office.world.execute(0, &signed(&office));
    for answers in [0, 3, 5, 6, 7, 8, 9, 50, 500] {
        let office = fresh();
        office.world.store.state().answers = Some(answers);
        assert!(office.world.try_execute(0, &signed(&office)).is_err(), "after {answers} calls");
        office.world.store.state().answers = None;
        assert_eq!(
            office.world.execute(0, &signed(&office)),
            Receipt { id: undisturbed.id, ..undisturbed.clone() }
        );
    }
    let restored = World::of(FakeStore::default().with_keys(LATER, 2));
    assert_eq!(restored.restore(&undisturbed).expect("no error"), Restored::Again);
    assert_eq!((restored.store.live_keys(), restored.store.state().closed()), (0, 1));
}
