//! The committed offsets that a lane expects: the second line of defence of exactly-once.
//!
//! The first line: no request without an answer can end a later transaction ([`super::Sink::tainted`]). If
//! that fails, or the broker loses an offset, the broker's committed offset is not the one that this lane
//! committed last. Only this lane commits its partitions while it has them, so it must not continue with this
//! partition.

use std::collections::BTreeMap;

use super::{NextOffset, Park, Start};

/// The offsets of each assigned partition.
#[derive(Default)]
pub(super) struct Known(BTreeMap<i32, Partition>);

struct Partition {
    /// Offset at which to continue while the broker holds `committed`.
    position: i64,
    committed: Option<i64>,
    /// The offset of a commit whose outcome is unknown.
    attempted: Option<i64>,
}

impl Known {
    pub(super) fn assign(&mut self, partition: i32, start: Start) {
        let known = Partition { position: start.offset(), committed: start.committed(), attempted: None };
        self.0.insert(partition, known);
    }

    pub(super) fn revoke(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// The broker has confirmed that these offsets are committed.
    pub(super) fn committed(&mut self, offsets: &[NextOffset]) {
        for next in offsets {
            if let Some(known) = self.0.get_mut(&next.partition) {
                known.settle(next.offset);
            }
        }
    }

    /// The broker has not confirmed whether these offsets are committed.
    pub(super) fn attempted(&mut self, offsets: &[NextOffset]) {
        for next in offsets {
            if let Some(known) = self.0.get_mut(&next.partition) {
                known.attempted = Some(next.offset);
            }
        }
    }

    /// The offset at which the partition continues while the broker holds what this lane committed last.
    pub(super) fn position(&self, partition: i32) -> Option<i64> {
        self.0.get(&partition).map(|known| known.position)
    }

    /// Returns the offset at which a partition continues. `found` is the offset that the broker holds.
    /// `None`: the partition was not started yet.
    ///
    /// # Errors
    /// [`Park::OffsetMoved`] if the offset went back, vanished, or was not committed by this lane.
    pub(super) fn resume(&mut self, partition: i32, found: Option<i64>) -> Option<Result<i64, Park>> {
        let known = self.0.get_mut(&partition)?;
        Some(known.compare(found).map(|()| known.position))
    }
}

impl Partition {
    fn settle(&mut self, offset: i64) {
        *self = Self { position: offset, committed: Some(offset), attempted: None };
    }

    fn compare(&mut self, found: Option<i64>) -> Result<(), Park> {
        if found == self.committed {
            self.attempted = None;
            return Ok(());
        }
        match found {
            Some(offset) if found == self.attempted || is_off!("offset-check") => self.settle(offset),
            _ => return Err(Park::OffsetMoved { known: self.committed, found }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: i32 = 3;

    fn at(offset: i64) -> NextOffset {
        NextOffset { partition: P, offset }
    }

    /// Partition 3, committed at 100.
    fn known() -> Known {
        let mut known = Known::default();
        known.assign(P, Start::Committed(100));
        known
    }

    fn resume(known: &mut Known, found: Option<i64>) -> Result<i64, Park> {
        known.resume(P, found).expect("it was started")
    }

    #[test]
    fn the_offset_that_was_committed_last_is_where_the_lane_goes_on() {
        let mut known = known();
        assert_eq!(resume(&mut known, Some(100)), Ok(100));
        known.committed(&[at(150)]);
        assert_eq!(resume(&mut known, Some(150)), Ok(150));
    }

    #[test]
    fn an_offset_that_went_back_vanished_or_was_never_committed_parks() {
        for found in [Some(100), None, Some(149), Some(151), Some(200)] {
            let mut known = known();
            known.committed(&[at(150)]);
            let moved = Park::OffsetMoved { known: Some(150), found };
            assert_eq!(resume(&mut known, found), Err(moved));
        }
    }

    #[test]
    fn after_a_commit_of_unknown_outcome_both_offsets_are_right_until_one_is_found() {
        for (found, other) in [(100, 150), (150, 100)] {
            let mut known = known();
            known.attempted(&[at(150)]);
            assert_eq!(resume(&mut known, Some(found)), Ok(found));
            assert!(resume(&mut known, Some(other)).is_err(), "the outcome is known by now");
        }
        let mut known = known();
        known.attempted(&[at(150)]);
        assert!(resume(&mut known, Some(200)).is_err());
    }

    #[test]
    fn a_fresh_start_holds_until_it_is_committed() {
        for committed in [None, Some(7)] {
            let mut known = Known::default();
            known.assign(P, Start::Fresh { at: 40, committed, accepted: false });
            assert_eq!(resume(&mut known, committed), Ok(40));
            known.committed(&[at(40)]);
            assert!(resume(&mut known, committed).is_err());
            assert_eq!(resume(&mut known, Some(40)), Ok(40));
        }
    }

    #[test]
    fn a_revoked_partition_is_not_judged() {
        let mut known = known();
        known.revoke(P);
        assert_eq!(known.resume(P, Some(7)), None);
    }
}
