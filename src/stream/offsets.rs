//! The offsets that a transaction will commit.

use std::collections::BTreeMap;

use super::{NextOffset, Start};

/// Next offsets of the batch, and starts that are not committed yet.
#[derive(Default)]
pub(super) struct Offsets {
    /// Partitions that started without a usable committed offset. Each is kept until its offset is committed.
    fresh: BTreeMap<i32, i64>,
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

    /// Forgets the batch, but not the starts.
    pub(super) fn discard(&mut self) {
        self.taken.clear();
        self.last = 0;
    }

    /// The offsets to commit: those of the batch, and the starts of partitions without a record in it.
    pub(super) fn to_commit(&self) -> Vec<NextOffset> {
        let silent = self.fresh.iter().filter(|(p, _)| self.taken.iter().all(|next| next.partition != **p));
        let starts = silent.map(|(&partition, &offset)| NextOffset { partition, offset });
        self.taken.iter().copied().chain(starts).collect()
    }

    /// Closes the batch after its commit. Returns the partitions whose first offset was committed.
    pub(super) fn committed(&mut self) -> Vec<i32> {
        self.discard();
        std::mem::take(&mut self.fresh).into_keys().collect()
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
    fn a_first_start_is_committed_even_without_a_record_and_survives_a_discard() {
        let mut offsets = Offsets::default();
        offsets.assign(3, Start::Fresh { at: 40, committed: None });
        offsets.assign(4, Start::Committed(9));
        offsets.take(4, 9);
        offsets.discard();
        assert_eq!(offsets.to_commit(), [NextOffset { partition: 3, offset: 40 }]);
        assert_eq!(offsets.committed(), [3]);
        assert!(offsets.to_commit().is_empty());
    }
}
