//! Lanes start when every receipt that existed at the start has been applied. A restored store serves nothing
//! before that.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::threads::blocking;
use crate::stream::Stop;

/// Opened once, by the follower of the receipts.
#[derive(Clone, Default)]
pub(super) struct Barrier(Arc<(Mutex<bool>, Condvar)>);

impl Barrier {
    pub(super) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Like [`Barrier::wait`], for a task.
    pub(super) async fn opened(&self, stop: Stop) -> bool {
        let barrier = self.clone();
        blocking(move || barrier.wait(&stop)).await
    }

    /// Waits until it is open, at most `most`. Returns whether it is open.
    pub(super) fn wait_for(&self, most: Duration) -> bool {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(open, most, |open| !*open);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until it is open. Returns false if the stop came first.
    pub(super) fn wait(&self, stop: &Stop) -> bool {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open && !stop.requested() {
            let waited = self.0.1.wait_timeout(open, Duration::from_millis(200));
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *open
    }
}
