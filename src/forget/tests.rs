//! Executing and following, against a mock of the key store. The real stores are held to the same in `tests/it`.

mod ending;
mod executing;
mod following;
mod signing;
mod stepping;
mod sweeping;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Runtime;

use super::desk::{Desk, Trouble};
use super::execute::{Answer, execute};
use super::request::{CallRequest, Job, Request};
use super::restore::{Restored, restore};
use super::retain::Changes;
use super::*;
use crate::envelope::Kek;
use crate::keys::*;
use crate::model::*;

const STORE: StoreId = StoreId([0xAA; 16]);
const HOUR: Hour = Hour(500_000);
/// The default retention.
const RETENTION: u16 = 720;
/// When [`HOUR`] and the next two are due.
const NOW: Millis = Hour(HOUR.0 + 3 + RETENTION as u32).start();
const LEASE_MS: u64 = 60_000;

pub(super) fn meta(last_receipt: Option<i64>) -> Meta {
    Meta {
        store: STORE,
        vault: VaultId([0xBB; 16]),
        schema_version: 1,
        max_lease_ms: LEASE_MS,
        default_retention: Retention::hours(RETENTION).expect("hours"),
        last_receipt,
    }
}

fn acme() -> CustomerId {
    CustomerId::parse("acme").expect("a valid id")
}

pub(super) fn a_receipt(outcome: Outcome) -> Receipt {
    Receipt {
        id: Digest([7; 32]),
        command: "c-1".to_owned(),
        deed: Deed::Command(Act::Erase(Reason::RetentionEnd)),
        issuer: None,
        signers: Vec::new(),
        outcome,
        why: None,
        token: Some(FakeStore::default().token(&acme())),
        from: HOUR,
        to: HOUR.plus(1),
        keys: Vec::new(),
        key_count: 0,
        requested_at: None,
        due: None,
        done_at: NOW,
        l3_by: None,
        unusable_after: None,
        assumptions: Vec::new(),
        store: STORE,
    }
}

/// The receipt of a sweep over one hour of this many customers, and these hours.
pub(super) fn a_sweep(customers: u8) -> (Receipt, Vec<SweptHour>) {
    let swept = |n| SweptHour { token: Token([n; 16]), hour: HOUR, key_count: 0, keys: Vec::new() };
    let hours: Vec<SweptHour> = (0..customers).map(swept).collect();
    let deed = Deed::Sweep(SweptBatch::of(&hours));
    (Receipt { deed, token: None, to: HOUR, ..a_receipt(Outcome::NothingToErase) }, hours)
}

fn kek_row(id: &KekId, state: KekState) -> KekRow {
    KekRow { id: id.clone(), check: [0; 16], state }
}

/// A mock of a vault: the ids that it has.
#[derive(Default)]
struct FakeVault {
    ids: Mutex<BTreeSet<KekId>>,
    away: AtomicBool,
}

#[async_trait]
impl KekVault for FakeVault {
    fn id(&self) -> VaultId {
        VaultId([0xBB; 16])
    }

    async fn find(&self, id: &KekId) -> Result<Option<Kek>, VaultError> {
        Ok(self.ids.lock().expect("not poisoned").contains(id).then(Kek::random))
    }

    async fn create(&self, _id: &KekId) -> Result<Kek, VaultError> {
        unreachable!("forgetting makes no KEK")
    }

    async fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(VaultError::Unavailable("told to be away".to_owned()));
        }
        self.ids.lock().expect("not poisoned").remove(id);
        Ok("it is forgotten")
    }
}

struct FakeClock;

impl Clock for FakeClock {
    fn now(&self) -> Millis {
        NOW
    }

    fn boot_ms(&self) -> u64 {
        1_000
    }
}

/// A mock of a key store: gates, keys and verdicts in memory. It can be told to be away.
#[derive(Default)]
struct FakeStore {
    state: Mutex<FakeState>,
    skew_ms: i64,
    /// Keys stay live whatever erase answers.
    broken: bool,
}

