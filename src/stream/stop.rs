//! One signal to stop, shared by every lane and task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
