//! Reports the signing of the log to metrics, readiness, the log lines and `/checkpoint`.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use super::logging::{LogObserver, Logged};
use super::metrics::{LogMetrics, NewestCheckpoint};
use crate::telemetry::{Condition, codes, debug, error, warn};

/// Receives the events of the signing.
pub(crate) struct LoggingObserver {
    metrics: LogMetrics,
    newest: NewestCheckpoint,
    condition: Condition,
    /// Number of leaves under the newest checkpoint.
    signed: u64,
    /// The reason in the last log line, while it lasts.
    reported: Option<String>,
}

impl LoggingObserver {
    pub(crate) fn new(metrics: LogMetrics, newest: NewestCheckpoint, condition: Condition) -> Self {
        Self { metrics, newest, condition, signed: 0, reported: None }
    }

    /// Whether the reason is new, so that it is logged once: the same reason is reported
    /// repeatedly while it lasts.
    fn is_new(&mut self, why: &str) -> bool {
        self.condition.unmet(why);
        self.reported.replace(why.to_owned()).as_deref() != Some(why)
    }

    fn works(&mut self) {
        self.reported = None;
        self.condition.met();
    }
}

impl LogObserver for LoggingObserver {
    fn observe(&mut self, event: Logged<'_>) {
        match event {
            Logged::Read(head) => {
                self.metrics.read(head.size);
                if head.size == self.signed {
                    self.works();
                }
            }
            Logged::Published { checkpoint, at } => {
                self.signed = checkpoint.head().size;
                self.metrics.published(self.signed, at.0 as f64 / 1_000.0);
                self.newest.set(checkpoint.to_string());
                debug!(codes::CHECKPOINT_PUBLISHED, size = self.signed, "checkpoint published");
                self.works();
            }
            Logged::Refused(refusal) => {
                self.metrics.halted();
                if self.is_new(&refusal.to_string()) {
                    error!(codes::LOG_REFUSED, "{refusal}: no checkpoint is signed");
                }
            }
            Logged::Waiting(why) => {
                if self.is_new(why) {
                    warn!(codes::LOG_WAITS, why, "no checkpoint is signed for now: retrying");
                }
            }
        }
    }
}
