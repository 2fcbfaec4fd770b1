//! A topic's `max.message.bytes`, as far as the process knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The `max.message.bytes` of a topic, or the smallest one of several topics. It may change while the process
/// runs. Clones share it.
#[derive(Clone, Debug)]
pub struct MaxMessageBytes(Arc<Known>);

#[derive(Debug)]
struct Known {
    now: AtomicUsize,
    largest: AtomicUsize,
    in_doubt: AtomicBool,
}

impl MaxMessageBytes {
    pub fn new(bytes: usize) -> Self {
        let (now, largest) = (AtomicUsize::new(bytes), AtomicUsize::new(bytes));
        Self(Arc::new(Known { now, largest, in_doubt: AtomicBool::new(false) }))
    }

    /// The value that the broker reported last, in bytes.
    pub fn now(&self) -> usize {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The largest value that the broker has reported, in bytes.
    pub fn largest(&self) -> usize {
        self.0.largest.load(Ordering::Relaxed)
    }

    /// Stores the value that the broker reports, in bytes.
    pub fn set(&self, bytes: usize) {
        self.0.now.store(bytes, Ordering::Relaxed);
        self.0.largest.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Notes that a transaction was aborted: its batch may have broken a limit of the topic that has changed.
    pub fn doubt(&self) {
        self.0.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Whether the value was doubted since the last call.
    pub fn take_doubt(&self) -> bool {
        self.0.in_doubt.swap(false, Ordering::Relaxed)
    }
}
