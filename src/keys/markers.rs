//! Markers: the records of forgotten hours. They expire ninety days after the fail-safe's week. After that,
//! the customer's floor, which is permanent, says the same. On a server, TTLs do this for the
//! rows that have one.

use crate::model::{Clock, Due, Hour, Millis, Retention, earliest};

use super::{Customer, FAILSAFE_MS, HourRow, KeysError, Store};

/// Time from an hour's due until its marker expires, in milliseconds: 97 days.
pub const MARKER_MS: i64 = FAILSAFE_MS + 90 * 24 * 3_600_000;

/// Number of customers in a page.
const PAGE: usize = 1_000;

/// Moves each customer's floor up past the hours that were due 97 days ago by the retention of today, but
/// not past an open hour. Then drops the equally old markers below the floor. Returns the number of hours
/// dropped.
///
/// # Errors
/// [`KeysError::Store`], [`KeysError::ClocksApart`]: some floors may have moved, which is
/// correct at any time.
pub async fn expire_markers(store: &dyn Store, clock: &dyn Clock) -> Result<u64, KeysError> {
    let now = earliest(clock.now(), store.now().await?)?;
    let Some(until) = faded(now) else { return Ok(0) };
    let default = store.meta().await?.default_retention;
    let mut after = None;
    loop {
        let page = store.customers(after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (token, customer) in &page {
            let floor = floor(until, customer.retention.unwrap_or(default));
            if !lies_behind(customer, floor) {
                let rows = store.hours(*token, Hour(0), floor).await?;
                store.raise_floor(*token, behind_open(floor, &rows)).await?;
            }
        }
    }
    Ok(store.expire_markers(until).await?)
}

/// The latest due at the start of a day that is 97 days ago: so floors move once a day. `None` within the
/// calendar's first 97 days.
fn faded(now: Millis) -> Option<Due> {
    Hour::containing(now.plus(-MARKER_MS)).map(|hour| Due(hour.0 / 24 * 24))
}

/// The first hour that is not due at `until`. An hour is due at its end plus the retention.
fn floor(until: Due, retention: Retention) -> Hour {
    Hour(until.0.saturating_sub(u32::from(retention.as_hours())))
}

fn lies_behind(customer: &Customer, floor: Hour) -> bool {
    customer.floor.is_some_and(|is| is >= floor)
}

/// Limits a floor to the first open hour: such an hour may have its own terms.
fn behind_open(floor: Hour, rows: &[HourRow]) -> Hour {
    rows.iter().filter(|row| !row.gate.fenced).map(|row| row.hour).fold(floor, Hour::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Gate;
    use crate::model::Token;

    #[test]
    fn a_marker_is_faded_97_days_after_its_due_to_the_day() {
        let due = Due(500_000 / 24 * 24);
        assert_eq!(faded(due.at().plus(97 * 86_400_000)), Some(due));
        assert_eq!(faded(due.at().plus(97 * 86_400_000 - 1)), Some(Due(due.0 - 24)));
        assert_eq!(faded(Millis(MARKER_MS - 1)), None);
    }

    #[test]
    fn the_floor_is_the_first_hour_that_was_not_due_then() {
        let (until, day) = (Due(500_000), Retention::hours(24).expect("not zero"));
        let floor = floor(until, day);
        assert!(!Due::of(floor, day).reached(until.at()));
        assert!(Due::of(Hour(floor.0 - 1), day).reached(until.at()));
    }

    #[test]
    fn the_floor_stays_behind_an_open_hour() {
        let row = |hour: u32, fenced| {
            let gate = Gate { due: Due(hour + 25), kek: None, fenced, hold: None, command: None };
            HourRow { token: Token([1; 16]), hour: Hour(hour), gate, keys: Vec::new() }
        };
        assert_eq!(behind_open(Hour(100), &[row(40, true), row(90, true)]), Hour(100));
        assert_eq!(behind_open(Hour(100), &[row(40, true), row(50, false), row(90, false)]), Hour(50));
    }
}