#[derive(Default)]
struct FakeState {
    hours: BTreeMap<(Token, Hour), HourRow>,
    verdicts: HashMap<Digest, Vec<u8>>,
    ids: HashMap<String, Digest>,
    holds: Vec<Hold>,
    /// A hold that is seen by fences and erasures only, as one that comes after the decision.
    late_hold: Option<Hour>,
    keks: BTreeMap<KekId, KekState>,
    closed: BTreeSet<Token>,
    mark: Option<i64>,
    /// How many more calls it answers before it is away; `None` = all.
    answers: Option<usize>,
    calls: Vec<&'static str>,
}

impl FakeStore {
    /// A customer's hour with live keys in this many generations.
    fn with_keys(self, hour: Hour, generations: u16) -> Self {
        let token = self.token(&acme());
        let gate = Gate {
            due: Due::of(hour, meta(None).default_retention),
            kek: Some(KekId::of_due(Due::of(hour, meta(None).default_retention))),
            fenced: false,
            hold: None,
            command: None,
        };
        let keys = (0..generations).map(|generation| KeyRow {
            generation: Generation(generation),
            state: KeyState::Live,
            key_id: KeyId([generation as u8; 16]),
            commitment: [generation as u8; 32],
            kek: KekId::of_due(gate.due),
            wrapped: None,
            minted_at: Millis(0),
            erased_at: None,
            command: None,
        });
        let row = HourRow { token, hour, keys: keys.collect(), gate: gate.clone() };
        self.state().hours.insert((token, hour), row);
        self
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().expect("no test panics while it holds it")
    }

