//! The check before a process without a lease opens anything: the store must have every erasure that its
//! receipts record.
//!
//! A worker applies missing erasures ([`Following`](crate::forget::Following)). A process that only reads
//! cannot write them, so it is refused instead. The check begins at the store's mark. If there is no receipt
//! after it, the check costs one request to the broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::progress::{Action, Follower, Gap};
use super::restore::still_has;
use super::tail::{Tail, TailError, patiently, poll};
use crate::forget::execute::error::ExecuteError;
use crate::forget::receipt::content::NotAReceipt;
use crate::keys::{KekVault, ReadStore, StoreError};
use crate::stream::PATIENCE;

/// Longest time without a record or an end: a transaction was left open.
const UNTIL_STABLE: Duration = Duration::from_secs(90);

/// The reason why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub enum NotFresh {
    /// An older copy of the store was restored.
    #[error(
        "the key store still has keys that receipt {offset} says are erased: it is older than its receipts"
    )]
    Behind { offset: i64 },
    #[error("record {offset} of the receipts topic cannot be read: {why}")]
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
        "the receipts topic was not read to its end: nothing arrived for {} s, perhaps because a \
         transaction is open",
        UNTIL_STABLE.as_secs()
    )]
    Endless,
}

/// Reads the receipts that the store has not marked as applied, and checks that the store has their erasures.
/// Changes nothing.
///
/// # Errors
/// [`NotFresh`]: keys must not be used, because the store is behind its receipts or may be.
pub fn ensure_fresh(
    tail: &mut impl Tail,
    store: &dyn ReadStore,
    vault: &Arc<dyn KekVault>,
    runtime: &Handle,
) -> Result<(), NotFresh> {
    let meta = runtime.block_on(store.meta())?;
    let log = patiently(PATIENCE, || tail.log())?;
    let follower = Follower::begin(&meta, log, 0, u64::MAX, &[])?;
    tail.begin(follower.next_offset())?;
    let mut since = Instant::now();
    while follower.proof(tail.position()?).is_none() {
        let Some(record) = poll(tail)? else {
            if since.elapsed() > UNTIL_STABLE {
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
