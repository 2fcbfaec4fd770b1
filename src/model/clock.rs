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
    /// RFC 3339 in UTC with milliseconds, or the bare number where no calendar reaches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Where "now" comes from. Pure code takes a [`Millis`]; loops take a `&dyn Clock`; the system's clock lives in `edge`.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Millis;

    /// Milliseconds that never jump and go on while the machine sleeps (CLOCK_BOOTTIME): for leases only.
    fn boot_ms(&self) -> u64;
}
