//! The executor's dependencies.

use std::sync::Arc;
use std::time::Duration;

use super::error::ExecuteError;
use crate::forget::command::trust::Trust;
use crate::forget::receipt::content::{ASSUMPTIONS, Receipt, l3_by};
use crate::keys::{KekVault, Keks, Meta, ReadStore, Store};
use crate::model::{Clock, KekId, Millis, earliest};

/// The dependencies and settings of an executor.
#[derive(Clone)]
pub(in crate::forget) struct Context {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    /// The KEKs that one run has used so far: a run begins with none.
    pub keks: Arc<Keks>,
    /// The keys whose signatures count. `None`: no signature counts. An error: the trust store cannot be
    /// read, and commands wait.
    pub trust: Result<Option<Arc<Trust>>, String>,
    /// This is the last try: a request that an unusable row stops ends as it is.
    pub is_last_try: bool,
    /// `control.require_signatures`.
    pub signatures_required: bool,
    /// The assumptions of receipts besides [`ASSUMPTIONS`].
    pub assumptions: Vec<String>,
    /// [`SETTLES_IN`](crate::forget::SETTLES_IN). Tests that do not depend on time set it shorter.
    pub settles_in: Duration,
}

impl Context {
    /// Returns a copy for one run. It trusts the keys of `trust`, and has used no KEK yet.
    pub fn for_run(&self, trust: Result<Option<Arc<Trust>>, String>, is_last_try: bool) -> Self {
        let keks = Arc::new(Keks::new(self.store.clone(), Arc::clone(&self.vault)));
        Self { trust, is_last_try, keks, ..self.clone() }
    }

    /// Whether a request ends now although this error stopped it.
    pub fn gives_up(&self, error: &ExecuteError) -> bool {
        self.is_last_try && error.is_of_one_customer()
    }

    /// The earlier of the worker's and the store's clock.
    pub async fn now(&self) -> Result<Millis, ExecuteError> {
        time(&*self.store, &*self.clock).await
    }

    /// Adds the deadlines to a receipt, and the assumptions on which they rest.
    pub fn with_deadlines<'a>(
        &self,
        receipt: Receipt,
        meta: &Meta,
        keks: impl Iterator<Item = &'a KekId>,
    ) -> Receipt {
        let general = ASSUMPTIONS.iter().map(ToString::to_string);
        Receipt {
            // If a hold kept keys beyond the day of their KEK, that deadline is now.
            l3_by: l3_by(keks).map(|at| at.max(receipt.done_at)),
            unusable_after: Some(lease_after(receipt.done_at, meta)),
            assumptions: general.chain(self.assumptions.iter().cloned()).collect(),
            ..receipt
        }
    }
}

/// The earlier of the worker's and the store's clock.
pub(in crate::forget) async fn time(
    store: &dyn ReadStore,
    clock: &dyn Clock,
) -> Result<Millis, ExecuteError> {
    let of_store = store.now().await?;
    Ok(earliest(clock.now(), of_store)?)
}

/// Returns the time from which on no process uses a key that it had cached at `done_at`.
pub(super) fn lease_after(done_at: Millis, meta: &Meta) -> Millis {
    done_at.plus(i64::try_from(meta.max_lease_ms).unwrap_or(i64::MAX))
}
