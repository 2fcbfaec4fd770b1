//! The metrics of a process that signs the log of receipts. Methods are called at most once per checkpoint.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::{Gauge, Registry};

/// The newest signed checkpoint, for `/checkpoint`. Clones share it.
#[derive(Clone, Default)]
pub struct NewestCheckpoint(Arc<Mutex<Option<String>>>);

impl NewestCheckpoint {
    pub(crate) fn set(&self, note: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// Returns its note; `None` before the first checkpoint.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The log's metrics.
#[derive(Clone)]
pub(crate) struct LogMetrics {
    tree: Gauge,
    signed: Gauge,
    signed_at: Gauge,
    halted: Gauge,
}

impl LogMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            tree: registry.gauge(
                "receipts_tree_size",
                "Leaves in the log of receipts that this process has read; 0 if it does not sign",
            ),
            signed: registry.gauge("receipts_checkpoint_size", "Leaves under the newest signed checkpoint"),
            signed_at: registry.gauge(
                "receipts_last_checkpoint_timestamp_seconds",
                "Unix time at which the newest signed checkpoint was published",
            ),
            halted: registry.gauge(
                "receipts_signing_halted",
                "1 while the receipts topic contradicts a published checkpoint",
            ),
        }
    }

    /// The topic was read to its end and contradicts nothing.
    pub(super) fn read(&self, size: u64) {
        self.tree.set(size as f64);
        self.halted.set(0.0);
    }

    /// A checkpoint of `size` leaves was published at `at_seconds` since the epoch.
    pub(super) fn published(&self, size: u64, at_seconds: f64) {
        self.signed.set(size as f64);
        self.signed_at.set(at_seconds);
    }

    /// The topic contradicts a published checkpoint.
    pub(super) fn halted(&self) {
        self.halted.set(1.0);
    }
}
