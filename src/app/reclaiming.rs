//! The reclaim's task: what nobody can open any more leaves the output, now and then, told to metrics and log. Decides nothing.

use std::time::Duration;

use tokio::runtime::Handle;

use super::barrier::Barrier;
use super::calling::Seat;
use super::process::Process;
use super::reclaim::{Prefixes, forgotten, reclaim};
use super::{Failure, Foundation};
use crate::edge::kafka::ClientSettings;
use crate::stream::Stop;
use crate::telemetry::{ForgetMetrics, codes, info, warn};

pub(super) struct Reclaiming {
    pub(super) foundation: Foundation,
    pub(super) metrics: ForgetMetrics,
    pub(super) client: ClientSettings,
    /// The output, and those of retention classes.
    pub(super) topics: Vec<String>,
    /// `reclaim.every`
    pub(super) every: Duration,
    pub(super) seat: Seat,
    /// A store that is behind its receipts is first brought up to them.
    pub(super) barrier: Barrier,
}

impl Process {
    pub(super) fn reclaiming(&self, seat: Seat) -> Reclaiming {
        Reclaiming {
            foundation: self.foundation.clone(),
            metrics: self.telemetry.forget(),
            client: self.client.clone(),
            topics: self.config.topics.outputs(),
            every: self.config.reclaim.every,
            seat,
            barrier: self.barrier.clone(),
        }
    }
}

impl Reclaiming {
    /// From when the barrier opens until the task is dropped. One process does it: the one that executes.
    pub(super) async fn watch(self, stop: Stop) {
        if !self.barrier.opened(stop).await {
            return;
        }
        let mut waits = false;
        loop {
            if self.seat.is_taken() {
                match self.turn().await {
                    Ok(()) => waits = false,
                    Err(Failure { message: why, .. }) if !std::mem::replace(&mut waits, true) => {
                        warn!(codes::RECLAIM_WAITS, why, "what nobody can open any more stays in the output");
                    }
                    Err(_) => {}
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// The scan blocks, so that it has a thread of its own for as long.
    async fn turn(&self) -> Result<(), Failure> {
        let finder = self.foundation.finder();
        let (client, topics, runtime) = (self.client.clone(), self.topics.clone(), Handle::current());
        let look = move || forgotten(&client, &topics, finder, &runtime, &mut |_| ());
        let broken = |error: tokio::task::JoinError| Failure::new(Failure::BUG, error.to_string());
        let prefixes: Prefixes = tokio::task::spawn_blocking(look).await.map_err(broken)??;
        reclaim(&self.client, &prefixes).await?;
        let records = prefixes.values().map(|prefix| prefix.records).sum();
        let bytes = prefixes.values().map(|prefix| prefix.bytes).sum();
        if records > 0 {
            info!(codes::RECLAIMED, records, bytes, "deleted from the output: nobody can open it any more");
            self.metrics.reclaimed(records, bytes);
        }
        Ok(())
    }
}
