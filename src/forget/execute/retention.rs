//! Changing how long a customer's data is kept: the rule for hours to come, and new terms for those that are
//! not due yet.
//!
//! Promise: an hour that was due when the change was decided stays due, and no hour falls due at once: at the
//! soonest with the full hour that follows the decision. It stays so when its rows have faded, or if it never
//! had any: the customer's floor is moved up behind what was due by the rule before. A KEK's day never ends
//! before what it wraps is due; where the retention becomes shorter, keys stay under the KEK that copies of
//! them are wrapped by, so that what receipts say of these copies holds.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::ExecuteError;
use super::once;
use crate::forget::decide::change::Change;
use crate::keys::{KekVault, Keks, KeysError, Ring, Store, rewrap};
use crate::model::{Hour, KekId, Millis};
use crate::telemetry::{codes, warn};

/// How long a change waits before it looks for hours once more: whoever read the old rule has minted by then,
/// or has given up.
pub const SETTLES_IN: Duration = Ring::LONGEST_FLIGHT.saturating_add(Duration::from_secs(5));

/// Makes a change: raises the floor, so that the new rule does not keep what was due; then sets the rule, so
/// that every later mint has its terms; then gives every hour that there is its terms. False where keys of an
/// hour do not open: that hour keeps what it has.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn make(
    store: &dyn Store,
    keks: &Keks,
    change: &Change,
    now: Millis,
) -> Result<bool, ExecuteError> {
    let before = match change.before {
        Some(before) => before,
        None => store.meta().await?.default_retention,
    };
    let rows = store.hours(change.token, Hour(0), Hour(u32::MAX)).await?;
    store.raise_floor(change.token, change.floor(&rows, before)).await?;
    failpoint!("retention-floored");
    if !store.set_retention(change.token, change.before, Some(change.retention)).await? {
        return Ok(true);
    }
    failpoint!("retention-ruled");
    let only = Some((change.token, change.retention));
    let mut is_whole = true;
    for row in store.hours(change.token, Hour(0), Hour(u32::MAX)).await? {
        if let Some(due) = change.fence_until(&row) {
            store.keep_fence(row.token, row.hour, due, now).await?;
        }
        let Some(terms) = change.terms(&row).filter(|terms| !terms.are_of(&row)) else { continue };
        // A day is looked through for what is due because it has a KEK.
        keks.sealing(store, &KekId::of_due(terms.due)).await?;
        match rewrap(store, keks, (row.token, row.hour), |row| change.terms(row), only, now).await {
            Ok(()) => {}
            // From a backup that is older than the end of its day: there is nothing left to keep.
            Err(KeysError::KekDestroyed(_)) => {}
            // No waiting mends it, and commands do not wait for it.
            Err(error) if is_of_the_hour(&error) => {
                is_whole = false;
                warn!(codes::TERMS_KEPT, %error, "an hour keeps its due: its keys cannot be wrapped anew");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(is_whole)
}

/// Waits for those who had read the rules before these changes, makes each change once more, and remembers
/// that it is made.
///
/// # Errors
/// [`ExecuteError`]: make and settle them again later.
pub(super) async fn settle_all(ctx: &Context, changes: Vec<Change>) -> Result<(), ExecuteError> {
    tokio::time::sleep(ctx.settles_in).await;
    for change in changes {
        settle(&*ctx.store, &ctx.keks, &change, ctx.now().await?).await?;
    }
    Ok(())
}

/// Makes a change once more, and remembers that it is made: it is never made again, because hours that came
/// later have terms of their own.
async fn settle(store: &dyn Store, keks: &Keks, change: &Change, now: Millis) -> Result<(), ExecuteError> {
    if !make(store, keks, change, now).await? {
        return Ok(());
    }
    failpoint!("retention-made");
    once::made(store, change.command).await?;
    failpoint!("retention-settled");
    Ok(())
}

/// What a person has to look at, and what concerns no other hour.
fn is_of_the_hour(error: &KeysError) -> bool {
    use KeysError::{Contradiction, KekDiffers, KekMissing, WrongKey};
    matches!(error, Contradiction(_) | KekDiffers(_) | KekMissing(_) | WrongKey(_))
}

/// For a store that is behind its receipts: nobody mints by it yet.
pub(in crate::forget) async fn restore_change(
    store: &Arc<dyn Store>,
    vault: &Arc<dyn KekVault>,
    change: &Change,
    now: Millis,
) -> Result<bool, ExecuteError> {
    if once::is_made(&**store, change.command).await? {
        return Ok(false);
    }
    let keks = Keks::new(store.clone(), Arc::clone(vault));
    settle(&**store, &keks, change, now).await.map(|()| true)
}
