//! What was read a moment ago, so that nothing is read twice in a burst: a fetch is followed by the mint of what it has not
//! found, and the list of what is due by the sweep of it.
//!
//! Nothing is decided by it alone: the conditional statement of a mint or a fence tells whether its hour is still as it was
//! seen. What is not in that statement (floor, closing, a hold on an hour without a gate) is as old as the answer to a read may
//! be anyway, and at most [`FRESH`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rows::{HourRows, Policy};
use crate::model::{CustomerId, Hour, Token};

const FRESH: Duration = Duration::from_secs(2);
/// Hours and names remembered; beyond, they are read again.
const MOST_HOURS: usize = 10_000;
const MOST_NAMES: usize = 500_000;

#[derive(Default)]
pub(super) struct Recent {
    /// Hours that a fetch has found without the key that it asked for.
    pub(super) missing: Seen<(Policy, HourRows)>,
    /// Open hours of the list of what is due.
    pub(super) due: Seen<HourRows>,
    /// A token's name never changes.
    names: Mutex<HashMap<Token, CustomerId>>,
}

/// What was seen of hours, and when.
pub(super) struct Seen<T>(Mutex<HashMap<(Token, Hour), (Instant, T)>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Seen<T> {
    pub(super) fn put(&self, token: Token, hour: Hour, what: T) {
        let mut hours = lock(&self.0);
        if hours.len() >= MOST_HOURS {
            hours.clear();
        }
        hours.insert((token, hour), (Instant::now(), what));
    }

    /// Gives it away: a second attempt reads anew.
    pub(super) fn take(&self, token: Token, hour: Hour) -> Option<T> {
        let (at, what) = lock(&self.0).remove(&(token, hour))?;
        (at.elapsed() < FRESH).then_some(what)
    }
}

impl Recent {
    pub(super) fn name(&self, token: Token) -> Option<CustomerId> {
        lock(&self.names).get(&token).cloned()
    }

    /// A name that is in the store.
    pub(super) fn named(&self, token: Token, name: &CustomerId) {
        let mut names = lock(&self.names);
        if names.len() >= MOST_NAMES {
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
    fn what_was_seen_serves_once() {
        let seen = Seen::default();
        seen.put(TOKEN, Hour(1), ());
        assert_eq!(seen.take(TOKEN, Hour(2)), None);
        assert!(seen.take(TOKEN, Hour(1)).is_some());
        assert_eq!(seen.take(TOKEN, Hour(1)), None);
    }

    #[test]
    fn it_stays_small() {
        let seen = Seen::default();
        for hour in 0..3 * MOST_HOURS {
            let hour = Hour(u32::try_from(hour).expect("small"));
            seen.put(TOKEN, hour, ());
            assert!(lock(&seen.0).len() <= MOST_HOURS);
        }
    }
}
