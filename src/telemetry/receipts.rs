//! What a process that signs the log of receipts tells.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Gauge, IntGauge};

use super::registry::Family;

/// The log's metrics, and its newest checkpoint for `/checkpoint`. Called once per checkpoint.
#[derive(Clone)]
pub struct ReceiptMetrics {
    tree: IntGauge,
    signed: IntGauge,
    signed_at: Gauge,
    halted: IntGauge,
    newest: Arc<Mutex<Option<String>>>,
}

impl ReceiptMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        Self {
            tree: family.gauge(
                "receipts_tree_size",
                "Leaves of the log of receipts, as this process has read it; 0 where it signs none",
            ),
            signed: family.gauge("receipts_checkpoint_size", "Leaves under the newest signed checkpoint"),
            signed_at: family.second(
                "receipts_last_checkpoint_timestamp_seconds",
                "When the newest signed checkpoint was published",
            ),
            halted: family.gauge(
                "receipts_signing_halted",
                "1 while the receipts topic contradicts a published checkpoint",
            ),
            newest: Arc::default(),
        }
    }

    /// The topic was read to its end and contradicts nothing.
    pub fn read(&self, size: u64) {
        self.tree.set(integer(size));
        self.halted.set(0);
    }

    /// A checkpoint of `size` leaves was published at `at_seconds` since the epoch.
    pub fn published(&self, note: &str, size: u64, at_seconds: f64) {
        self.signed.set(integer(size));
        self.signed_at.set(at_seconds);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.to_owned());
    }

    /// Nothing is signed until a person has looked.
    pub fn halted(&self) {
        self.halted.set(1);
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> Option<String> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn integer(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
