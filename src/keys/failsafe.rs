//! The fail-safe: overwrites keys that are long overdue, without a command. On a server, TTLs do the same
//! for the rows that have one.

use crate::model::{Clock, Due, Hour, Millis, earliest};

use super::{EraseStore, KeysError};

/// Time in milliseconds from a key's due until the fail-safe overwrites it, if no sweep did so: a week.
pub const FAILSAFE_MS: i64 = 7 * 24 * 3_600_000;

/// Overwrites every live key that has been due for a week by the earlier of the worker's and the store's
/// clock, except held keys. Returns the number of keys overwritten. Their state is
/// [`super::KeyState::ErasedByTtl`]: no command caused this, and there is no receipt for it.
///
/// # Errors
/// [`KeysError::Store`], [`KeysError::ClocksApart`]: it is then unknown whether keys were
/// overwritten. A retry is safe.
pub async fn expire_overdue(store: &dyn EraseStore, clock: &dyn Clock) -> Result<u64, KeysError> {
    let now = earliest(clock.now(), store.now().await?)?;
    match overdue(now) {
        Some(until) => Ok(store.expire_secrets(until, now).await?),
        None => Ok(0),
    }
}

/// The latest due that is a week ago; `None` within the calendar's first week.
fn overdue(now: Millis) -> Option<Due> {
    Hour::containing(now.plus(-FAILSAFE_MS)).map(|hour| Due(hour.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_is_overdue_after_a_week_to_the_millisecond() {
        assert_eq!(FAILSAFE_MS, 604_800_000);
        let due = Due(500_000);
        let a_week_later = due.at().plus(FAILSAFE_MS);
        assert_eq!(overdue(a_week_later), Some(due));
        assert_eq!(overdue(a_week_later.plus(-1)), Some(Due(due.0 - 1)));
        assert_eq!(overdue(Millis(FAILSAFE_MS - 1)), None);
    }
}
