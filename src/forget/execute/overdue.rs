//! What the clock has made due and nobody has forgotten: for the sweep, its metrics and its dry run.

use super::context::time;
use super::error::ExecuteError;
use crate::keys::{DueHour, Hold, ReadStore};
use crate::model::{Clock, Due, Hour, Millis};

/// Most hours of one sweep.
pub const SWEEP_HOURS: usize = 1_000;

/// Hours of one look at the store: one more than a sweep takes, so that one look tells whether there are
/// more.
const PAGE: usize = SWEEP_HOURS + 1;

/// An open hour that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingHour {
    pub hour: DueHour,
    /// It stays, for as long as the hold does.
    pub held: bool,
}

/// What is due now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// By the earliest clock.
    pub now: Millis,
    /// Soonest due first.
    pub hours: Vec<PendingHour>,
    /// There are more.
    pub more: bool,
}

impl Pending {
    /// Those that a sweep may forget.
    pub fn free(&self) -> impl Iterator<Item = &DueHour> {
        self.hours.iter().filter(|hour| !hour.held).map(|hour| &hour.hour)
    }

    /// How long the soonest of them has been due, in milliseconds; 0 where nothing is.
    pub fn lag_ms(&self) -> i64 {
        self.free().next().map_or(0, |hour| self.now.0.saturating_sub(hour.due.at().0).max(0))
    }
}

/// The hours that are due now by the earliest of the worker's and the store's clock, and not before `from`,
/// until there are `most` of them that no hold keeps.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub async fn pending(
    store: &dyn ReadStore,
    clock: &dyn Clock,
    from: Due,
    most: usize,
) -> Result<Pending, ExecuteError> {
    let now = time(store, clock).await?;
    let holds = store.holds().await?;
    let mut pending = Pending { now, hours: Vec::new(), more: false };
    // An hour number is reached when its first millisecond is.
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
            let held = holds.iter().any(|hold| covers(hold, &hour));
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
