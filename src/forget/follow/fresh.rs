//! Before somebody without a lease opens anything: the store must have every erasure that its receipts tell
//! of.
//!
//! A worker applies what is missing ([`Following`](crate::forget::Following)). Who only reads may not write,
//! and is refused instead. The store's mark is looked at first, so that this costs one question to the broker
//! where nothing has happened since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::progress::{Action, Follower, Gap};
use super::restore::still_has;
use super::tail::{Tail, TailError, patiently, poll};
use crate::forget::execute::error::ExecuteError;
use crate::forget::receipt::content::NotAReceipt;
use crate::keys::{KekVault, ReadStore, StoreError};

/// Longest time without a record or an end: a broker that does not answer, or a transaction that was left
/// open.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub enum NotFresh {
    /// A copy of the store was put back.
    #[error("the key store still has what receipt {offset} says is gone: it is older than its receipts")]
    Behind { offset: i64 },
    #[error("record {offset} of the receipts topic is not understood: {why}")]
    Unknown { offset: i64, why: NotAReceipt },
    #[error(transparent)]
    Gap(#[from] Gap),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error(
        "the receipts topic was not read to its end: for {} s nothing came, as while a transaction stays open",
        PATIENCE.as_secs()
    )]
    Endless,
}

/// Reads the receipts that the store has not marked as applied, and makes sure that it has what they say.
/// Changes nothing.
///
/// # Errors
/// [`NotFresh`]: keys must not be used, whether the store is behind or that is not known.
pub fn ensure_fresh(
    tail: &mut impl Tail,
    store: &dyn ReadStore,
    vault: &Arc<dyn KekVault>,
    runtime: &Handle,
) -> Result<(), NotFresh> {
    let meta = runtime.block_on(store.meta())?;
    let log = patiently(PATIENCE, || tail.log())?;
    let follower = Follower::begin(&meta, log, 0, u64::MAX, false)?;
    tail.begin(follower.next_offset())?;
    let mut since = Instant::now();
    while follower.proof(tail.position()?).is_none() {
        let Some(record) = poll(tail)? else {
            if since.elapsed() > PATIENCE {
                return Err(NotFresh::Endless);
            }
            continue;
        };
        since = Instant::now();
        let offset = record.offset;
        match follower.heard(&record) {
            Action::Apply { receipt, swept, .. } => {
                if runtime.block_on(still_has(store, &**vault, &receipt, &swept))? {
                    return Err(NotFresh::Behind { offset });
                }
            }
            Action::Doubt { why, stop: true } => return Err(NotFresh::Unknown { offset, why }),
            Action::Doubt { stop: false, .. } | Action::Pass => {}
        }
    }
    Ok(())
}
