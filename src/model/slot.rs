//! Slots. Each slot has exactly one DEK.

use super::{CustomerId, Hour, MILLIS_PER_HOUR, Millis};

/// An event still counts as on time for this long after its hour, in milliseconds (5 minutes).
pub const GRACE_MS: i64 = 300_000;

/// Number of hours after its hour (plus grace) at which an event is sealed. 0 = on time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generation(pub u16);

impl Generation {
    /// max(0, ⌊(now − grace − hour start) / 1 h⌋); `None` when the event is too old for the field.
    pub fn at(hour: Hour, now: Millis, grace_ms: i64) -> Option<Self> {
        let late = now.0.saturating_sub(grace_ms).saturating_sub(hour.start().0).div_euclid(MILLIS_PER_HOUR);
        u16::try_from(late.max(0)).ok().map(Self)
    }
}

/// (customer, hour, generation): exactly one DEK.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot {
    pub customer: CustomerId,
    pub hour: Hour,
    pub generation: Generation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_seals_only_while_its_hour_runs_plus_grace() {
        let hour = Hour(500_000);
        let at = |minutes: i64| Generation::at(hour, hour.start().plus(minutes * 60_000), GRACE_MS);
        assert_eq!(at(-3), Some(Generation(0)), "a little ahead of time");
        assert_eq!(at(0), Some(Generation(0)));
        assert_eq!(at(64), Some(Generation(0)), "within the grace");
        assert_eq!(at(65), Some(Generation(1)), "after it");
        assert_eq!(at(5 * 60 + 10), Some(Generation(5)), "09:40 sealed at 14:10");
        assert_eq!(Generation::at(hour, hour.plus(70_000).start(), GRACE_MS), None);
    }
}
