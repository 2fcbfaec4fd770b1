//! Calls that may hang: who is in one, and since when (librdkafka #5456, #5511).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A lane's sign of life. The lane marks each call that can block; the watchdog of `app` looks at it from outside.
#[derive(Clone)]
pub struct Pulse {
    origin: Instant,
    /// Milliseconds since `origin`, plus one, at which the call began; 0 = in no call.
    since: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { origin: Instant::now(), since: Arc::new(AtomicU64::new(0)) }
    }
}

impl Pulse {
    /// Marks a call until the guard is dropped.
    pub fn enter(&self) -> Call<'_> {
        let now = self.origin.elapsed().as_millis() as u64 + 1;
        self.since.store(now, Ordering::Relaxed);
        Call(self)
    }

    /// How long the present call has lasted; `None` outside of calls.
    pub fn stuck_for(&self) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        let now = self.origin.elapsed().as_millis() as u64 + 1;
        (since != 0).then(|| Duration::from_millis(now.saturating_sub(since)))
    }
}

/// A call under way.
pub struct Call<'a>(&'a Pulse);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, Ordering::Relaxed);
    }
}
