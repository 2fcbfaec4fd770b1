//! The log of receipts: reads its key, runs it, and reports what it does to metrics, readiness and the log.

use std::sync::Arc;

use super::Failure;
use super::process::Process;
use crate::edge::kafka::{CheckpointPost, ReceiptTail};
use crate::edge::keyfile;
use crate::forget::TailError;
use crate::forget::log::{Desk, LogObserver, Logged, Logging, NotPosted, Origin, VerifierKey};
use crate::telemetry::{Condition, ReceiptMetrics, codes, debug, error, info, warn};

/// Returns what the thread that signs does, where the configuration names a key.
///
/// # Errors
/// 78 where the key cannot be used.
pub(super) fn receipt_log(process: &Process) -> Result<Option<impl FnOnce() + Send + 'static>, Failure> {
    let (config, telemetry) = (&process.config, &process.telemetry);
    let Some(path) = &config.receipts.signing_key_file else { return Ok(None) };
    let key = keyfile::read(path).map_err(unusable)?;
    let origin = Origin::new(process.meta.store, &config.topics.receipts);
    let verifier = VerifierKey::new(origin.as_str(), key.public()).map_err(unusable)?;
    info!(codes::LOG_KEPT, key = %verifier, "the log of receipts is signed");
    let observer = Box::new(LoggingObserver {
        metrics: telemetry.receipts(),
        condition: telemetry.readiness.condition("receipts signed"),
        signed: 0,
        trouble: None,
    });
    let logging = Logging { origin, key, clock: Arc::clone(&process.foundation.clock), observer };
    let (client, topics, stop) = (process.client.clone(), config.topics.clone(), process.stop.clone());
    let desk = move || {
        let tail = |topic: &str| ReceiptTail::connect(&client, topic);
        let post = CheckpointPost::connect(&client, &topics.checkpoints);
        Ok(Desk {
            receipts: tail(&topics.receipts)?,
            checkpoints: tail(&topics.checkpoints)?,
            post: post.map_err(|NotPosted(why)| TailError::Broken(why))?,
        })
    };
    Ok(Some(move || logging.run(desk, &stop)))
}

fn unusable(error: impl std::error::Error) -> Failure {
    Failure::new(Failure::CONFIG, format!("receipts.signing_key_file: {error}"))
}

/// The log's voice.
struct LoggingObserver {
    metrics: ReceiptMetrics,
    condition: Condition,
    /// Leaves under the newest checkpoint.
    signed: u64,
    /// What was told last, while it lasts.
    trouble: Option<String>,
}

impl LoggingObserver {
    /// Once per trouble: what lasts is met again and again.
    fn is_new(&mut self, why: &str) -> bool {
        self.condition.unmet(why);
        self.trouble.replace(why.to_owned()).as_deref() != Some(why)
    }

    fn works(&mut self) {
        self.trouble = None;
        self.condition.met();
    }
}

impl LogObserver for LoggingObserver {
    fn note(&mut self, event: Logged<'_>) {
        match event {
            Logged::Read(head) => {
                self.metrics.read(head.size);
                if head.size == self.signed {
                    self.works();
                }
            }
            Logged::Published { checkpoint, at } => {
                self.signed = checkpoint.head().size;
                self.metrics.published(&checkpoint.to_string(), self.signed, at.0 as f64 / 1_000.0);
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
                    warn!(codes::LOG_WAITS, why, "the log of receipts waits");
                }
            }
        }
    }
}
