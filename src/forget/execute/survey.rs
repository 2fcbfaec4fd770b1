//! A customer's hours as the store has them: due, held or forgotten.

use std::collections::BTreeMap;

use crate::forget::decide::target::Target;
use crate::keys::{HourRow, KeyState, Meta, ReadStore, StoreError};
use crate::model::{Due, Hour, Retention, Token};

/// A customer's hours as the store has them.
pub struct Survey {
    rows: BTreeMap<Hour, HourRow>,
    /// The retention for hours without a gate.
    retention: Retention,
    range: (Hour, Hour),
}

impl Survey {
    /// Asks the store for the hours `from ..= to`.
    ///
    /// # Errors
    /// The store's errors.
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

    /// Makes a survey from the hours of a range that have a gate. `retention` is for the hours that have
    /// none.
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

    /// The due in the hour's gate, or the due that a gate would get.
    pub(super) fn due(&self, hour: Hour) -> Due {
        self.rows.get(&hour).map_or(Due::of(hour, self.retention), |row| row.gate.due)
    }

    /// The latest due of all hours of the range. Hours without a gate fall due in their order, so the last of
    /// them is enough.
    pub fn latest_due(&self) -> Option<Due> {
        let (from, to) = self.range;
        let ungated = (from.0..=to.0).rev().map(Hour).find(|hour| !self.rows.contains_key(hour));
        let gated = self.rows.values().map(|row| row.gate.due);
        gated.chain(ungated.map(|hour| self.due(hour))).max_by_key(|due| due.0)
    }

    pub(super) fn is_fenced(&self, hour: Hour) -> bool {
        self.rows.get(&hour).is_some_and(|row| row.gate.fenced)
    }

    /// Whether every hour is fenced and no key is live.
    pub(in crate::forget) fn is_forgotten(&self) -> bool {
        let (from, to) = self.range;
        (from.0..=to.0).all(|hour| self.rows.get(&Hour(hour)).is_some_and(is_forgotten))
    }
}

fn is_forgotten(row: &HourRow) -> bool {
    row.gate.fenced && row.keys.iter().all(|key| key.state != KeyState::Live)
}

/// Makes a survey of the hours of a target.
pub(in crate::forget) async fn survey(
    store: &dyn ReadStore,
    target: &Target,
    meta: &Meta,
) -> Result<Survey, StoreError> {
    Survey::read(store, target.token, (target.from, target.to), meta).await
}
