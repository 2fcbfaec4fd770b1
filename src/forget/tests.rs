//! Tests of executing and following, against a mock of the key store. `tests/it` tests the real stores in the
//! same way.

mod ending;
mod executing;
mod following;
mod signing;
mod stepping;
mod stopping;
mod store;
mod sweeping;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Runtime;

pub(super) use self::store::FakeStore;
use super::execute::answer::Answer;
use super::execute::context::Context;
use super::execute::request::Request;
use super::execute::run::execute_all;
use super::follow::restore::{Restored, restore};
use super::*;
use crate::envelope::Kek;
use crate::keys::*;
use crate::model::*;

const STORE: StoreId = StoreId([0xAA; 16]);
pub(super) const HOUR: Hour = Hour(500_000);
/// The default retention.
const RETENTION: u16 = 720;
/// The time at which [`HOUR`] and the next two hours are due.
pub(super) const NOW: Millis = Hour(HOUR.0 + 3 + RETENTION as u32).start();
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

pub(super) fn acme() -> CustomerId {
    CustomerId::parse("acme").expect("a valid id")
}

pub(super) fn a_receipt(outcome: Outcome) -> Receipt {
    let deed = Deed::Command(Act::Erase(Reason::RetentionEnd));
    let named = (Digest([7; 32]), "c-1".to_owned());
    let token = Some(FakeStore::default().token(&acme()));
    Receipt { token, ..Receipt::new(named, deed, outcome, (HOUR, HOUR.plus(1)), NOW, STORE) }
}

/// Returns the receipt of a sweep over one hour of this many customers, and the swept hours.
pub(super) fn a_sweep(customers: u8) -> (Receipt, Vec<SweptHour>) {
    let swept = |n| SweptHour { token: Token([n; 16]), hour: HOUR, key_count: 0, keys: Vec::new() };
    let hours: Vec<SweptHour> = (0..customers).map(swept).collect();
    let deed = Deed::Sweep(SweptBatch::of(&hours));
    (Receipt { deed, token: None, to: HOUR, ..a_receipt(Outcome::NothingToErase) }, hours)
}

fn kek_row(id: &KekId, state: KekState) -> KekRow {
    KekRow { id: id.clone(), check: [0; 16], state }
}

/// A mock of a vault. It holds only ids.
#[derive(Default)]
pub(super) struct FakeVault {
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
            return Err(VaultError::Unavailable("switched off by the test".to_owned()));
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

/// A command's bytes.
fn bytes(id: &str, customer: &str, hours: (u32, u32), reason: &str) -> Vec<u8> {
    let (from_hour, to_hour) = hours;
    let command = serde_json::json!({ "id": id, "type": "erase", "customer": customer, "from_hour": from_hour,
        "to_hour": to_hour, "reason": reason });
    command.to_string().into_bytes()
}

pub(super) fn due_hours(id: &str) -> Vec<u8> {
    bytes(id, "acme", (HOUR.0, HOUR.0 + 2), "retention-end")
}

fn message(bytes: &[u8]) -> Message {
    Unverified::new(Some(bytes)).expect("bytes").parse().expect("well formed")
}

pub(super) struct World {
    pub(super) runtime: Runtime,
    store: Arc<FakeStore>,
    vault: Arc<FakeVault>,
    trust: Option<Arc<Trust>>,
    signatures_required: bool,
}

impl World {
    pub(super) fn of(store: FakeStore) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self {
            runtime: runtime.expect("a runtime"),
            store: Arc::new(store),
            vault: Arc::default(),
            trust: None,
            signatures_required: false,
        }
    }

    pub(super) fn context(&self) -> Context {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let vault = Arc::clone(&self.vault) as Arc<dyn KekVault>;
        Context {
            keks: Arc::new(Keks::new(store.clone(), Arc::clone(&vault))),
            store,
            vault,
            clock: Arc::new(FakeClock),
            trust: Ok(self.trust.clone()),
            is_last_try: false,
            signatures_required: self.signatures_required,
            assumptions: vec!["the vault is a file".to_owned()],
            settles_in: Duration::ZERO,
        }
    }

    fn try_execute(&self, offset: i64, bytes: &[u8]) -> Result<Answer, ExecuteError> {
        let request = Request::read(offset, Some(bytes), Some(Millis(9))).expect("well formed");
        let ctx = self.context();
        let mut report = self.runtime.block_on(execute_all(&ctx, &[request]));
        match report.error {
            None => Ok(report.answers.pop().flatten().expect("each request has its answer")),
            Some(error) => Err(error),
        }
    }

    fn execute(&self, offset: i64, bytes: &[u8]) -> Receipt {
        match self.try_execute(offset, bytes).expect("no error") {
            Answer::Receipt(receipt) => *receipt,
            answer => panic!("{answer:?}"),
        }
    }

    fn restore(&self, receipt: &Receipt) -> Result<Restored, ExecuteError> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let vault = Arc::clone(&self.vault) as Arc<dyn KekVault>;
        self.runtime.block_on(restore(&store, &vault, &FakeClock, receipt, &[]))
    }
}
