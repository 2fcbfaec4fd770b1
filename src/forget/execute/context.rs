//! What an executor works with, and why it may not get on.

use std::sync::Arc;
use std::time::Duration;

use crate::forget::command::trust::Trust;
use crate::forget::receipt::content::{ASSUMPTIONS, Receipt, l3_by};
use crate::keys::{KekVault, KeysError, Meta, ReadStore, Store, StoreError, VaultError};
use crate::model::{Clock, ClocksApart, Digest, KekId, Millis, earliest};
use crate::stream::{Wait, Waiting};

/// Why an execution cannot go on now. It waits and begins again; no receipt is written meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys could not be wrapped anew.
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Clocks(#[from] ClocksApart),
    #[error("the verdict stored for command {0} is not of this version")]
    Verdict(Digest),
    #[error(
        "receipt {0} says erased, but the key store says that its hours are not due, and nobody has signed that they go early: a \
         person has to look"
    )]
    Premature(Digest),
    #[error(
        "receipt {0} says that KEK {1} is destroyed, and the vault has it: a copy was put back, and a person has to look"
    )]
    KekIsBack(Digest, KekId),
    #[error("what receipt {0} says was applied again and is not confirmed by the key store")]
    NotRestored(Digest),
    #[error("{0}")]
    Trust(String),
    #[error("the task that executes commands ended")]
    Ended,
}

impl Trouble {
    /// What the executor waits for, and why.
    pub(super) fn waiting(&self) -> Waiting {
        let cause = match self {
            Self::Store(_)
            | Self::Verdict(_)
            | Self::Premature(_)
            | Self::NotRestored(_)
            | Self::Keys(KeysError::Contradiction(_) | KeysError::Contended(_)) => Wait::Store,
            Self::Vault(_) | Self::KekIsBack(..) | Self::Keys(KeysError::Vault(_)) => Wait::Vault,
            Self::Keys(_) => Wait::Kek,
            Self::Clocks(_) => Wait::Clocks,
            Self::Trust(_) => Wait::Trust,
            Self::Ended => Wait::Pending,
        };
        Waiting::new(cause, self.to_string())
    }
}

/// What passes with time is told from what a person has to look at.
impl From<KeysError> for Trouble {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::ClocksApart(error) => Self::Clocks(error),
            error => Self::Keys(error),
        }
    }
}

/// What an executor works with.
#[derive(Clone)]
pub(in crate::forget) struct Desk {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    /// Whose signatures count; nobody's where there is none.
    pub trust: Option<Arc<Trust>>,
    /// `control.require_signatures`.
    pub signatures_required: bool,
    /// What receipts rest on besides [`ASSUMPTIONS`].
    pub assumptions: Vec<String>,
    /// [`SETTLES_IN`](crate::forget::SETTLES_IN), but for tests of what time has no part in.
    pub settles_in: Duration,
}

/// The earlier of the worker's and the store's clock.
pub(in crate::forget) async fn time(store: &dyn ReadStore, clock: &dyn Clock) -> Result<Millis, Trouble> {
    let of_store = store.now().await?;
    Ok(earliest(clock.now(), of_store)?)
}

/// From then on no process uses what it had cached at `done_at`.
pub(in crate::forget) fn lease_after(done_at: Millis, meta: &Meta) -> Millis {
    done_at.plus(i64::try_from(meta.max_lease_ms).unwrap_or(i64::MAX))
}

/// What a receipt says of the time to come, and what that rests on.
pub(in crate::forget) fn promises<'a>(
    receipt: Receipt,
    desk: &Desk,
    meta: &Meta,
    keks: impl Iterator<Item = &'a KekId>,
) -> Receipt {
    let general = ASSUMPTIONS.iter().map(ToString::to_string);
    Receipt {
        // What a hold kept beyond its day is due at once.
        l3_by: l3_by(keks).map(|at| at.max(receipt.done_at)),
        unusable_after: Some(lease_after(receipt.done_at, meta)),
        assumptions: general.chain(desk.assumptions.iter().cloned()).collect(),
        ..receipt
    }
}
