//! An opener for threads that are no tasks.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{Opener, Reading, Record};

/// Opens records and waits for the keys, within bounds.
pub struct WaitingOpener {
    opener: Opener,
    /// Where keys are asked for.
    runtime: Handle,
    /// Longest time that one call may take.
    patience: Duration,
}

impl WaitingOpener {
    pub fn new(opener: Opener, runtime: Handle, patience: Duration) -> Self {
        Self { opener, runtime, patience }
    }

    /// As [`Opener::open_batch`]; `None` = not within the time. Must not be called from within a task.
    pub fn open_batch(&self, records: &[Record<'_>]) -> Option<Vec<Reading>> {
        let opening = async { tokio::time::timeout(self.patience, self.opener.open_batch(records)).await };
        self.runtime.block_on(opening).ok()
    }
}
