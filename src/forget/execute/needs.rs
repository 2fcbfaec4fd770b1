//! The keys and hours that prevent a KEK's end, because they need it.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::{DueHour, HoldId, HourRow, KeyRow, KeyState, ReadStore, StoreError};
use crate::model::{Due, Hour, KekId, Token};

/// Number of hours per listing. The scan for live keys also stops at this count.
const PAGE: usize = 1_000;

/// The keys and hours that prevent a KEK's end.
#[derive(Default)]
pub(super) struct Needs {
    /// Number of keys and hours that must be swept first.
    pub swept_first: u64,
    pub held: Vec<Held>,
    seen: BTreeSet<(Token, Hour)>,
}

/// An hour that a hold keeps.
pub(super) struct Held {
    pub row: HourRow,
    pub by: HoldId,
    /// The KEK is in the hour's gate, or wraps a live key of the hour. If not, the hour is still due on the
    /// KEK's day, because the retention was shortened.
    pub is_wrapped: bool,
}

impl Needs {
    /// The needs for a KEK if a row is not usable: the row's hour may need it.
    pub fn unknown() -> Self {
        Self { swept_first: 1, ..Self::default() }
    }

    /// Collects the hours that have the KEK in their gate, that have a live key wrapped by it, or that are
    /// due on its day. It stops after the first page with something to sweep: held hours matter only when
    /// nothing else is left.
    pub async fn of(
        store: &dyn ReadStore,
        live: &BTreeMap<KekId, u64>,
        kek: &KekId,
    ) -> Result<Self, StoreError> {
        let mut needs = Self::default();
        if live.contains_key(kek) {
            for (token, hour) in store.hours_under(kek, usize::MAX).await? {
                needs.add(store.hours(token, hour, hour).await?, kek);
                if needs.swept_first >= PAGE as u64 {
                    return Ok(needs);
                }
            }
        }
        let (first, last) = dues(kek);
        let mut after = DueHour::before(Due(first.0));
        while needs.swept_first == 0 {
            let page = store.due_hours(Due(last.0), after.as_ref(), PAGE).await?;
            let Some(end) = page.last() else { break };
            after = Some(end.clone());
            for DueHour { token, hour, .. } in page {
                if !needs.seen.contains(&(token, hour)) {
                    needs.add(store.hours(token, hour, hour).await?, kek);
                }
            }
        }
        Ok(needs)
    }

    /// Adds the hours that need the KEK. An open hour needs it even if its keys are gone or wrapped by
    /// another KEK: the sweep finds the hour by the KEKs of its day, and still owes its receipt.
    fn add(&mut self, rows: Vec<HourRow>, kek: &KekId) {
        for row in rows {
            self.seen.insert((row.token, row.hour));
            let is_live = |key: &&KeyRow| key.state == KeyState::Live && key.kek == *kek;
            let live = row.keys.iter().filter(is_live).count() as u64;
            let of = row.gate.kek.as_ref();
            let is_found_by_it =
                KekId::of_due(row.gate.due).day() == kek.day() && of.is_none_or(|of| of.day() != kek.day());
            let is_open = !row.gate.fenced && (of == Some(kek) || is_found_by_it);
            let is_wrapped = live > 0 || (is_open && of == Some(kek));
            match row.gate.hold.clone() {
                _ if live == 0 && !is_open => {}
                Some(by) => self.held.push(Held { row, by, is_wrapped }),
                None => self.swept_first += live.max(1),
            }
        }
    }

    /// Whether the KEK must stay. Held keys of a day's KEK can be wrapped under another KEK, those of a
    /// hold's KEK cannot.
    pub fn keep(&self, kek: &KekId) -> bool {
        self.swept_first > 0 || (kek.is_of_a_hold() && !self.held.is_empty())
    }

    pub fn wraps_what_is_held(&self) -> bool {
        self.held.iter().any(|held| held.is_wrapped)
    }
}

/// Returns the first and the last due on a KEK's day: its first and its last hour.
pub(super) fn dues(id: &KekId) -> (Hour, Hour) {
    let last = Hour::containing(id.ends()).map_or(0, |hour| hour.0.saturating_sub(1));
    (Hour(last.saturating_sub(23)), Hour(last))
}
