//! The sweep's task: looks at what is due, tells metrics, and calls for the sweep where this process executes. Decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Foundation;
use super::barrier::Barrier;
use crate::edge::kafka::{ClientSettings, post};
use crate::envelope::random;
use crate::forget::{Call, Pending, Wants, pending};
use crate::stream::Stop;
use crate::telemetry::{ForgetMetrics, codes, warn};

/// Most overdue hours that one look counts.
const COUNTED: usize = 10_000;
/// Hours of one sweep: so many calls are needed.
const PER_CALL: usize = 1_000;

/// Whether this process executes, and when it has swept: the executor tells, the sweep's task hears.
#[derive(Clone, Default)]
pub(super) struct Seat(Arc<(AtomicBool, Notify)>);

impl Seat {
    pub(super) fn taken(&self, taken: bool) {
        self.0.0.store(taken, Ordering::Relaxed);
        if taken {
            self.0.1.notify_one();
        }
    }

    pub(super) fn swept(&self) {
        self.0.1.notify_one();
    }

    pub(super) fn is_taken(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Until there may be more to do, `most` at most.
    async fn wait(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.0.1.notified()).await;
    }
}

/// Writes calls to the control topic.
#[derive(Clone)]
pub(super) struct ControlPost {
    pub(super) client: ClientSettings,
    pub(super) topic: String,
}

impl ControlPost {
    pub(super) async fn call(&self, wants: Wants) -> Result<(), String> {
        let mut nonce = [0; 8];
        random(&mut nonce);
        let record = Call::record(&wants, u64::from_be_bytes(nonce));
        let Self { client, topic } = self.clone();
        let posting = tokio::task::spawn_blocking(move || post::post(&client, &topic, &record));
        match posting.await {
            Ok(Ok(_offset)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

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
        let pending = pending(&**store, &**clock, COUNTED).await.map_err(|error| error.to_string())?;
        let overdue = pending.free().count();
        let lag = Duration::from_millis(u64::try_from(pending.lag_ms()).unwrap_or(0));
        self.metrics.overdue(overdue, lag);
        if self.seat.is_taken() { self.call(&pending, overdue).await } else { Ok(()) }
    }

    /// One call for each sweep that is needed: each of them finds the next hours.
    async fn call(&self, pending: &Pending, overdue: usize) -> Result<(), String> {
        let Some(due) = pending.free().next().map(|hour| hour.due) else { return Ok(()) };
        for _ in 0..overdue.div_ceil(PER_CALL) {
            self.post.call(Wants::Sweep(due)).await?;
        }
        Ok(())
    }
}
