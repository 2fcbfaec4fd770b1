//! Updates a store that is behind its receipts: erased keys are erased again, holds are placed again.
//!
//! A restored backup brings erased keys back, and lacks newer holds. Receipts that are newer than the store's
//! own mark are therefore carried out once more before any key is used. Normally that finds no work: a
//! process ended before it could move the mark.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::forget::command::act::{Act, Reason};
use crate::forget::decide::change::Change;
use crate::forget::decide::target::Target;
use crate::forget::decide::verdict::Why;
use crate::forget::execute::context::time;
use crate::forget::execute::erase::destroy;
use crate::forget::execute::error::ExecuteError;
use crate::forget::execute::once;
use crate::forget::execute::retention::restore_change;
use crate::forget::execute::survey::survey;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::forget::receipt::swept::SweptHour;
use crate::keys::{
    DecisionStore, EraseStore, Hold, KekState, KekVault, KeyRow, KeyState, Meta, Placed, ReadStore, Store,
};
use crate::model::{Clock, Hour, KekId, Token};

/// The result, in ascending order of severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::forget) enum Restored {
    /// The store already had it.
    Already,
    /// It was missing, and is applied again now.
    Again,
    /// A hold prevents it. The held keys stay as they are.
    Held,
}

/// Ensures that the store has what the receipt records, for a sweep in each of its hours.
///
/// # Errors
/// [`ExecuteError::Premature`] for hours that are not due, if no signed request asked to erase them early.
/// Either the receipt is not ours or the store is not, and this function does not decide which. After all
/// other errors, retry.
pub(in crate::forget) async fn restore(
    store: &Arc<dyn Store>,
    vault: &Arc<dyn KekVault>,
    clock: &dyn Clock,
    receipt: &Receipt,
    swept: &[SweptHour],
) -> Result<Restored, ExecuteError> {
    let (shared, store) = (store, &**store);
    if receipt.outcome == Outcome::Refused {
        return Ok(Restored::Already);
    }
    let is_stopped = receipt.why == Some(Why::Unusable);
    let act = match &receipt.deed {
        Deed::Sweep(_) => {
            let hours = swept.iter().map(|of| (of.token, of.hour, of.hour));
            return restore_all(store, clock, receipt, hours, false).await;
        }
        Deed::DestroyKek { kek, .. } => return restore_kek(store, &**vault, receipt, kek).await,
        Deed::Command(act) => act,
    };
    let Some(token) = receipt.token else { return Ok(Restored::Already) };
    match act {
        Act::Erase(reason) => {
            let early = *reason == Reason::Request && !receipt.signers.is_empty();
            let hours = ranges(receipt).into_iter().map(|(from, to)| (token, from, to));
            restore_all(store, clock, receipt, hours, early).await
        }
        Act::EraseCustomer => {
            if !is_stopped {
                store.close_customer(token).await?;
            }
            let hours = ranges(receipt).into_iter().map(|(from, to)| (token, from, to));
            restore_all(store, clock, receipt, hours, !receipt.signers.is_empty()).await
        }
        Act::Hold(id) => {
            let hold = Hold { id: id.clone(), token, from: receipt.from, to: receipt.to };
            if once::is_lifted(store, id).await? {
                return Ok(Restored::Already);
            }
            match once::place(store, &hold).await? {
                Placed::InForce => Ok(Restored::Already),
                Placed::IdReuse => Err(ExecuteError::NotRestored(receipt.id)),
            }
        }
        // Nobody knows whether it was done, or even decided. Not doing it keeps more.
        Act::Retention(_) | Act::Release(_) if is_stopped => Ok(Restored::Already),
        Act::Retention(retention) => {
            let past = receipt.due.ok_or(ExecuteError::NotRestored(receipt.id))?;
            let before = store.customer(token).await?.and_then(|customer| customer.retention);
            let change = Change { token, retention: *retention, past, before, command: receipt.id };
            let now = time(store, clock).await?;
            let made = restore_change(shared, vault, &change, now).await?;
            Ok(if made { Restored::Again } else { Restored::Already })
        }
        Act::Release(id) => Ok(once::lift(store, id).await.map(|()| Restored::Already)?),
    }
}

