//! Hours that are due and not forgotten yet: for the sweep, its metrics and its dry run.

use std::collections::BTreeSet;

use super::context::time;
use super::error::ExecuteError;
use crate::keys::{DueHour, Hold, ReadStore};
use crate::model::{Clock, Due, Hour, Millis, Token};

/// Maximum number of hours of one sweep.
pub const SWEEP_HOURS: usize = 1_000;

const HOUR_MS: i64 = 3_600_000;

/// Number of hours per listing: one more than a sweep takes, so that one listing shows if there are more.
const PAGE: usize = SWEEP_HOURS + 1;

/// An open hour that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingHour {
    pub hour: DueHour,
    /// A hold keeps it for as long as the hold is in force.
    pub held: bool,
}

/// The hours that are due now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The time of the earliest clock.
    pub now: Millis,
    /// Earliest due first.
    pub hours: Vec<PendingHour>,
    /// There are more hours that are due.
    pub more: bool,
}

impl Pending {
    /// The hours that a sweep may forget.
    pub fn free(&self) -> impl Iterator<Item = &DueHour> {
        self.hours.iter().filter(|hour| !hour.held).map(|hour| &hour.hour)
    }

    /// Time since the earliest hour that no hold keeps was due, in milliseconds; 0 if there is none.
    pub fn lag_ms(&self) -> i64 {
        self.free().next().map_or(0, |hour| self.now.0.saturating_sub(hour.due.at().0).max(0))
    }
}

/// Looks for due hours again and again. It lists each held hour once an hour, not at every look.
#[derive(Default)]
pub struct DueLooks {
    last: Option<Look>,
}

/// A look at the due hours.
struct Look {
    holds: Vec<Hold>,
    /// Every open hour that was due before this was held.
    from: Due,
    /// The time of the last look at all due hours.
    at: Millis,
}

impl DueLooks {
    /// Returns the hours that are due now, as [`pending`] does, but without the held hours before the first
    /// one that may be free.
    ///
    /// While the holds are the same, nothing before that place becomes free: no hour is minted or moved to a
    /// due that has been reached. Once an hour all of them are listed nevertheless.
    ///
    /// # Errors
    /// [`ExecuteError`]: ask again later.
    pub async fn look(
        &mut self,
        store: &dyn ReadStore,
        clock: &dyn Clock,
        most: usize,
    ) -> Result<Pending, ExecuteError> {
        let (now, holds) = (time(store, clock).await?, store.holds().await?);
        let is_fresh = |look: &Look| (0..HOUR_MS).contains(&now.0.saturating_sub(look.at.0));
        let last = self.last.take().filter(|look| look.holds == holds && is_fresh(look));
        let (from, at) = last.map_or((Due(0), now), |look| (look.from, look.at));
        let pending = pending(store, clock, from, most).await?;
        let first_free = pending.free().next().map(|hour| hour.due);
        let last_held = pending.hours.last().map(|hour| hour.hour.due);
        self.last = Some(Look { holds, from: first_free.or(last_held).unwrap_or(from), at });
        Ok(pending)
    }
}

/// Returns the hours that are due now, by the earlier of the worker's and the store's clock, and not before
/// `from`. Stops when it has `most` hours that no hold keeps.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub async fn pending(
    store: &dyn ReadStore,
    clock: &dyn Clock,
    from: Due,
    most: usize,
) -> Result<Pending, ExecuteError> {
    pending_but(store, clock, from, most, &BTreeSet::new()).await
}

/// As [`pending`]. The hours of the customers in `kept` count as held.
pub(super) async fn pending_but(
    store: &dyn ReadStore,
    clock: &dyn Clock,
    from: Due,
    most: usize,
    kept: &BTreeSet<Token>,
) -> Result<Pending, ExecuteError> {
    let now = time(store, clock).await?;
    let holds = store.holds().await?;
    let mut pending = Pending { now, hours: Vec::new(), more: false };
    // A due is reached with the first millisecond of its hour.
    let Some(until) = Hour::containing(now).map(|hour| Due(hour.0)) else { return Ok(pending) };
    let (mut after, mut free) = (DueHour::before(from), 0);
    loop {
        let page = store.due_hours(until, after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        for hour in page {
            if free == most {
                pending.more = true;
                return Ok(pending);
            }
            after = Some(hour.clone());
            let held = kept.contains(&hour.token) || holds.iter().any(|hold| covers(hold, &hour));
            free += usize::from(!held);
            pending.hours.push(PendingHour { hour, held });
        }
        if is_last {
            return Ok(pending);
        }
    }
}

fn covers(hold: &Hold, hour: &DueHour) -> bool {
    hold.token == hour.token && (hold.from..=hold.to).contains(&hour.hour)
}