    fn call(&self, name: &'static str) -> Result<MutexGuard<'_, FakeState>, StoreError> {
        let mut state = self.state();
        state.calls.push(name);
        match &mut state.answers {
            Some(0) => return Err(StoreError::Unavailable("told to be away".to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }

    fn live_keys(&self) -> usize {
        let state = self.state();
        let keys = state.hours.values().flat_map(|row| &row.keys);
        keys.filter(|key| key.state == KeyState::Live).count()
    }

    fn fenced_hours(&self) -> usize {
        self.state().hours.values().filter(|row| row.gate.fenced).count()
    }

    fn hold(&self, hour: Hour) {
        let mut state = self.state();
        let row = state.hours.get_mut(&(self.token(&acme()), hour)).expect("an hour with a gate");
        row.gate.hold = Some(HoldId(b"h".to_vec()));
    }
}

#[async_trait]
impl KeyStore for FakeStore {
    async fn now(&self) -> Result<Millis, StoreError> {
        self.call("now").map(|_| NOW.plus(self.skew_ms))
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        self.call("meta").map(|state| meta(state.mark))
    }

    fn token(&self, customer: &CustomerId) -> Token {
        let mut token = [0; 16];
        token.iter_mut().zip(customer.as_bytes()).for_each(|(to, from)| *to = from ^ 0x55);
        Token(token)
    }

    fn digest(&self, _bytes: &[u8]) -> [u8; 16] {
        unreachable!("forgetting does not ask for it")
    }

    async fn fetch(&self, _slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        unreachable!("forgetting does not ask for it")
    }

    async fn mint(&self, _candidates: &[Candidate], _now: Millis) -> Result<Vec<Minted>, StoreError> {
        unreachable!("forgetting mints nothing")
    }

    async fn register_kek(&self, _id: &KekId, _check: [u8; 16]) -> Result<KekRow, StoreError> {
        unreachable!("forgetting does not ask for it")
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        self.call("kek").map(|state| state.keks.get(id).map(|state| kek_row(id, *state)))
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let mut state = self.call("advance_kek")?;
        let Some(stands) = state.keks.get_mut(id) else { return Ok(None) };
        *stands = to.max(*stands);
        Ok(Some(kek_row(id, *stands)))
    }

    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        let state = self.call("keks")?;
        Ok(state.keks.iter().map(|(id, state)| kek_row(id, *state)).collect())
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        let state = self.call("live_keys")?;
        let mut live = BTreeMap::new();
        let keys = state.hours.values().flat_map(|row| &row.keys);
        for key in keys.filter(|key| key.state == KeyState::Live) {
            *live.entry(key.kek.clone()).or_default() += 1;
        }
        Ok(live)
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        let state = self.call("hours_under")?;
        let live = |key: &KeyRow| key.state == KeyState::Live && key.kek == *kek;
        let hours = state.hours.iter().filter(|(_, row)| row.keys.iter().any(live));
        Ok(hours.map(|(place, _)| *place).take(limit).collect())
    }

    async fn rewrap(&self, _: &Rewrap, _: Millis) -> Result<Option<HourRow>, StoreError> {
        unreachable!("there is nothing to unwrap here: `tests/it` has the real stores")
    }

    async fn customer(&self, _token: Token) -> Result<Option<Customer>, StoreError> {
        self.call("customer").map(|_| None)
    }

    async fn customers(&self, _: Option<Token>, _: usize) -> Result<Vec<(Token, Customer)>, StoreError> {
        unreachable!("forgetting does not ask for it")
    }

    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        let state = self.call("hours")?;
        Ok(state.hours.range((token, from)..=(token, to)).map(|(_, row)| row.clone()).collect())
    }

    async fn due_hours(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let state = self.call("due_hours")?;
        let open = state.hours.values().filter(|row| !row.gate.fenced && row.gate.due.0 <= until.0);
        let hours = open.map(|row| DueHour { due: row.gate.due, token: row.token, hour: row.hour });
        let mut hours: Vec<DueHour> = hours.filter(|hour| Some(*hour) > after).collect();
        hours.sort_unstable();
        hours.truncate(limit);
        Ok(hours)
    }

    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
        let mut state = self.call("fence")?;
        let empty = Gate { due, kek: None, fenced: false, hold: None, command: None };
        let late_hold = state.late_hold == Some(hour);
        let row = state.hours.entry((token, hour)).or_insert(HourRow {
            token,
            hour,
            gate: empty,
            keys: Vec::new(),
        });
        if late_hold || row.gate.hold.is_some() {
            return Ok(Fence::Held(HoldId(b"h".to_vec())));
        }
        row.gate.fenced = true;
        row.gate.command.get_or_insert(command);
        Ok(Fence::Fenced)
    }

    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        let mut state = self.call("erase")?;
        let late_hold = state.late_hold == Some(hour);
        let Some(row) = state.hours.get_mut(&(token, hour)).filter(|row| row.gate.fenced) else {
            return Ok(Erasure::NotFenced);
        };
        if late_hold || row.gate.hold.is_some() {
            return Ok(Erasure::Held(HoldId(b"h".to_vec())));
        }
        for key in row.keys.iter_mut().filter(|key| key.state == KeyState::Live && !self.broken) {
            (key.state, key.erased_at, key.command) = (KeyState::Erased, Some(now), Some(command));
        }
        Ok(Erasure::Erased(row.keys.clone()))
    }

    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let mut rows = Vec::new();
        for &DueHour { token, hour, due } in hours {
            if self.fence(token, hour, due, command).await? == Fence::Fenced {
                self.erase(token, hour, command, now).await?;
            }
            rows.push(self.hours(token, hour, hour).await?.pop());
        }
        Ok(rows)
    }

    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        let mut state = self.call("place_hold")?;
        if state.holds.iter().any(|there| there.id == hold.id && there != hold) {
            return Ok(Placed::IdReuse);
        }
        state.holds.retain(|there| there.id != hold.id);
        state.holds.push(hold.clone());
        for (_, row) in state.hours.range_mut((hold.token, hold.from)..=(hold.token, hold.to)) {
            row.gate.hold.get_or_insert(hold.id.clone());
        }
        Ok(Placed::InForce)
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        let mut state = self.call("release_hold")?;
        state.holds.retain(|hold| hold.id != *id);
        state
            .hours
            .values_mut()
            .for_each(|row| row.gate.hold = row.gate.hold.take().filter(|hold| hold != id));
        Ok(())
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        self.call("hold").map(|state| state.holds.iter().find(|hold| hold.id == *id).cloned())
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.call("holds").map(|state| state.holds.clone())
    }

    async fn keep_fence(&self, _: Token, _: Hour, _: Due, _: Millis) -> Result<(), StoreError> {
        unreachable!("no retention is changed here")
    }

    async fn set_retention(
        &self,
        _: Token,
        _: Option<Retention>,
        _: Option<Retention>,
    ) -> Result<bool, StoreError> {
        unreachable!("there are no customers here: `tests/it` has the real stores")
    }

    async fn raise_floor(&self, _: Token, _: Hour) -> Result<(), StoreError> {
        unreachable!("forgetting raises no floor yet")
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        self.call("close_customer").map(|mut state| state.closed.insert(token)).map(drop)
    }

    async fn expire_markers(&self, _: Due) -> Result<u64, StoreError> {
        unreachable!("a job of the store")
    }

    async fn expire_secrets(&self, _: Due, _: Millis) -> Result<u64, StoreError> {
        unreachable!("a job of the store")
    }

    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        let mut state = self.call("store_verdict")?;
        if let Some(before) = state.verdicts.get(&digest) {
            return Ok(Stored::Before(before.clone()));
        }
        if state.ids.contains_key(id) {
            return Ok(Stored::IdReuse);
        }
        state.ids.insert(id.to_owned(), digest);
        state.verdicts.insert(digest, body.to_vec());
        Ok(Stored::New)
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.call("verdict").map(|state| state.verdicts.get(&digest).cloned())
    }

    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        self.call("applied_receipt").map(|mut state| state.mark = state.mark.max(Some(offset)))
    }

    async fn started(&self, _input: &str) -> Result<Vec<i32>, StoreError> {
        unreachable!("the start log asks for it")
    }

    async fn mark_started(&self, _input: &str, _partitions: &[i32]) -> Result<(), StoreError> {
        unreachable!("the start log asks for it")
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        unreachable!("a metric asks for it")
    }
}

