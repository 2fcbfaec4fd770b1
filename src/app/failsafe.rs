//! The fail-safe's task: overdue keys go, now and then, told to metrics and log; and markers that nobody needs. Decides nothing.

use std::time::Duration;

use super::Foundation;
use super::barrier::Barrier;
use crate::keys::{expire_markers, expire_overdue};
use crate::stream::Stop;
use crate::telemetry::{KeyMetrics, KeyOp, codes, warn};

/// Time from one look to the next. A week's grace makes it no hurry, and on CQL each look reads what is overdue.
const EVERY: Duration = Duration::from_secs(3_600);

/// Looks from one look at the markers to the next: floors move by days.
const LOOKS_A_DAY: u32 = 24;

pub(super) struct FailSafe {
    pub(super) foundation: Foundation,
    pub(super) metrics: KeyMetrics,
    /// A store that is behind its receipts is first brought up to them: what a command erased is to be called so.
    pub(super) barrier: Barrier,
}

impl FailSafe {
    /// Looks when the barrier opens, and from then on every hour, until the task is dropped.
    pub(super) async fn watch(self, stop: Stop) {
        if !self.barrier.opened(stop).await {
            return;
        }
        for look in 0_u32.. {
            self.look().await;
            if look % LOOKS_A_DAY == 0 {
                self.look_at_markers().await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Readiness tells of a store that is away and of clocks that disagree; the next look tries again.
    async fn look(&self) {
        let Foundation { store, clock, .. } = &self.foundation;
        match expire_overdue(&**store, &**clock).await {
            Ok(0) => {}
            Ok(keys) => {
                self.metrics.did(KeyOp::Expire, keys);
                warn!(
                    codes::KEYS_EXPIRED,
                    keys, "overdue for a week, and no command came: overwritten by the fail-safe"
                );
            }
            Err(error) => {
                self.metrics.failed(KeyOp::Expire, 1);
                warn!(codes::FAILSAFE_WAITS, %error, "the fail-safe could not look for overdue keys");
            }
        }
    }

    async fn look_at_markers(&self) {
        let Foundation { store, clock, .. } = &self.foundation;
        if let Err(error) = expire_markers(&**store, &**clock).await {
            warn!(codes::FAILSAFE_WAITS, %error, "what is known of hours forgotten long ago stays for now");
        }
    }
}
