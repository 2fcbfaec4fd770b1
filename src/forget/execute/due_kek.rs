//! KEKs whose day has ended and that still exist: some may be destroyed, others are still needed.

use std::collections::BTreeMap;

use super::context::{lease_after, time};
use super::error::ExecuteError;
use super::needs::Needs;
use crate::keys::{KekRow, KekState, Meta, ReadStore, StoreError};
use crate::model::{Clock, KekId, Millis};

/// Extra time after the end of the day and the longest lease, in milliseconds: for clock differences and slow
/// mints.
const GRACE_MS: i64 = 600_000;

/// Whether a KEK may be destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KekFate {
    /// Its day, the longest lease and the extra time are not all over yet.
    Young,
    /// Its day has ended, but this many live keys or open hours need it: they are held, or not swept yet.
    Needed(u64),
    /// Nothing needs it any more.
    Due,
    Destroyed,
}

/// Returns the fate of a KEK that `needed` keys or hours need.
pub fn fate(row: &KekRow, needed: u64, meta: &Meta, now: Millis) -> KekFate {
    match (row.state, needed) {
        (KekState::Destroyed, _) => KekFate::Destroyed,
        _ if now.0 < may_go_from(&row.id, meta).0 => KekFate::Young,
        (KekState::Live | KekState::Closing, 0) => KekFate::Due,
        (KekState::Live | KekState::Closing, needed) => KekFate::Needed(needed),
    }
}

/// Returns the earliest time at which the KEK may be destroyed.
fn may_go_from(id: &KekId, meta: &Meta) -> Millis {
    lease_after(id.ends(), meta).plus(GRACE_MS)
}

/// A KEK whose day has ended and that is not destroyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueKek {
    pub id: KekId,
    /// Live keys that it wraps and that no hold keeps, plus one for each open hour that needs it without such
    /// a key. The count may stop early, but it is 0 only if there are none.
    pub needed: u64,
    /// For a hold's KEK, the number of hours that the hold keeps. The KEK cannot go before the hold is
    /// lifted. 0 for the KEK of a day.
    pub held: u64,
}

impl DueKek {
    /// Whether nothing needs it any more.
    pub fn is_free(&self) -> bool {
        self.needed == 0 && self.held == 0
    }
}

/// Returns the KEKs that still exist although their day, the longest lease and the extra time are over, the
/// oldest first. If there is one, the store scans all keys.
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
        let needs = match Needs::of(store, &counts, &id).await {
            Err(StoreError::Row(_)) => Needs::unknown(),
            needs => needs?,
        };
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
