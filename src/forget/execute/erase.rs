//! The steps of an erasure in the store: fence, list, erase every generation, read back.
//!
//! It may be repeated from the beginning: fencing and erasing twice has the same effect as once.

use std::collections::BTreeMap;

use super::survey::{Survey, survey};
use crate::forget::decide::target::Target;
use crate::forget::receipt::key::ErasedKey;
use crate::keys::{EraseStore, Erasure, Fence, HourRow, KeyRow, KeyState, Meta, ReadStore, StoreError};
use crate::model::{Digest, Hour, Millis, Token};

/// Number of hours after the current one for which a key may be requested: `event.max_future` and pre-minting
/// are below an hour each.
const AHEAD: u32 = 2;

/// Returns the range of all hours of a customer: those that have a gate, and those for which a key could
/// still be minted, because they are not due. All of these are fenced, so that a mint that is under way while
/// the customer is closed meets the fence of its hour.
pub(super) async fn whole(
    store: &dyn ReadStore,
    token: Token,
    command: Digest,
    meta: &Meta,
    now: Millis,
) -> Result<Target, StoreError> {
    let gated = store.hours(token, Hour(0), Hour(u32::MAX)).await?;
    let known = store.customer(token).await?.and_then(|customer| customer.retention);
    let retention = known.unwrap_or(meta.default_retention);
    let current = Hour::containing(now).unwrap_or(Hour(0));
    let soonest = Hour(current.0.saturating_sub(retention.as_hours().into()));
    let ends = gated.first().into_iter().chain(gated.last()).map(|row| row.hour);
    let hours = ends.chain([soonest, current.plus(AHEAD)]);
    let (from, to) = hours.fold((current, current), |(from, to), hour| (from.min(hour), to.max(hour)));
    Ok(Target { token, from, to, command })
}

/// The result of erasing a target.
pub(in crate::forget) struct Destroyed {
    /// A hold prevented a part of it.
    pub held: bool,
    /// The hours as they were read back.
    pub after: Survey,
    command: Digest,
}

impl Destroyed {
    /// Whether every hour is fenced and no key is live.
    pub fn confirmed(&self) -> bool {
        self.after.is_forgotten()
    }

    /// The keys that the command erased, now or in an earlier attempt.
    pub fn keys(&self) -> Vec<ErasedKey> {
        self.after.hours().flat_map(|row| erased_by(row, self.command)).collect()
    }
}

/// Fences each hour, erases every generation of each, and reads back the result.
pub(in crate::forget) async fn destroy(
    store: &dyn EraseStore,
    target: &Target,
    meta: &Meta,
    now: Millis,
) -> Result<Destroyed, StoreError> {
    let before = survey(store, target, meta).await?;
    let mut held = false;
    for hour in target.hours() {
        // Hours that an earlier attempt fenced are not fenced again, so that a long range is finished over
        // many attempts.
        if !before.is_fenced(hour) {
            let fence = store.fence(target.token, hour, before.due(hour), target.command).await?;
            held |= matches!(fence, Fence::Held(_));
        }
    }
    failpoint!("fenced");
    // List the hours again: keys could be minted until the fence was set.
    for (hour, row) in rows(store, target).await? {
        if row.gate.fenced && concerns(&row, target.command) {
            let erasure = store.erase(target.token, hour, target.command, now).await?;
            held |= matches!(erasure, Erasure::Held(_));
        }
    }
    failpoint!("erased");
    let after = survey(store, target, meta).await?;
    Ok(Destroyed { held, after, command: target.command })
}

/// Erases each hour by itself, and leaves out the hours whose rows are not usable. Returns the keys that the
/// command erased, now or in an earlier attempt.
pub(super) async fn destroy_usable(
    store: &dyn EraseStore,
    target: &Target,
    meta: &Meta,
    now: Millis,
) -> Result<Vec<ErasedKey>, StoreError> {
    let mut keys = Vec::new();
    for hour in target.hours() {
        match destroy(store, &Target { from: hour, to: hour, ..*target }, meta, now).await {
            Ok(done) => keys.extend(done.keys()),
            Err(StoreError::Row(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(keys)
}

async fn rows(store: &dyn ReadStore, target: &Target) -> Result<BTreeMap<Hour, HourRow>, StoreError> {
    let rows = store.hours(target.token, target.from, target.to).await?;
    Ok(rows.into_iter().map(|row| (row.hour, row)).collect())
}

/// Whether an hour has a key to erase: a live one, or one that this command has erased. The latter is erased
/// again, because an earlier attempt may have ended before the store removed the key from its logs.
fn concerns(row: &HourRow, command: Digest) -> bool {
    row.keys.iter().any(|key| key.state == KeyState::Live || key.command == Some(command))
}

fn erased_by(row: &HourRow, command: Digest) -> impl Iterator<Item = ErasedKey> + '_ {
    let erased = move |key: &&KeyRow| key.state == KeyState::Erased && key.command == Some(command);
    row.keys.iter().filter(erased).map(|key| ErasedKey::of(row.hour, key))
}
