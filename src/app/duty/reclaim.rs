//! Reclaim: deletes the output's records that can no longer be opened.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{Duty, Who};
use crate::app::metrics::TopicMetrics;
use crate::app::process::Process;
use crate::app::reclaim::{Prefixes, forgotten, reclaim};
use crate::app::threads::blocking;
use crate::app::{Failure, Foundation};
use crate::edge::kafka::ClientSettings;
use crate::telemetry::{codes, info, warn};

pub(super) struct ReclaimDuty {
    foundation: Foundation,
    metrics: TopicMetrics,
    client: ClientSettings,
    /// The output topic, and those of the retention classes.
    topics: Vec<String>,
    /// `reclaim.every`
    every: Duration,
}

impl ReclaimDuty {
    pub(super) fn new(process: &Process) -> Self {
        Self {
            foundation: process.foundation.clone(),
            metrics: process.metrics.topics.clone(),
            client: process.client.clone(),
            topics: process.config.topics.outputs(),
            every: process.config.reclaim.every,
        }
    }

    /// Scans and deletes. The scan blocks, so it runs on its own thread.
    async fn reclaim(&self) -> Result<(), Failure> {
        let finder = self.foundation.finder();
        let (client, topics, runtime) = (self.client.clone(), self.topics.clone(), Handle::current());
        let look = move || forgotten(&client, &topics, finder, &runtime, &mut |_| ());
        let prefixes: Prefixes = blocking(look).await?;
        reclaim(&self.client, &prefixes).await?;
        let records = prefixes.values().map(|prefix| prefix.records).sum();
        let bytes = prefixes.values().map(|prefix| prefix.bytes).sum();
        if records > 0 {
            info!(codes::RECLAIMED, records, bytes, "deleted output records that can no longer be opened");
            self.metrics.reclaimed(records, bytes);
        }
        Ok(())
    }
}

impl Duty for ReclaimDuty {
    const NAME: &'static str = "reclaim";
    const WHO: Who = Who::Leader;
    const AFTER_RECEIPTS: bool = true;

    fn interval(&self) -> Duration {
        self.every
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        self.reclaim().await.map_err(|failure| failure.message)?;
        Ok(self.every)
    }

    fn log_failure(&self, why: &str) {
        warn!(
            codes::RECLAIM_WAITS,
            why, "reclaim failed and tries again; unreadable records stay until then"
        );
    }
}
