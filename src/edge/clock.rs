//! The system's clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::model::{Clock, Millis};

/// Wall-clock time of the system, and CLOCK_BOOTTIME.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let now = SystemTime::now();
        let now = match now.duration_since(UNIX_EPOCH) {
            Ok(since) => Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => {
                Millis(i64::try_from(before.duration().as_millis()).map_or(i64::MIN, i64::wrapping_neg))
            }
        };
        #[cfg(feature = "testkit")]
        let now = now.plus(crate::testkit::clock_offset_ms());
        now
    }

    fn boot_ms(&self) -> u64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward_from_a_sensible_time() {
        let clock = SystemClock;
        let (now, boot) = (clock.now(), clock.boot_ms());
        assert!(now > Millis(1_700_000_000_000), "after 2023");
        assert!(boot > 0 && clock.boot_ms() >= boot);
    }
}
