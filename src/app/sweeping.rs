//! The sweep's task: looks at what is due, tells metrics, and calls for the sweep where this process executes. Decides nothing.

use std::time::Duration;

use super::Foundation;
use super::barrier::Barrier;
use super::calling::{ControlPost, Seat};
use crate::forget::{Pending, SWEEP_HOURS, Wants, pending};
use crate::model::Due;
use crate::stream::Stop;
use crate::telemetry::{ForgetMetrics, codes, warn};

/// Most overdue hours that one look counts.
const COUNTED: usize = 10_000;

pub(super) struct Sweeping {
    pub(super) foundation: Foundation,
    pub(super) metrics: ForgetMetrics,
    pub(super) post: ControlPost,
    /// `retention.sweep`
    pub(super) every: Duration,
    pub(super) seat: Seat,
    /// A store that is behind its receipts is first brought up to them.
    pub(super) barrier: Barrier,
}

impl Sweeping {
    /// Looks when the barrier opens, from then on at its pace and after each sweep, until the task is dropped.
    pub(super) async fn watch(self, stop: Stop) {
        if !self.barrier.opened(stop).await {
            return;
        }
        let mut waits = false;
        loop {
            match self.look().await {
                Ok(()) => waits = false,
                Err(why) if !std::mem::replace(&mut waits, true) => {
                    warn!(codes::SWEEP_WAITS, why, "the sweep waits; what is due goes when it can");
                }
                Err(_) => {}
            }
            self.seat.wait(self.every).await;
        }
    }

    async fn look(&self) -> Result<(), String> {
        let Foundation { store, clock, .. } = &self.foundation;
        let pending =
            pending(&**store, &**clock, Due(0), COUNTED).await.map_err(|error| error.to_string())?;
        let overdue = pending.free().count();
        let lag = Duration::from_millis(u64::try_from(pending.lag_ms()).unwrap_or(0));
        self.metrics.overdue(overdue, lag);
        if self.seat.is_taken() { self.call(&pending).await } else { Ok(()) }
    }

    /// One call for each sweep that is needed, with the due of the first hour that it will find.
    async fn call(&self, pending: &Pending) -> Result<(), String> {
        for hour in pending.free().step_by(SWEEP_HOURS) {
            self.post.call(Wants::Sweep(hour.due)).await?;
        }
        Ok(())
    }
}
