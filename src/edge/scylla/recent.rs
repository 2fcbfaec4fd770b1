//! What was read a moment ago, so that a burst of mints does not read everything twice: a fetch is followed by the mint of
//! what it has not found.
//!
//! Nothing is decided by it alone: the conditional statement of a mint tells whether its hour is still as it was seen. What
//! is not in that statement (floor, closing, a hold on an hour without a gate) is as old as the answer to a read may be
//! anyway, and at most [`Recent::FRESH`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rows::{HourRows, Policy};
use crate::model::{CustomerId, Hour, Token};

#[derive(Default)]
pub(super) struct Recent {
    hours: Mutex<HashMap<(Token, Hour), Seen>>,
    /// A token's name never changes.
    names: Mutex<HashMap<Token, CustomerId>>,
}

struct Seen {
    at: Instant,
    policy: Policy,
    rows: HourRows,
}

impl Recent {
    const FRESH: Duration = Duration::from_secs(2);
    /// Hours and names remembered; beyond, they are read again.
    const MOST_HOURS: usize = 20_000;
    const MOST_NAMES: usize = 500_000;

    pub(super) fn saw(&self, token: Token, hour: Hour, policy: &Policy, rows: &HourRows) {
        let mut hours = lock(&self.hours);
        if hours.len() >= Self::MOST_HOURS {
            hours.clear();
        }
        hours.insert((token, hour), Seen { at: Instant::now(), policy: policy.clone(), rows: rows.clone() });
    }

    /// Gives it away: a second attempt reads anew.
    pub(super) fn take(&self, token: Token, hour: Hour) -> Option<(Policy, HourRows)> {
        let seen = lock(&self.hours).remove(&(token, hour))?;
        (seen.at.elapsed() < Self::FRESH).then_some((seen.policy, seen.rows))
    }

    pub(super) fn name(&self, token: Token) -> Option<CustomerId> {
        lock(&self.names).get(&token).cloned()
    }

    /// A name that is in the store.
    pub(super) fn named(&self, token: Token, name: &CustomerId) {
        let mut names = lock(&self.names);
        if names.len() >= Self::MOST_NAMES {
            names.clear();
        }
        names.insert(token, name.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = Token([1; 16]);

    #[test]
    fn what_was_seen_serves_one_mint() {
        let recent = Recent::default();
        recent.saw(TOKEN, Hour(1), &Policy::default(), &HourRows::default());
        assert_eq!(recent.take(TOKEN, Hour(2)), None);
        assert!(recent.take(TOKEN, Hour(1)).is_some());
        assert_eq!(recent.take(TOKEN, Hour(1)), None);
    }

    #[test]
    fn it_stays_small() {
        let recent = Recent::default();
        for hour in 0..3 * Recent::MOST_HOURS {
            let hour = Hour(u32::try_from(hour).expect("small"));
            recent.saw(TOKEN, hour, &Policy::default(), &HourRows::default());
            assert!(lock(&recent.hours).len() <= Recent::MOST_HOURS);
        }
    }
}
