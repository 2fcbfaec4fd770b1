//! The fail-safe: overwrites keys that are overdue for a week, and deletes expired markers.

use std::time::Duration;

use super::{Duty, Who};
use crate::app::Foundation;
use crate::app::process::Process;
use crate::keys::{KeyMetrics, expire_markers, expire_overdue};
use crate::telemetry::{codes, warn};

/// Time from one turn to the next. With a grace of a week there is no hurry, and on CQL each turn reads all
/// overdue hours.
const EVERY: Duration = Duration::from_secs(3_600);

/// Turns from one check of the markers to the next: floors move by days.
const TURNS_A_DAY: u32 = 24;

pub(super) struct FailSafe {
    foundation: Foundation,
    metrics: KeyMetrics,
    turn: u32,
}

impl FailSafe {
    pub(super) fn new(process: &Process) -> Self {
        Self { foundation: process.foundation.clone(), metrics: process.metrics.keys.clone(), turn: 0 }
    }

    async fn expire_keys(&self) -> Result<(), String> {
        let Foundation { store, clock, .. } = &self.foundation;
        match expire_overdue(&**store, &**clock).await {
            Ok(0) => Ok(()),
            Ok(keys) => {
                self.metrics.expired(keys);
                warn!(
                    codes::KEYS_EXPIRED,
                    keys, "overwrote keys that no command erased within a week of their due time"
                );
                Ok(())
            }
            Err(error) => {
                self.metrics.not_expired();
                Err(format!("could not look for overdue keys: {error}"))
            }
        }
    }
}

impl Duty for FailSafe {
    const NAME: &'static str = "fail-safe";
    const WHO: Who = Who::Everyone;
    /// A key that a command erased must be recorded as erased, not as expired.
    const AFTER_RECEIPTS: bool = true;

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        let turn = self.turn;
        self.turn = (turn + 1) % TURNS_A_DAY;
        let expired = self.expire_keys().await;
        if turn == 0 {
            let Foundation { store, clock, .. } = &self.foundation;
            let deleted = expire_markers(&**store, &**clock).await;
            deleted.map_err(|error| format!("could not delete expired markers: {error}"))?;
        }
        expired?;
        Ok(EVERY)
    }

    fn log_failure(&self, why: &str) {
        warn!(codes::FAILSAFE_WAITS, why, "the fail-safe failed and tries again in an hour");
    }
}
