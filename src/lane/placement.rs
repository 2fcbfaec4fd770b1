//! The number of partitions over which lanes place the records of an output topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// A number of partitions of one topic, 1 or more. It is the same for all workers of a key store, and may
/// change while the process runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Placement(Arc<AtomicI32>);

impl Placement {
    pub fn new(partitions: i32) -> Self {
        Self(Arc::new(AtomicI32::new(partitions)))
    }

    /// The number of partitions. Records go to those from 0 to this number - 1.
    pub fn now(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Stores another number. Returns the one before.
    pub fn set(&self, partitions: i32) -> i32 {
        self.0.swap(partitions, Ordering::Relaxed)
    }
}
