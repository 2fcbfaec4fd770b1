//! Carries the rows of a read to the write that follows it, in the caller's values ([`Seen`]). A mint follows
//! the fetch that did not find its key; a sweep follows the list of due hours.
//!
//! Nothing is decided by these rows alone: the conditional statement of a mint or a fence checks that its
//! hour is still as it was seen. Floor, closing, and a hold on an hour without a gate are not in that
//! statement. They are at most [`FRESH`] old; the answer to any read may be out of date, too.

use std::any::Any;
use std::time::{Duration, Instant};

use crate::keys::Seen;

const FRESH: Duration = Duration::from_secs(2);

struct Dated<T> {
    what: T,
    at: Instant,
}

pub(super) fn seen<T: Any + Send + Sync>(what: T) -> Seen {
    Seen::of(Dated { what, at: Instant::now() })
}

/// `None` if nothing was read, or if the read is [`FRESH`] old or older. The write then reads first.
pub(super) fn fresh<T: Any>(seen: &Seen) -> Option<&T> {
    seen.get::<Dated<T>>().filter(|dated| dated.at.elapsed() < FRESH).map(|dated| &dated.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_serves_for_two_seconds() {
        assert_eq!(fresh(&seen(7_u8)), Some(&7_u8));
        assert_eq!(fresh::<u16>(&seen(7_u8)), None);
        assert_eq!(fresh::<u8>(&Seen::nothing()), None);
        let at = Instant::now().checked_sub(FRESH).expect("the machine is up for longer");
        assert_eq!(fresh::<u8>(&Seen::of(Dated { what: 7_u8, at })), None);
    }
}
