//! A store that is behind its receipts: what was erased before is erased again.
//!
//! A backup brings erased keys back. Receipts newer than the store's own mark are therefore carried out once more before
//! any key is used. In everyday life that finds nothing to do: a process ended before it could move the mark.

use std::collections::BTreeSet;

use super::execute::{Target, Trouble, destroy, survey, time};
use super::{Outcome, Receipt};
use crate::keys::{KeyStore, Meta};
use crate::model::{Clock, Hour};

/// What was found, the worst of it last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Restored {
    /// The store had it.
    Already,
    /// It is erased again now.
    Again,
    /// A hold forbids it; the hours stay as they are.
    Held,
}

/// Makes sure that the store has what the receipt says.
///
/// # Errors
/// [`Trouble::Premature`] for hours that are not due: in this version nothing is erased before, so either the receipt is not
/// ours or the store is not, and neither is decided here. All other troubles: ask again.
pub(super) async fn restore(
    store: &dyn KeyStore,
    clock: &dyn Clock,
    receipt: &Receipt,
) -> Result<Restored, Trouble> {
    let Some(token) = receipt.token.filter(|_| receipt.outcome != Outcome::Refused) else {
        return Ok(Restored::Already);
    };
    let meta = store.meta().await?;
    let mut restored = Restored::Already;
    for (from, to) in ranges(receipt) {
        let target = Target { token, from, to, command: receipt.id };
        restored = restored.max(restore_range(store, clock, &target, &meta).await?);
    }
    Ok(restored)
}

/// What an incomplete erasure did not reach is not reached for now: only the hours of the keys that it names.
fn ranges(receipt: &Receipt) -> Vec<(Hour, Hour)> {
    if receipt.outcome != Outcome::Incomplete {
        return vec![(receipt.from, receipt.to)];
    }
    let hours: BTreeSet<Hour> = receipt.keys.iter().map(|key| key.hour).collect();
    hours.into_iter().map(|hour| (hour, hour)).collect()
}

async fn restore_range(
    store: &dyn KeyStore,
    clock: &dyn Clock,
    target: &Target,
    meta: &Meta,
) -> Result<Restored, Trouble> {
    let found = survey(store, target, meta).await?;
    if found.is_forgotten() {
        return Ok(Restored::Already);
    }
    let now = time(store, clock).await?;
    if !found.latest_due().is_some_and(|due| due.reached(now)) {
        return Err(Trouble::Premature(target.command));
    }
    let done = destroy(store, target, meta, now).await?;
    match (done.confirmed, done.held) {
        (true, _) => Ok(Restored::Again),
        (false, true) => Ok(Restored::Held),
        (false, false) => Err(Trouble::NotRestored(target.command)),
    }
}
