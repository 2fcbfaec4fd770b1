//! KEKs whose day has ended and that still exist: which may go, and which are needed.

use std::collections::BTreeMap;

use super::context::{lease_after, time};
use super::error::ExecuteError;
use super::needs::Needs;
use crate::keys::{KekRow, KekState, Meta, ReadStore};
use crate::model::{Clock, KekId, Millis};

/// Beyond the end of the day and the longest lease, in milliseconds: for clocks and slow mints.
const GRACE_MS: i64 = 600_000;

/// How a KEK stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KekFate {
    /// What it wraps is not all due yet, or was only just now.
    Young,
    /// Its day has ended, and so many of its keys are live, or its hours open: held, or not swept yet.
    Needed(u64),
    /// Nothing of it is left.
    Due,
    Destroyed,
}

/// How a KEK stands that `needed` keys or hours need.
pub fn fate(row: &KekRow, needed: u64, meta: &Meta, now: Millis) -> KekFate {
    match (row.state, needed) {
        (KekState::Destroyed, _) => KekFate::Destroyed,
        _ if now.0 < may_go_from(&row.id, meta).0 => KekFate::Young,
        (KekState::Live | KekState::Closing, 0) => KekFate::Due,
        (KekState::Live | KekState::Closing, needed) => KekFate::Needed(needed),
    }
}

/// When it may go at the soonest.
fn may_go_from(id: &KekId, meta: &Meta) -> Millis {
    lease_after(id.ends(), meta).plus(GRACE_MS)
}

/// A KEK whose day has ended and that is not destroyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueKek {
    pub id: KekId,
    /// Keys that it wraps, that are not erased and that no hold keeps; one, if there is none and an hour of
    /// its day is open.
    pub needed: u64,
    /// Of a hold's KEK, the hours that it keeps. It goes when the hold is lifted.
    pub held: u64,
}

impl DueKek {
    /// Nothing of it is left.
    pub fn is_free(&self) -> bool {
        self.needed == 0 && self.held == 0
    }
}

/// The KEKs whose day has ended and that still exist, the oldest first. Where there is one, all keys are
/// scanned.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub async fn due_keks(store: &dyn ReadStore, clock: &dyn Clock) -> Result<Vec<DueKek>, ExecuteError> {
    let (meta, now) = (store.meta().await?, time(store, clock).await?);
    let mut due: Vec<KekRow> = store.keks().await?;
    due.retain(|row| fate(row, 0, &meta, now) == KekFate::Due);
    due.sort_unstable_by_key(|row| row.id.ends().0);
    let counts = if due.is_empty() { BTreeMap::new() } else { store.live_keys().await? };
    let mut found = Vec::with_capacity(due.len());
    for KekRow { id, .. } in due {
        let needs = Needs::of(store, &counts, &id).await?;
        let held = if id.is_of_a_hold() { needs.held.len() as u64 } else { 0 };
        found.push(DueKek { needed: needs.swept_first, held, id });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::tests::meta;

    #[test]
    fn a_kek_goes_when_its_day_and_every_lease_are_over_and_nothing_live_is_left() {
        let id = KekId::parse("day/2026-11-28").expect("a day");
        let midnight = id.ends();
        let soonest = midnight.plus(60_000 + 600_000);
        let fate = |state, live, now| {
            fate(&KekRow { id: id.clone(), check: [0; 16], state }, live, &meta(None), now)
        };
        for state in [KekState::Live, KekState::Closing] {
            assert_eq!(fate(state, 0, soonest.plus(-1)), KekFate::Young);
            assert_eq!(fate(state, 9, midnight), KekFate::Young);
            assert_eq!(fate(state, 0, soonest), KekFate::Due);
            assert_eq!(
                fate(state, 1, soonest.plus(i64::from(u32::MAX))),
                KekFate::Needed(1),
                "whenever that is"
            );
        }
        assert_eq!(fate(KekState::Destroyed, 0, midnight), KekFate::Destroyed);
    }
}
