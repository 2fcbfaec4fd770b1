//! Marks calls that may hang: whether a lane is in one, and since when (librdkafka #5456, #5511).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A lane's sign of life. The lane marks each call that can block. The watchdog of `app` checks it.
#[derive(Clone)]
pub struct Pulse {
    origin: Instant,
    /// Milliseconds since `origin`, plus one, at which the call began; 0 = not in a call.
    since: Arc<AtomicU64>,
    committing: Arc<AtomicBool>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { origin: Instant::now(), since: Arc::default(), committing: Arc::default() }
    }
}

impl Pulse {
    /// Marks a call until the guard is dropped.
    pub fn enter(&self) -> Call<'_> {
        let now = self.origin.elapsed().as_millis() as u64 + 1;
        self.since.store(now, Ordering::Relaxed);
        Call(self)
    }

    /// Marks a commit until the guard is dropped. If the process ends before that, the outcome is unknown.
    pub fn commit(&self) -> Commit<'_> {
        self.committing.store(true, Ordering::Release);
        Commit(self)
    }

    pub fn is_committing(&self) -> bool {
        self.committing.load(Ordering::Acquire)
    }

    /// Duration of the current call so far; `None` outside of calls.
    pub fn stuck_for(&self) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        let now = self.origin.elapsed().as_millis() as u64 + 1;
        (since != 0).then(|| Duration::from_millis(now.saturating_sub(since)))
    }
}

/// A call in progress.
pub struct Call<'a>(&'a Pulse);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, Ordering::Relaxed);
    }
}

/// A commit in progress.
pub struct Commit<'a>(&'a Pulse);

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        self.0.committing.store(false, Ordering::Release);
    }
}