/// Whether the store still has something that the receipt says is erased. Changes nothing.
///
/// # Errors
/// If the store or the vault does not answer; [`ExecuteError::KekIsBack`] for a KEK that the vault has again.
pub(in crate::forget) async fn still_has(
    store: &dyn ReadStore,
    vault: &dyn KekVault,
    receipt: &Receipt,
    swept: &[SweptHour],
) -> Result<bool, ExecuteError> {
    match (&receipt.deed, receipt.token) {
        (Deed::Sweep(_), _) => {
            for SweptHour { token, hour, .. } in swept {
                if live_keys(store, *token, *hour, *hour).await?.next().is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Deed::DestroyKek { kek, .. }, _) => is_destroyed(vault, receipt, kek).await.map(|()| false),
        (Deed::Command(Act::Erase(_) | Act::EraseCustomer), Some(token)) => {
            let partial = receipt.outcome == Outcome::Incomplete;
            let erased = |key: &KeyRow| receipt.keys.iter().any(|it| it.key_id == key.key_id);
            // Of an incomplete erasure only the hours of its keys: another row may not be usable.
            for (from, to) in ranges(receipt) {
                if live_keys(store, token, from, to).await?.any(|key| !partial || erased(&key)) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Deed::Command(_), _) => Ok(false),
    }
}

async fn live_keys(
    store: &dyn ReadStore,
    token: Token,
    from: Hour,
    to: Hour,
) -> Result<impl Iterator<Item = KeyRow>, ExecuteError> {
    let rows = store.hours(token, from, to).await?;
    Ok(rows.into_iter().flat_map(|row| row.keys).filter(|key| key.state == KeyState::Live))
}

/// Checks that the vault does not have a KEK that a receipt says is destroyed.
async fn is_destroyed(vault: &dyn KekVault, receipt: &Receipt, kek: &KekId) -> Result<(), ExecuteError> {
    match vault.find(kek).await? {
        Some(_) => Err(ExecuteError::KekIsBack(receipt.id, kek.clone())),
        None => Ok(()),
    }
}

/// Returns the hours to erase. For an incomplete erasure, these are only the hours of the keys that its
/// receipt names. Hours that it did not reach are not erased now either.
fn ranges(receipt: &Receipt) -> Vec<(Hour, Hour)> {
    if receipt.outcome != Outcome::Incomplete {
        return vec![(receipt.from, receipt.to)];
    }
    let hours: BTreeSet<Hour> = receipt.keys.iter().map(|key| key.hour).collect();
    hours.into_iter().map(|hour| (hour, hour)).collect()
}

/// Records in the store that the vault no longer has a KEK. The vault is asked: the receipt
/// alone is not enough.
async fn restore_kek(
    store: &dyn DecisionStore,
    vault: &dyn KekVault,
    receipt: &Receipt,
    kek: &KekId,
) -> Result<Restored, ExecuteError> {
    let state = store.kek(kek).await?.map(|row| row.state);
    if matches!(state, None | Some(KekState::Destroyed)) {
        return Ok(Restored::Already);
    }
    is_destroyed(vault, receipt, kek).await?;
    store.advance_kek(kek, KekState::Destroyed).await?;
    Ok(Restored::Again)
}

async fn restore_all(
    store: &dyn EraseStore,
    clock: &dyn Clock,
    receipt: &Receipt,
    hours: impl Iterator<Item = (Token, Hour, Hour)>,
    early: bool,
) -> Result<Restored, ExecuteError> {
    let meta = store.meta().await?;
    let mut restored = Restored::Already;
    for (token, from, to) in hours {
        let target = Target { token, from, to, command: receipt.id };
        restored = restored.max(restore_range(store, clock, &target, &meta, early).await?);
    }
    Ok(restored)
}

async fn restore_range(
    store: &dyn EraseStore,
    clock: &dyn Clock,
    target: &Target,
    meta: &Meta,
    early: bool,
) -> Result<Restored, ExecuteError> {
    let found = survey(store, target, meta).await?;
    if found.is_forgotten() {
        return Ok(Restored::Already);
    }
    let now = time(store, clock).await?;
    if !early && !found.latest_due().is_some_and(|due| due.reached(now)) {
        return Err(ExecuteError::Premature(target.command));
    }
    let done = destroy(store, target, meta, now).await?;
    match (done.confirmed(), done.held) {
        (true, _) => Ok(Restored::Again),
        (false, true) => Ok(Restored::Held),
        (false, false) => Err(ExecuteError::NotRestored(target.command)),
    }
}
