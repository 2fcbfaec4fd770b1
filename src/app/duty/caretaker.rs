//! The caretaker: checks the store, its clock, the ring and the keys' memory, for metrics and readiness.

use std::time::Duration;

use super::{Duty, Who};
use crate::app::Foundation;
use crate::app::process::Process;
use crate::envelope::{KeyMemory, key_memory};
use crate::keys::{KeyMetrics, Ring, RingStats, SealStore};
use crate::model::earliest;
use crate::telemetry::{Condition, codes, info, warn};

const LOOK: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(3);

pub(super) struct Caretaker {
    foundation: Foundation,
    ring: Ring,
    metrics: KeyMetrics,
    store: Looked,
    clocks: Looked,
    /// The ring's figures at the last publication.
    last: RingStats,
    /// Whether the log already reports that keys are in unlocked memory.
    warned: bool,
}

impl Caretaker {
    pub(super) fn new(process: &Process, ring: &Ring) -> Self {
        let readiness = &process.telemetry.readiness;
        Self {
            foundation: process.foundation.clone(),
            ring: ring.clone(),
            metrics: process.metrics.keys.clone(),
            store: Looked::new(readiness.condition("store reachable")),
            clocks: Looked::new(readiness.condition("clocks agree")),
            last: RingStats::default(),
            warned: false,
        }
    }

    async fn look(&mut self) {
        self.publish();
        self.look_at_memory(key_memory());
        match tokio::time::timeout(ANSWER, probe(&*self.foundation.store)).await {
            Ok(Ok(now)) => {
                if self.store.met() {
                    info!(codes::STORE_BACK, "the key store answers again");
                }
                match earliest(self.foundation.clock.now(), now) {
                    Ok(_) => {
                        self.clocks.met();
                    }
                    Err(apart) if self.clocks.unmet(&apart.to_string()) => {
                        warn!(codes::CLOCKS_DISAGREE, %apart, "lanes wait for keys that are not in memory");
                    }
                    Err(_) => {}
                }
            }
            Ok(Err(error)) => self.store_is_away(&error.to_string()),
            Err(_) => {
                self.store_is_away(&format!("the key store has not answered for {} s", ANSWER.as_secs()));
            }
        }
    }

    fn store_is_away(&mut self, why: &str) {
        if self.store.unmet(why) {
            warn!(codes::STORE_AWAY, why, "lanes wait for keys that are not in memory");
        }
    }

    fn publish(&mut self) {
        let stats = self.ring.stats();
        self.metrics.ring(stats, self.last);
        self.last = stats;
    }

    fn look_at_memory(&mut self, memory: KeyMemory) {
        self.metrics.occupies(memory.locked, memory.unlocked);
        if let Some(denied) = memory.denied.filter(|_| !std::mem::replace(&mut self.warned, true)) {
            warn!(
                codes::MEMORY_NOT_LOCKED,
                bytes = memory.unlocked,
                "keys may be swapped out or dumped ({denied}): for mlock, raise the limit of locked memory \
                 (`ulimit -l`, LimitMEMLOCK= of systemd, ulimits.memlock of a container) to 1 MiB and 32 \
                 bytes for each key"
            );
        }
    }
}

impl Duty for Caretaker {
    const NAME: &'static str = "caretaker";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = false;

    fn interval(&self) -> Duration {
        LOOK
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        self.look().await;
        Ok(LOOK)
    }

    /// Logs nothing: readiness reports the reason.
    fn log_failure(&self, _why: &str) {}
}

/// A condition that is checked each second, and its last state, to log each change.
struct Looked {
    condition: Condition,
    is_met: Option<bool>,
}

impl Looked {
    fn new(condition: Condition) -> Self {
        Self { condition, is_met: None }
    }

    /// Returns true if it was not met at the last check.
    fn met(&mut self) -> bool {
        self.condition.met();
        self.is_met.replace(true) == Some(false)
    }

    /// Returns true if it was met at the last check, or if this is the first check.
    fn unmet(&mut self, why: &str) -> bool {
        self.condition.unmet(why);
        self.is_met.replace(false) != Some(false)
    }
}

/// Returns the store's time, after a check that the store accepts writes: a store that answers only reads
/// cannot mint.
async fn probe(store: &dyn SealStore) -> Result<crate::model::Millis, crate::keys::StoreError> {
    store.check_writable().await?;
    store.now().await
}
