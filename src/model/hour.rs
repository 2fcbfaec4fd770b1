//! The event-time hour.

use std::fmt;

use super::Millis;

/// Milliseconds in an hour. Nothing outside `model` divides by it.
pub const MILLIS_PER_HOUR: i64 = 3_600_000;

/// Hours since 1970-01-01T00:00Z. A u32 reaches beyond the year 491,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour(pub u32);

impl Hour {
    /// Returns the hour that contains `time`. `None` before 1970 or beyond u32.
    pub fn containing(time: Millis) -> Option<Self> {
        u32::try_from(time.0.div_euclid(MILLIS_PER_HOUR)).ok().map(Self)
    }

    pub const fn start(self) -> Millis {
        Millis(self.0 as i64 * MILLIS_PER_HOUR)
    }

    /// Milliseconds of `time` within this hour: 0 to 3,599,999 for a time that it contains.
    pub const fn offset_of(self, time: Millis) -> u32 {
        (time.0 - self.start().0) as u32
    }

    pub const fn plus(self, hours: u32) -> Self {
        Self(self.0.saturating_add(hours))
    }
}

impl fmt::Display for Hour {
    /// RFC 3339 of the hour's start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.start().0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "hour {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_holds_its_first_and_last_millisecond() {
        let hour = Hour(494_000);
        assert_eq!(Hour::containing(hour.start()), Some(hour));
        assert_eq!(Hour::containing(hour.start().plus(MILLIS_PER_HOUR - 1)), Some(hour));
        assert_eq!(Hour::containing(hour.start().plus(MILLIS_PER_HOUR)), Some(hour.plus(1)));
        assert_eq!(Hour::containing(Millis(-1)), None);
        assert_eq!(hour.offset_of(hour.start().plus(3_599_999)), 3_599_999);
    }

    #[test]
    fn an_hour_prints_as_its_start() {
        assert_eq!(Hour(0).to_string(), "1970-01-01T00:00:00Z");
    }
}
