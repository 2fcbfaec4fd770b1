//! The offsets that a transaction will commit.

use std::collections::BTreeMap;

use super::{NextOffset, Start};

/// Next offsets of the batch, and starts that are not committed yet.
#[derive(Default)]
pub(super) struct Offsets {
    /// Partitions that started without a usable committed offset. Each is kept until its offset is committed.
    fresh: BTreeMap<i32, i64>,
    /// Positions behind markers and aborted records that follow the last record of a partition. They are not
    /// committed yet.
    passed: BTreeMap<i32, i64>,
    /// Few entries, searched from the front. `last` is the index of the previous record's entry.
    taken: Vec<NextOffset>,
    last: usize,
}

impl Offsets {
    pub(super) fn assign(&mut self, partition: i32, start: Start) {
        match start {
            Start::Fresh { at, .. } => self.fresh.insert(partition, at),
            Start::Committed(_) => self.fresh.remove(&partition),
        };
    }

    pub(super) fn revoke(&mut self, partition: i32) {
        self.fresh.remove(&partition);
        self.drop_taken(partition);
    }

    /// Forgets what the batch holds of this partition, but not its start.
    pub(super) fn drop_taken(&mut self, partition: i32) {
        self.passed.remove(&partition);
        self.taken.retain(|next| next.partition != partition);
        self.last = 0;
    }

    /// Remembers that the record at `offset` was taken.
    pub(super) fn take(&mut self, partition: i32, offset: i64) {
        if self.taken.get(self.last).is_none_or(|next| next.partition != partition) {
            self.last = self.taken.iter().position(|next| next.partition == partition).unwrap_or_else(|| {
                self.taken.push(NextOffset { partition, offset });
                self.taken.len() - 1
            });
        }
        self.taken[self.last].offset = offset + 1;
    }

    /// Remembers that the client has reached this position, the end of the partition. Every record before it
    /// was taken; what lies behind the last one are markers and aborted records.
    pub(super) fn pass(&mut self, partition: i32, position: i64) {
        self.passed.insert(partition, position);
    }

    /// The position behind markers that waits for its commit.
    pub(super) fn passed(&self, partition: i32) -> Option<i64> {
        self.passed.get(&partition).copied()
    }

    /// The offset after the last record taken from this partition.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        let is_of = |next: &&NextOffset| next.partition == partition;
        let last = self.taken.get(self.last).filter(is_of);
        last.or_else(|| self.taken.iter().find(is_of)).map(|next| next.offset)
    }

    /// Whether the batch has records of this partition, or a position behind markers.
    pub(super) fn holds(&self, partition: i32) -> bool {
        self.next(partition).is_some() || self.passed.contains_key(&partition)
    }

    /// Partition and offset of the only record of a batch of one.
    pub(super) fn first_taken(&self) -> Option<(i32, i64)> {
        self.taken.first().map(|next| (next.partition, next.offset - 1))
    }

    /// Whether a start waits for its commit.
    pub(super) fn has_starts(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether a position behind markers waits for its commit.
    pub(super) fn has_passed(&self) -> bool {
        !self.passed.is_empty()
    }

    /// Forgets the batch, but not the starts.
    pub(super) fn discard(&mut self) {
        self.passed.clear();
        self.taken.clear();
        self.last = 0;
    }

    /// The offsets to commit: those of the batch, the positions behind markers, and the starts of partitions
    /// without a record in the batch.
    pub(super) fn to_commit(&self) -> Vec<NextOffset> {
        let mut offsets: BTreeMap<i32, i64> = self.fresh.clone();
        offsets.extend(self.taken.iter().map(|next| (next.partition, next.offset)));
        for (&partition, &position) in &self.passed {
            let offset = offsets.entry(partition).or_insert(position);
            *offset = position.max(*offset);
        }
        offsets.into_iter().map(|(partition, offset)| NextOffset { partition, offset }).collect()
    }

    /// Closes the batch after its commit.
    pub(super) fn committed(&mut self) {
        self.discard();
        self.fresh.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_after_the_last_record_taken() {
        let mut offsets = Offsets::default();
        for (partition, offset) in [(0, 5), (1, 9), (0, 6), (1, 12)] {
            offsets.take(partition, offset);
        }
        let next = |partition, offset| NextOffset { partition, offset };
        assert_eq!(offsets.to_commit(), [next(0, 7), next(1, 13)]);
        offsets.revoke(0);
        assert_eq!(offsets.to_commit(), [next(1, 13)]);
    }

    #[test]
    fn a_position_behind_markers_is_committed_with_the_batch_and_forgotten_with_it() {
        let mut offsets = Offsets::default();
        offsets.take(0, 5);
        offsets.pass(0, 8);
        offsets.pass(1, 3);
        let next = |partition, offset| NextOffset { partition, offset };
        assert_eq!(offsets.to_commit(), [next(0, 8), next(1, 3)]);
        offsets.take(0, 9);
        assert_eq!(offsets.to_commit(), [next(0, 10), next(1, 3)]);
        offsets.discard();
        assert!(!offsets.has_passed() && offsets.to_commit().is_empty(), "a batch that is read again");
    }

    #[test]
    fn a_first_start_is_committed_even_without_a_record_and_survives_a_discard() {
        let mut offsets = Offsets::default();
        offsets.assign(3, Start::Fresh { at: 40, committed: None, accepted: false });
        offsets.assign(4, Start::Committed(9));
        offsets.take(4, 9);
        offsets.discard();
        assert_eq!(offsets.to_commit(), [NextOffset { partition: 3, offset: 40 }]);
        offsets.committed();
        assert!(offsets.to_commit().is_empty());
    }
}
