//! The demo's clock: six hours in a few seconds.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::{Clock, Millis};

/// Wall-clock time that the demo sets. The boot clock is the system's, because leases are real.
pub(super) struct DemoClock {
    now: AtomicI64,
    system: crate::edge::clock::SystemClock,
}

impl DemoClock {
    pub(super) fn at(time: Millis) -> Self {
        Self { now: AtomicI64::new(time.0), system: crate::edge::clock::SystemClock }
    }

    pub(super) fn set(&self, time: Millis) {
        self.now.store(time.0, Ordering::Release);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::Acquire))
    }

    fn boot_ms(&self) -> u64 {
        self.system.boot_ms()
    }
}
