//! The fail-safe: keys that are long overdue go although nobody asked for it. A server's TTLs do the same for
//! the rows that have one.

use crate::model::{Clock, Due, Hour, Millis, earliest};

use super::{EraseStore, KeysError};

/// How long a key outlives its due when nobody sweeps, in milliseconds: a week.
pub const FAILSAFE_MS: i64 = 7 * 24 * 3_600_000;

/// Overwrites every live key that has been due for a week by the earliest of worker's and store's clock, but
/// for those that are held, and answers how many. Such a key is [`super::KeyState::ErasedByTtl`]: no command
/// stands behind it, and no receipt.
///
/// # Errors
/// [`KeysError::Store`], [`KeysError::ClocksApart`]: nothing is known to be overwritten then. Asking again is
/// right.
pub async fn expire_overdue(store: &dyn EraseStore, clock: &dyn Clock) -> Result<u64, KeysError> {
    let now = earliest(clock.now(), store.now().await?)?;
    match overdue(now) {
        Some(until) => Ok(store.expire_secrets(until, now).await?),
        None => Ok(0),
    }
}

/// The latest due that lies a week back; `None` before the calendar's first week.
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
