//! The same loop, without admission, keys and crypto.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hourseal::model::Millis;
use hourseal::stream::{
    Event, Filling, Input, Outgoing, Park, Publish, Ready, Sink, Step, StreamError, Take, TopicIndex, Txn,
};

const BATCH_BYTES: usize = 16 << 20;

pub struct Copy {
    arena: Vec<u8>,
    entries: Vec<(i32, Millis, Range<usize>, Range<usize>)>,
    committed: Arc<AtomicU64>,
}

impl Copy {
    pub fn new(committed: Arc<AtomicU64>) -> Self {
        Self { arena: Vec::with_capacity(BATCH_BYTES + (1 << 20)), entries: Vec::new(), committed }
    }

    fn keep(&mut self, bytes: Option<&[u8]>) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes.unwrap_or_default());
        start..self.arena.len()
    }
}

/// A plaintext record. Only a benchmark may publish it.
struct Plain<'a> {
    partition: i32,
    timestamp: Millis,
    key: &'a [u8],
    value: &'a [u8],
}

impl Publish for Plain<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: TopicIndex(0),
            partition: Some(self.partition),
            timestamp: self.timestamp,
            key: Some(self.key),
            value: Some(self.value),
            headers: &[],
        }
    }
}

impl Step for Copy {
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park> {
        let (key, value) = (self.keep(input.key), self.keep(input.value));
        self.entries.push((input.partition, input.timestamp.unwrap_or(Millis(0)), key, value));
        Ok(if self.arena.len() >= BATCH_BYTES { Take::Enough } else { Take::More })
    }

    fn prepare(&mut self, _deadline: Instant) -> Ready {
        Ready::Yes
    }

    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError> {
        for (partition, timestamp, key, value) in &self.entries {
            let (key, value) = (&self.arena[key.clone()], &self.arena[value.clone()]);
            txn.send(&Plain { partition: *partition, timestamp: *timestamp, key, value })?;
        }
        Ok(())
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.entries.retain(|entry| !partitions.contains(&entry.0));
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }

    fn origin(&self, _place: usize) -> Option<(i32, i64)> {
        None
    }

    fn condemn(&mut self, _partition: i32, offset: i64, why: &StreamError) -> Result<(), Park> {
        Err(Park::RecordRefused { offset, name: why.name.clone() })
    }

    fn observe(&mut self, event: Event<'_>) {
        if matches!(event, Event::Committed { .. }) {
            self.committed.fetch_add(self.entries.len() as u64, Ordering::Relaxed);
        }
    }
}
