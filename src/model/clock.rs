//! Time as an argument.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00Z. Negative before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Millis(pub i64);

impl Millis {
    pub const fn plus(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

impl fmt::Display for Millis {
    /// RFC 3339 in UTC with milliseconds, or the bare number if it is outside the calendar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Reads RFC 3339, down to whole milliseconds.
impl std::str::FromStr for Millis {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|time: jiff::Timestamp| Self(time.as_millisecond()))
    }
}

/// The source of the current time. Pure code takes a [`Millis`], loops take a `&dyn Clock`. The system's
/// clock is in `edge`.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Millis;

    /// Milliseconds that never jump and continue while the machine sleeps (CLOCK_BOOTTIME). For leases only.
    fn boot_ms(&self) -> u64;
}

/// Maximum difference between the worker's and the store's clock, in milliseconds.
pub const CLOCKS_APART_MS: u64 = 30_000;

/// One of the two clocks is wrong. A wrong clock must not destroy data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the worker's clock ({worker}) and the key store's ({store}) are more than 30 s apart")]
pub struct ClocksApart {
    pub worker: Millis,
    pub store: Millis,
}

/// Returns the earlier of both clocks, so that a clock that runs ahead destroys nothing.
///
/// # Errors
/// [`ClocksApart`] beyond [`CLOCKS_APART_MS`].
pub fn earliest(worker: Millis, store: Millis) -> Result<Millis, ClocksApart> {
    if worker.0.abs_diff(store.0) > CLOCKS_APART_MS {
        return Err(ClocksApart { worker, store });
    }
    Ok(worker.min(store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_30_seconds_apart_and_the_earliest_counts() {
        assert_eq!(earliest(Millis(100_000), Millis(70_000)), Ok(Millis(70_000)));
        assert_eq!(earliest(Millis(70_000), Millis(100_000)), Ok(Millis(70_000)));
        for (worker, store) in [(100_001, 70_000), (70_000, 100_001), (i64::MIN, i64::MAX)] {
            let (worker, store) = (Millis(worker), Millis(store));
            assert_eq!(earliest(worker, store), Err(ClocksApart { worker, store }));
        }
    }
}