/// A command's bytes.
fn bytes(id: &str, customer: &str, hours: (u32, u32), reason: &str) -> Vec<u8> {
    let (from_hour, to_hour) = hours;
    let command = serde_json::json!({ "id": id, "type": "erase", "customer": customer, "from_hour": from_hour,
        "to_hour": to_hour, "reason": reason });
    command.to_string().into_bytes()
}

fn due_hours(id: &str) -> Vec<u8> {
    bytes(id, "acme", (HOUR.0, HOUR.0 + 2), "retention-end")
}

fn message(bytes: &[u8]) -> Message {
    Unverified::new(Some(bytes)).expect("bytes").parse().expect("well formed")
}

struct World {
    runtime: Runtime,
    store: Arc<FakeStore>,
    vault: Arc<FakeVault>,
    trust: Option<Arc<Trust>>,
    signatures_required: bool,
}

impl World {
    fn of(store: FakeStore) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self {
            runtime: runtime.expect("a runtime"),
            store: Arc::new(store),
            vault: Arc::default(),
            trust: None,
            signatures_required: false,
        }
    }

    fn try_execute(&self, offset: i64, bytes: &[u8]) -> Result<Answer, Trouble> {
        let requested_at = Some(Millis(9));
        let job = match Call::parse(bytes) {
            Some(call) => Job::Call(CallRequest { offset, call, requested_at }),
            None => Job::Command(Box::new(Request { offset, message: message(bytes), requested_at })),
        };
        let desk = Desk {
            store: Arc::clone(&self.store) as Arc<dyn KeyStore>,
            vault: Arc::clone(&self.vault) as Arc<dyn KekVault>,
            clock: Arc::new(FakeClock),
            trust: self.trust.clone(),
            signatures_required: self.signatures_required,
            assumptions: vec!["the vault is a file".to_owned()],
            settles_in: Duration::ZERO,
        };
        self.runtime.block_on(async {
            let mut changes = Changes::new(&desk);
            let answer = execute(&desk, &job, &mut changes).await?;
            changes.settle().await?;
            Ok(answer)
        })
    }

    fn execute(&self, offset: i64, bytes: &[u8]) -> Receipt {
        match self.try_execute(offset, bytes).expect("no trouble") {
            Answer::Receipt(receipt) => *receipt,
            answer => panic!("{answer:?}"),
        }
    }

    fn restore(&self, receipt: &Receipt) -> Result<Restored, Trouble> {
        let store = Arc::clone(&self.store) as Arc<dyn KeyStore>;
        let vault = Arc::clone(&self.vault) as Arc<dyn KekVault>;
        self.runtime.block_on(restore(&store, &vault, &FakeClock, receipt, &[]))
    }
}
