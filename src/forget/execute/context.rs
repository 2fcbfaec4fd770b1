//! The executor's dependencies.

use std::sync::Arc;
use std::time::Duration;

use super::error::ExecuteError;
use crate::forget::command::trust::Trust;
use crate::forget::receipt::content::{ASSUMPTIONS, Receipt, l3_by};
use crate::keys::{KekVault, Keks, Meta, ReadStore, Store};
use crate::model::{Clock, KekId, Millis, earliest};

/// What an executor works with.
#[derive(Clone)]
pub(in crate::forget) struct Context {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    /// The KEKs that one run has met: a run begins with none.
    pub keks: Arc<Keks>,
    /// Whose signatures count; nobody's where there is none.
    pub trust: Option<Arc<Trust>>,
    /// `control.require_signatures`.
    pub signatures_required: bool,
    /// What receipts rest on besides [`ASSUMPTIONS`].
    pub assumptions: Vec<String>,
    /// [`SETTLES_IN`](crate::forget::SETTLES_IN), but for tests of what time has no part in.
    pub settles_in: Duration,
}

impl Context {
    /// The same for one run: it trusts whom `trust` names, and has met no KEK yet.
    pub fn for_run(&self, trust: Option<Arc<Trust>>) -> Self {
        let keks = Arc::new(Keks::new(self.store.clone(), Arc::clone(&self.vault)));
        Self { trust, keks, ..self.clone() }
    }

    /// The earlier of the worker's and the store's clock.
    pub async fn now(&self) -> Result<Millis, ExecuteError> {
        time(&*self.store, &*self.clock).await
    }

    /// The receipt with its deadlines, and what these rest on.
    pub fn with_deadlines<'a>(
        &self,
        receipt: Receipt,
        meta: &Meta,
        keks: impl Iterator<Item = &'a KekId>,
    ) -> Receipt {
        let general = ASSUMPTIONS.iter().map(ToString::to_string);
        Receipt {
            // What a hold kept beyond its day is due at once.
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

/// From then on no process uses what it had cached at `done_at`.
pub(super) fn lease_after(done_at: Millis, meta: &Meta) -> Millis {
    done_at.plus(i64::try_from(meta.max_lease_ms).unwrap_or(i64::MAX))
}
