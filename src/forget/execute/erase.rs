//! What an erasure does to the store: fence, list, erase every generation, read back.
//!
//! It may be done again from the beginning: fencing and erasing twice is fencing and erasing once.

use std::collections::BTreeMap;

use crate::forget::receipt::key::ErasedKey;
use crate::keys::{EraseStore, Erasure, Fence, HourRow, KeyRow, KeyState, Meta, ReadStore, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Retention, Token};

/// Hours ahead of now for which a key may be asked: `event.max_future` and pre-minting are below an hour each.
const AHEAD: u32 = 2;

/// Hours of one customer that go, and on whose command.
pub(in crate::forget) struct Target {
    pub token: Token,
    pub from: Hour,
    pub to: Hour,
    pub command: Digest,
}

impl Target {
    fn hours(&self) -> impl DoubleEndedIterator<Item = Hour> + use<> {
        (self.from.0..=self.to.0).map(Hour)
    }

    /// All hours of a customer: those that have a gate, and those for which a key could still be made, because they are not
    /// due. All of these are fenced: a mint that is under way while the customer is closed meets the fence of its hour.
    pub async fn whole(
        store: &dyn ReadStore,
        token: Token,
        command: Digest,
        meta: &Meta,
        now: Millis,
    ) -> Result<Self, StoreError> {
        let gated = store.hours(token, Hour(0), Hour(u32::MAX)).await?;
        let known = store.customer(token).await?.and_then(|customer| customer.retention);
        let retention = known.unwrap_or(meta.default_retention);
        let current = Hour::containing(now).unwrap_or(Hour(0));
        let soonest = Hour(current.0.saturating_sub(retention.as_hours().into()));
        let ends = gated.first().into_iter().chain(gated.last()).map(|row| row.hour);
        let hours = ends.chain([soonest, current.plus(AHEAD)]);
        let (from, to) = hours.fold((current, current), |(from, to), hour| (from.min(hour), to.max(hour)));
        Ok(Self { token, from, to, command })
    }
}

/// What the store has of a customer's hours.
pub struct Survey {
    rows: BTreeMap<Hour, HourRow>,
    /// For hours without a gate.
    retention: Retention,
    range: (Hour, Hour),
}

pub(in crate::forget) async fn survey(
    store: &dyn ReadStore,
    target: &Target,
    meta: &Meta,
) -> Result<Survey, StoreError> {
    Survey::read(store, target.token, (target.from, target.to), meta).await
}

async fn rows(store: &dyn ReadStore, target: &Target) -> Result<BTreeMap<Hour, HourRow>, StoreError> {
    let rows = store.hours(target.token, target.from, target.to).await?;
    Ok(rows.into_iter().map(|row| (row.hour, row)).collect())
}

impl Survey {
    /// Asks the store for the hours `from ..= to`.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read(
        store: &dyn ReadStore,
        token: Token,
        (from, to): (Hour, Hour),
        meta: &Meta,
    ) -> Result<Self, StoreError> {
        let customer = store.customer(token).await?;
        let retention = customer.and_then(|customer| customer.retention).unwrap_or(meta.default_retention);
        Ok(Self::of(store.hours(token, from, to).await?, retention, (from, to)))
    }

    /// Of the hours of a range that have a gate; `retention` is for those that have none.
    pub fn of(hours: Vec<HourRow>, retention: Retention, range: (Hour, Hour)) -> Self {
        Self { rows: hours.into_iter().map(|row| (row.hour, row)).collect(), retention, range }
    }

    /// The hours that have a gate, in order.
    pub fn hours(&self) -> impl Iterator<Item = &HourRow> {
        self.rows.values()
    }

    pub(in crate::forget) fn held(&self) -> bool {
        self.rows.values().any(|row| row.gate.hold.is_some())
    }

    /// The gate's due, or what it would be.
    fn due(&self, hour: Hour) -> Due {
        self.rows.get(&hour).map_or(Due::of(hour, self.retention), |row| row.gate.due)
    }

    /// Hours without a gate fall due in their order, so the last of them is enough.
    pub fn latest_due(&self) -> Option<Due> {
        let (from, to) = self.range;
        let ungated = (from.0..=to.0).rev().map(Hour).find(|hour| !self.rows.contains_key(hour));
        let gated = self.rows.values().map(|row| row.gate.due);
        gated.chain(ungated.map(|hour| self.due(hour))).max_by_key(|due| due.0)
    }

    /// Every hour is fenced and no key is live.
    pub(in crate::forget) fn is_forgotten(&self) -> bool {
        let (from, to) = self.range;
        (from.0..=to.0).all(|hour| self.rows.get(&Hour(hour)).is_some_and(is_forgotten))
    }
}

fn is_forgotten(row: &HourRow) -> bool {
    row.gate.fenced && row.keys.iter().all(|key| key.state != KeyState::Live)
}

/// What became of a target.
pub(in crate::forget) struct Destroyed {
    /// A hold was in the way.
    pub held: bool,
    /// What was read back.
    pub after: Survey,
    command: Digest,
}

impl Destroyed {
    /// Every hour is fenced and no key is live.
    pub fn confirmed(&self) -> bool {
        self.after.is_forgotten()
    }

    /// The keys that the command erased, now or in an attempt before.
    pub fn keys(&self) -> Vec<ErasedKey> {
        self.after.hours().flat_map(|row| erased_by(row, self.command)).collect()
    }
}

/// Fences each hour, erases every generation of each, and reads back what is there then.
pub(in crate::forget) async fn destroy(
    store: &dyn EraseStore,
    target: &Target,
    meta: &Meta,
    now: Millis,
) -> Result<Destroyed, StoreError> {
    let before = survey(store, target, meta).await?;
    let mut held = false;
    for hour in target.hours() {
        // What an attempt before fenced is not fenced again: a long range comes to its end over many attempts.
        if !before.rows.get(&hour).is_some_and(|row| row.gate.fenced) {
            let fence = store.fence(target.token, hour, before.due(hour), target.command).await?;
            held |= matches!(fence, Fence::Held(_));
        }
    }
    failpoint!("fenced");
    // Listed anew, because keys could be minted until the fence stood.
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

/// A live key is to be erased; one that this command has erased is erased again, because an attempt before may have ended
/// before the store cleared its logs of it.
fn concerns(row: &HourRow, command: Digest) -> bool {
    row.keys.iter().any(|key| key.state == KeyState::Live || key.command == Some(command))
}

fn erased_by(row: &HourRow, command: Digest) -> impl Iterator<Item = ErasedKey> + '_ {
    let erased = move |key: &&KeyRow| key.state == KeyState::Erased && key.command == Some(command);
    row.keys.iter().filter(erased).map(|key| ErasedKey::of(row.hour, key))
}
