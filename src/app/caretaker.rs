//! What is looked at now and then: the store, its clock, the ring, the keys' memory. For metrics and readiness; decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Foundation;
use crate::envelope::{KeyMemory, key_memory};
use crate::keys::{KeyStore, Ring, RingStats};
use crate::model::earliest;
use crate::stream::Stop;
use crate::telemetry::{Condition, KeyMetrics, KeyOp, Telemetry, codes, warn};

const LOOK: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(3);
/// Counting reads the whole key table.
const COUNT: Duration = Duration::from_secs(60);

/// Tells whether the store answers and the clocks agree, and publishes the ring's figures.
pub(super) struct Caretaker {
    foundation: Foundation,
    ring: Arc<Ring>,
    metrics: KeyMetrics,
    store: Condition,
    clocks: Condition,
    told: RingStats,
    /// Whether it was said that keys are in unlocked memory.
    warned: bool,
}

impl Caretaker {
    pub(super) fn new(foundation: &Foundation, ring: Arc<Ring>, telemetry: &Telemetry) -> Self {
        Self {
            foundation: foundation.clone(),
            ring,
            metrics: telemetry.keys(),
            store: telemetry.readiness.condition("store reachable"),
            clocks: telemetry.readiness.condition("clocks agree"),
            told: RingStats::default(),
            warned: false,
        }
    }

    /// Looks each second until the stop.
    pub(super) async fn watch(mut self, stop: Stop) {
        let mut counted: Option<Instant> = None;
        while !stop.requested() {
            self.look().await;
            if counted.is_none_or(|at| at.elapsed() > COUNT) {
                self.count().await;
                counted = Some(Instant::now());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&mut self) {
        self.publish();
        self.look_at_memory(key_memory());
        match tokio::time::timeout(ANSWER, probe(&*self.foundation.store)).await {
            Ok(Ok(now)) => {
                self.store.met();
                match earliest(self.foundation.clock.now(), now) {
                    Ok(_) => self.clocks.met(),
                    Err(apart) => self.clocks.unmet(apart.to_string()),
                }
            }
            Ok(Err(error)) => self.store.unmet(error.to_string()),
            Err(_) => self.store.unmet(format!("the key store has not answered for {} s", ANSWER.as_secs())),
        }
    }

    async fn count(&self) {
        if let Ok(Ok((live, erased, by_ttl))) =
            tokio::time::timeout(ANSWER, self.foundation.store.count_keys()).await
        {
            self.metrics.counted(live, erased, by_ttl);
        }
    }

    fn publish(&mut self) {
        let stats = self.ring.stats();
        self.metrics.caches(usize::try_from(stats.entries).unwrap_or(usize::MAX));
        self.metrics.did(KeyOp::Fetch, stats.misses - self.told.misses);
        self.metrics.did(KeyOp::Mint, stats.mint.minted - self.told.mint.minted);
        self.metrics.did(KeyOp::Adopt, stats.mint.adopted - self.told.mint.adopted);
        self.metrics.refused(KeyOp::Mint, stats.mint.refused - self.told.mint.refused);
        self.told = stats;
    }

    fn look_at_memory(&mut self, memory: KeyMemory) {
        self.metrics.occupies(memory.locked, memory.unlocked);
        if let Some(denied) = memory.denied.filter(|_| !std::mem::replace(&mut self.warned, true)) {
            warn!(
                codes::MEMORY_NOT_LOCKED,
                bytes = memory.unlocked,
                "keys may be swapped out or dumped ({denied}): for mlock, raise the limit of locked memory (`ulimit -l`, \
                 LimitMEMLOCK= of systemd, ulimits.memlock of a container) to 1 MiB and 32 bytes for each key"
            );
        }
    }
}

/// The store's clock, and that it could be written to: a store that only answers reads mints nothing.
async fn probe(store: &dyn KeyStore) -> Result<crate::model::Millis, crate::keys::StoreError> {
    store.check_writable().await?;
    store.now().await
}
