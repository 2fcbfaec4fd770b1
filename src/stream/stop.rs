//! One signal to stop, shared by every lane and task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest time that a command, or the start of a process, waits for an answer of the cluster.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Requested once, seen by all. Cheap to check in a loop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
