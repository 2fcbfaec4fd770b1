//! Changes how long a customer's data is kept: the rule for future hours, and new terms for hours that are
//! not due yet.
//!
//! Promise: an hour that was due when the change was decided stays due. That holds after its rows have
//! expired, and also if it never had any: the customer's floor is raised above the hours that were due by the
//! previous rule. No hour falls due at once: a change makes an hour due no earlier than the full hour after
//! the decision. A KEK's day never ends before the hours that it wraps are due. If the retention becomes
//! shorter, keys stay under the KEK that also wraps their copies, so that what receipts say about these
//! copies stays true.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::ExecuteError;
use super::once;
use crate::forget::decide::change::Change;
use crate::forget::decide::verdict::Why;
use crate::keys::{KekVault, Keks, KeysError, Ring, Store, VaultError, rewrap};
use crate::model::{Hour, KekId, Millis};
use crate::telemetry::{codes, warn};

/// Time that a change waits before it looks for hours once more: a process that read the old rule has minted
/// by then, or has given up.
pub const SETTLES_IN: Duration = Ring::LONGEST_FLIGHT.saturating_add(Duration::from_secs(5));

/// Makes a change. It raises the floor, so that the new rule does not keep hours that were due. Then it sets
/// the rule, so that every later mint has its terms. If another change has been made since, it stops there
/// and returns true. Then it gives every existing hour its terms. Returns false if the keys of an hour cannot
/// be wrapped under the KEK of its new terms, or if that KEK is not usable: that hour keeps what it has.
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
        let given = async {
            // The store looks for due hours only in days that have a KEK.
            keks.sealing(store, &KekId::of_due(terms.due)).await?;
            rewrap(store, keks, (row.token, row.hour), |row| change.terms(row), only, now).await
        };
        match given.await {
            Ok(()) => {}
            // The hour is from a backup that is older than the end of its KEK's day: there is nothing left to
            // keep.
            Err(KeysError::KekDestroyed(_)) => {}
            // Waiting does not fix it, so commands do not wait for it.
            Err(error) if is_of_the_hour(&error) => {
                is_whole = false;
                warn!(
                    codes::TERMS_KEPT,
                    %error, "an hour keeps its due, because its keys cannot be wrapped under another KEK"
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(is_whole)
}

/// Waits for processes that had read the rules before these changes, makes each change once more, and records
/// that it is made. Returns for each change the reason if it is not whole.
///
/// # Errors
/// [`ExecuteError`]: make and settle them again later.
pub(super) async fn settle_all(
    ctx: &Context,
    changes: impl Iterator<Item = &Change>,
) -> Result<Vec<Option<Why>>, ExecuteError> {
    tokio::time::sleep(ctx.settles_in).await;
    let mut settled = Vec::new();
    for change in changes {
        settled.push(match settle(&*ctx.store, &ctx.keks, change, ctx.now().await?).await {
            Err(error) if ctx.gives_up(&error) => Some(Why::Unusable),
            is_whole => (!is_whole?).then_some(Why::NotConfirmed),
        });
    }
    Ok(settled)
}

/// Makes a change once more, and records that it is made. A recorded change is never made again, because
/// later hours have their own terms. If an hour kept its old terms, nothing is recorded, and the result is
/// false.
async fn settle(store: &dyn Store, keks: &Keks, change: &Change, now: Millis) -> Result<bool, ExecuteError> {
    if !make(store, keks, change, now).await? {
        return Ok(false);
    }
    failpoint!("retention-made");
    once::made(store, change.command).await?;
    failpoint!("retention-settled");
    Ok(true)
}

/// Whether a person must look at the error, and it concerns only this hour.
fn is_of_the_hour(error: &KeysError) -> bool {
    use KeysError::{Contradiction, KekClosing, KekDiffers, KekMissing, Vault, WrongKey};
    matches!(
        error,
        Contradiction(_)
            | KekClosing(_)
            | KekDiffers(_)
            | KekMissing(_)
            | Vault(VaultError::Kek(_))
            | WrongKey(_)
    )
}

/// Makes a change in a store that is behind its receipts. It does not wait, because no process mints from
/// this store yet. Returns false if the change was made before.
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
    settle(&**store, &keks, change, now).await.map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::tests::{FakeStore, HOUR, NOW, World, acme};
    use crate::model::{Digest, Due, Retention};

    #[test]
    fn a_kek_that_the_vault_lacks_leaves_an_hour_as_it_is() {
        let world = World::of(FakeStore::default().with_keys(HOUR.plus(9), 1));
        let ctx = world.context();
        let retention = Retention::hours(900).expect("not zero");
        let (token, past) = (ctx.store.token(&acme()), Change::past(NOW));
        let change = Change { token, retention, past, before: None, command: Digest([1; 32]) };
        let kek = KekId::of_due(Due::of(HOUR.plus(9), retention));
        let is_whole = world.runtime.block_on(async {
            ctx.store.register_kek(&kek, [1; 16]).await.expect("registered");
            make(&*ctx.store, &ctx.keks, &change, NOW).await
        });
        assert!(matches!(is_whole, Ok(false)), "nobody waits for it");
    }
}
