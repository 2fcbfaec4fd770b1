//! The bounds of timestamps that the output topics accept, as far as the process knows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Millis;

/// Largest difference between our clock and a broker's that the bounds allow for. A record that is closer to
/// a bound is sent, and the broker decides.
const SKEW_MS: i64 = 60_000;

/// `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` of the output topics (KIP-937), in
/// milliseconds; of several topics the widest. A broker refuses a whole batch because of one record outside
/// of them, and that costs a transaction. They may change while the process runs. Clones share them.
#[derive(Clone, Debug)]
pub struct TimestampBounds(Arc<[AtomicI64; 2]>);

impl TimestampBounds {
    /// Without bounds: the broker decides about each record.
    pub fn unlimited() -> Self {
        Self(Arc::new([AtomicI64::new(i64::MAX), AtomicI64::new(i64::MAX)]))
    }

    /// Stores the bounds that the brokers report: how long before and after its arrival a timestamp may be.
    pub fn set(&self, before_ms: i64, after_ms: i64) {
        self.0[0].store(before_ms, Ordering::Relaxed);
        self.0[1].store(after_ms, Ordering::Relaxed);
    }

    /// The bounds that the brokers reported last, in milliseconds: before and after.
    pub fn now(&self) -> (i64, i64) {
        (self.0[0].load(Ordering::Relaxed), self.0[1].load(Ordering::Relaxed))
    }

    /// Whether every output topic refuses a record of this time that arrives `now`.
    pub(super) fn exclude(&self, time: Millis, now: Millis) -> bool {
        let (before, after) = self.now();
        let age = now.0.saturating_sub(time.0);
        age > before.saturating_add(SKEW_MS) || age < after.saturating_add(SKEW_MS).saturating_neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000_000);

    #[test]
    fn only_a_time_that_is_clearly_outside_is_excluded() {
        let bounds = TimestampBounds::unlimited();
        let of_a_lane = bounds.clone();
        for time in [Millis(0), NOW, Millis(i64::MAX / 2)] {
            assert!(!of_a_lane.exclude(time, NOW), "no bounds");
        }
        bounds.set(7_000, 3_000);
        let at = |ms: i64| of_a_lane.exclude(Millis(NOW.0 + ms), NOW);
        assert_eq!([at(-67_001), at(-67_000)], [true, false]);
        assert_eq!([at(63_000), at(63_001)], [false, true]);
    }
}
