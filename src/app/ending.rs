//! The task that looks for KEKs whose day has ended, tells metrics, and calls for their destruction. Decides nothing.

use std::time::Duration;

use super::Foundation;
use super::barrier::Barrier;
use super::calling::{ControlPost, Seat};
use crate::forget::{EndedKek, Wants, ended_keks};
use crate::stream::Stop;
use crate::telemetry::{ForgetMetrics, codes, warn};

/// How soon it looks again after it has called, or while another process executes.
const SOON: Duration = Duration::from_secs(10);

pub(super) struct Ending {
    pub(super) foundation: Foundation,
    pub(super) metrics: ForgetMetrics,
    pub(super) post: ControlPost,
    /// `kek.destroy`
    pub(super) every: Duration,
    pub(super) seat: Seat,
    /// A store that is behind its receipts is first brought up to them.
    pub(super) barrier: Barrier,
}

impl Ending {
    /// Looks at its pace while this process executes, until the task is dropped. Each look may scan all keys, so the others
    /// do not.
    pub(super) async fn watch(self, stop: Stop) {
        if !self.barrier.opened(stop).await {
            return;
        }
        let mut waits = false;
        loop {
            let look = if self.seat.is_taken() { self.look().await } else { Ok(SOON) };
            let pause = match look {
                Ok(pause) => {
                    waits = false;
                    pause
                }
                Err(why) => {
                    if !std::mem::replace(&mut waits, true) {
                        warn!(codes::KEKS_WAIT, why, "KEKs whose day has ended wait; they go when they can");
                    }
                    self.every
                }
            };
            tokio::time::sleep(pause.min(self.every)).await;
        }
    }

    /// Answers when to look again.
    async fn look(&self) -> Result<Duration, String> {
        let Foundation { store, clock, .. } = &self.foundation;
        let ended = ended_keks(&**store, &**clock).await.map_err(|error| error.to_string())?;
        let (free, kept): (Vec<EndedKek>, Vec<EndedKek>) = ended.into_iter().partition(EndedKek::is_free);
        let needed = kept.iter().filter(|kek| kek.needed > 0).count();
        self.metrics.ended_keks(needed, kept.len() - needed, free.len());
        for EndedKek { id, .. } in &free {
            self.post.call(Wants::DestroyKek(id.clone())).await?;
        }
        Ok(if free.is_empty() { self.every } else { SOON })
    }
}
