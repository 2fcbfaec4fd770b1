//! An opener for threads outside the async runtime.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{Opener, Reading, Record};

/// Opens records and waits for their keys, up to a limit.
pub struct WaitingOpener {
    opener: Opener,
    /// The runtime that asks for keys.
    runtime: Handle,
    /// Maximum time for one call.
    patience: Duration,
}

impl WaitingOpener {
    pub fn new(opener: Opener, runtime: Handle, patience: Duration) -> Self {
        Self { opener, runtime, patience }
    }

    /// As [`Opener::open_batch`]; `None` = the time ran out. Must not be called from an async task.
    pub fn open_batch(&self, records: &[Record<'_>]) -> Option<Vec<Reading>> {
        let opening = async { tokio::time::timeout(self.patience, self.opener.open_batch(records)).await };
        self.runtime.block_on(opening).ok()
    }
}
