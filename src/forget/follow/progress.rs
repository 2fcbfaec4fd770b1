//! The follower's decisions, without I/O. Input: records and positions of the receipts topic.
//! Output: the actions.
//!
//! The *end* is the broker's high watermark, which includes records of open transactions. The *read* position
//! is the one up to which the client has handed over the topic, commit markers included. A proof requested at
//! t0 with end E holds as soon as everything before E is read: then every receipt that was in the log at t0
//! has been applied here. An open transaction keeps the client before E and thus delays the proof. It never
//! makes a proof false.

use std::collections::VecDeque;

use super::tail::TailRecord;
use crate::forget::receipt::content::{NotAReceipt, Receipt};
use crate::forget::receipt::deed::Outcome;
use crate::forget::receipt::swept::SweptHour;
use crate::keys::Meta;
use crate::model::StoreId;

/// Largest number of pending proofs. If reading is that far behind, more of them do not help.
const PROOFS: usize = 8;

/// The action that a record of the receipts topic requires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Forget the cached keys of the receipt's hours; for a sweep, of the hours in `swept`. `restore`: the
    /// store may lack the erasure, so ensure that it has it.
    Apply { receipt: Box<Receipt>, swept: Vec<SweptHour>, restore: bool },
    /// Nothing to do: the receipt is a refusal, or belongs to another key store.
    Pass,
    /// The record cannot be read, so it may concern any key: forget all cached keys. `stop`: the store may
    /// lack what the record says, and this program cannot tell what that is.
    Doubt { why: NotAReceipt, stop: bool },
}

/// The log does not continue at the store's mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Gap {
    #[error(
        "the receipts topic begins at offset {start}, but receipts from offset {wanted} are not applied; \
         find out why, then continue with `--accept-gap TOPIC:0@{wanted}`"
    )]
    Lost { wanted: i64, start: i64 },
    #[error(
        "the receipts topic ends at offset {end}, but the store's next receipt has offset {wanted}: \
         this is not the store's topic; to continue with it nevertheless, use `--accept-gap TOPIC:0@{wanted}`"
    )]
    Replaced { wanted: i64, end: i64 },
}

/// A pending proof.
#[derive(Clone, Copy)]
struct Proof {
    requested_at: u64,
    end: i64,
}

/// The state of one reading of the topic, which begins at the store's mark.
pub struct Follower {
    store: StoreId,
    next: i64,
    /// The end at the start of the reading. Before it, the store may lack erasures, and no key is cached.
    opens_at: i64,
    open: bool,
    /// The newest applied record, and the newest one that the store has marked as applied.
    applied: Option<i64>,
    marked: Option<i64>,
    proofs: VecDeque<Proof>,
    every_ms: u64,
    asked_at: u64,
}

impl Follower {
    /// Begins after the store's mark: the store already has the receipts before it. The log's `start` and
    /// `end` were requested at `requested_at`, by the boot clock, and after `meta` was read. A proof is
    /// wanted every `every_ms`.
    ///
    /// # Errors
    /// [`Gap`], unless its first missing receipt is among `accepted`. Then the existing records are read.
    pub fn begin(
        meta: &Meta,
        (start, end): (i64, i64),
        requested_at: u64,
        every_ms: u64,
        accepted: &[i64],
    ) -> Result<Self, Gap> {
        let wanted = meta.last_receipt.map_or(0, |last| last + 1);
        match meta.last_receipt {
            _ if accepted.contains(&wanted) => {}
            Some(_) if wanted > end => return Err(Gap::Replaced { wanted, end }),
            _ if wanted < start => return Err(Gap::Lost { wanted, start }),
            _ => {}
        }
        let next = if wanted > end { start } else { wanted.max(start) };
        Ok(Self {
            store: meta.store,
            next,
            opens_at: end,
            open: false,
            applied: None,
            marked: meta.last_receipt,
            proofs: VecDeque::from([Proof { requested_at, end }]),
            every_ms,
            asked_at: requested_at,
        })
    }

    /// The offset to read first.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Whether keys may be cached.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the end should be requested again, for the next proof.
    pub fn wants_end(&self, boot_ms: u64) -> bool {
        boot_ms.saturating_sub(self.asked_at) >= self.every_ms && self.proofs.len() < PROOFS
    }

    /// Notes that the end is requested at `requested_at`.
    pub fn asks(&mut self, requested_at: u64) {
        self.asked_at = requested_at;
    }

    /// Takes the end that was requested at `requested_at`.
    pub fn ends(&mut self, requested_at: u64, end: i64) {
        match self.proofs.back_mut() {
            // No record was added in between: the later request proves the same, at a later time.
            Some(proof) if proof.end == end => proof.requested_at = requested_at,
            _ => self.proofs.push_back(Proof { requested_at, end }),
        }
    }

    /// Returns the action for a record.
    pub fn heard(&self, record: &TailRecord) -> Action {
        let behind = record.offset < self.opens_at;
        let doubt = |why| Action::Doubt { why, stop: behind && why != NotAReceipt::Malformed };
        match record.value.as_deref().ok_or(NotAReceipt::Malformed).and_then(Receipt::parse) {
            Ok(receipt) if receipt.outcome == Outcome::Refused || receipt.store != self.store => Action::Pass,
            Ok(receipt) => match receipt.swept(record.swept.as_deref()) {
                Ok(swept) => Action::Apply { receipt: Box::new(receipt), swept, restore: behind },
                Err(why) => doubt(why),
            },
            Err(why) => doubt(why),
        }
    }

    /// Notes that the action for this record is done.
    pub fn applied(&mut self, offset: i64) {
        self.applied = Some(offset);
    }

    /// Returns the request time of the newest proof that holds when everything before `position` is read.
    pub fn proof(&self, position: i64) -> Option<u64> {
        self.proofs.iter().rev().find(|proof| proof.end <= position).map(|proof| proof.requested_at)
    }

    /// Whether the store's mark is older than before: an older copy replaced the store while we read.
    pub fn is_behind(&self, meta: &Meta) -> bool {
        meta.last_receipt < self.marked
    }

    /// Returns the offset that the store should mark as applied next.
    pub fn to_mark(&self) -> Option<i64> {
        self.applied.filter(|applied| Some(*applied) > self.marked)
    }

    pub fn marked(&mut self, offset: i64) {
        self.marked = Some(offset);
    }

    /// Notes that the proof requested at `requested_at` was used. Returns true once: when that
    /// opened the barrier.
    pub fn proven(&mut self, requested_at: u64) -> bool {
        self.proofs.retain(|proof| proof.requested_at > requested_at);
        !std::mem::replace(&mut self.open, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::receipt::swept::{NotSwept, SweptBatch};
    use crate::forget::tests::{a_receipt, a_sweep, meta};

    fn record(offset: i64, value: Option<&[u8]>) -> TailRecord {
        TailRecord { offset, at: None, value: value.map(<[u8]>::to_vec), swept: None }
    }

    fn follower(last_receipt: Option<i64>, log: (i64, i64)) -> Follower {
        Follower::begin(&meta(last_receipt), log, 1_000, 15_000, &[]).expect("no gap")
    }

    #[test]
    fn it_begins_after_the_stores_mark() {
        assert_eq!(follower(None, (0, 0)).next_offset(), 0);
        assert_eq!(follower(None, (0, 40)).next_offset(), 0);
        assert_eq!(follower(Some(10), (0, 40)).next_offset(), 11);
        assert_eq!(follower(Some(10), (3, 12)).next_offset(), 11);
        assert_eq!(follower(Some(10), (3, 11)).next_offset(), 11);
    }

    #[test]
    fn a_topic_that_is_not_the_stores_is_a_gap_until_it_is_accepted() {
        let begin =
            |last, log, accept| Follower::begin(&meta(last), log, 0, 1, accept).map(|f| f.next_offset());
        assert_eq!(begin(Some(10), (12, 40), &[12]), Err(Gap::Lost { wanted: 11, start: 12 }));
        assert_eq!(begin(None, (1, 40), &[]), Err(Gap::Lost { wanted: 0, start: 1 }));
        assert_eq!(begin(Some(10), (0, 10), &[12]), Err(Gap::Replaced { wanted: 11, end: 10 }));
        assert_eq!(begin(Some(10), (12, 40), &[11]), Ok(12));
        assert_eq!(begin(None, (1, 40), &[0]), Ok(1));
        assert_eq!(begin(Some(10), (0, 10), &[11]), Ok(0));
    }

    #[test]
    fn nothing_is_proven_before_all_is_read_that_was_there_when_it_was_asked() {
        let mut follower = follower(Some(10), (0, 40));
        assert_eq!(follower.proof(39), None, "an open transaction ends at 40");
        assert!(!follower.is_open());
        assert_eq!(follower.proof(40), Some(1_000));
        assert!(follower.proven(1_000), "the barrier opens");
        assert!(follower.is_open());
        assert_eq!(follower.proof(40), None, "it is used once");
        follower.ends(16_000, 43);
        assert_eq!(follower.proof(42), None);
        assert_eq!(follower.proof(43), Some(16_000));
        assert!(!follower.proven(16_000), "it is open already");
    }

    #[test]
    fn an_idle_topic_is_proven_by_each_question() {
        let mut follower = follower(None, (0, 0));
        assert_eq!(follower.proof(0), Some(1_000));
        follower.proven(1_000);
        follower.ends(16_000, 0);
        assert_eq!(follower.proof(0), Some(16_000));
    }

    #[test]
    fn the_newest_proof_that_holds_is_used_and_those_before_it_are_done() {
        let mut follower = follower(None, (0, 5));
        follower.ends(2_000, 5);
        follower.ends(3_000, 8);
        follower.ends(4_000, 9);
        assert_eq!(follower.proof(5), Some(2_000), "the later question about the same end");
        assert_eq!(follower.proof(8), Some(3_000));
        follower.proven(3_000);
        assert_eq!(follower.proof(8), None);
        assert_eq!(follower.proof(9), Some(4_000));
    }

    #[test]
    fn proofs_are_asked_for_at_their_pace_and_not_without_end() {
        let mut follower = follower(None, (0, 5));
        assert!(!follower.wants_end(15_999));
        assert!(follower.wants_end(16_000));
        follower.asks(16_000);
        assert!(!follower.wants_end(16_001), "also when no answer came");
        for at in 1..20 {
            if follower.wants_end(at * 20_000) {
                follower.asks(at * 20_000);
                follower.ends(at * 20_000, 5 + i64::try_from(at).expect("small"));
            }
        }
        assert_eq!(follower.proofs.len(), PROOFS);
    }

    #[test]
    fn a_receipt_is_applied_and_one_that_the_store_may_lack_is_made_sure_of() {
        let follower = follower(Some(10), (0, 40));
        let receipt = a_receipt(Outcome::Erased);
        let apply =
            |restore| Action::Apply { receipt: Box::new(receipt.clone()), swept: Vec::new(), restore };
        assert_eq!(follower.heard(&record(39, Some(&receipt.to_json()))), apply(true));
        assert_eq!(follower.heard(&record(40, Some(&receipt.to_json()))), apply(false));
    }

    #[test]
    fn a_sweep_is_applied_hour_by_hour_and_without_its_own_hours_it_is_a_doubt() {
        let follower = follower(Some(10), (0, 40));
        let (receipt, swept) = a_sweep(2);
        let (value, header) = (receipt.to_json(), SweptBatch::header(&swept));
        let heard = |offset, header: Option<&[u8]>| {
            follower.heard(&TailRecord { swept: header.map(<[u8]>::to_vec), ..record(offset, Some(&value)) })
        };
        let apply = Action::Apply { receipt: Box::new(receipt), swept, restore: true };
        assert_eq!(heard(39, Some(&header)), apply);
        let (_, others) = a_sweep(3);
        for header in [None, Some(SweptBatch::header(&others))] {
            let doubt = |stop| Action::Doubt { why: NotAReceipt::Hours(NotSwept), stop };
            assert_eq!(heard(39, header.as_deref()), doubt(true));
            assert_eq!(heard(40, header.as_deref()), doubt(false));
        }
    }

    #[test]
    fn refusals_and_other_stores_concern_nobody_here() {
        let follower = follower(None, (0, 0));
        let refused = a_receipt(Outcome::Refused);
        let other = Receipt { store: StoreId([0xEE; 16]), ..a_receipt(Outcome::Erased) };
        for receipt in [refused, other] {
            assert_eq!(follower.heard(&record(3, Some(&receipt.to_json()))), Action::Pass);
        }
    }

    #[test]
    fn what_cannot_be_read_may_concern_everything() {
        let follower = follower(None, (0, 5));
        let malformed = |stop| Action::Doubt { why: NotAReceipt::Malformed, stop };
        assert_eq!(follower.heard(&record(3, None)), malformed(false));
        assert_eq!(follower.heard(&record(3, Some(b"{}"))), malformed(false));
        let newer = |stop| Action::Doubt { why: NotAReceipt::Newer(2), stop };
        assert_eq!(follower.heard(&record(4, Some(br#"{"version":2}"#))), newer(true));
        assert_eq!(follower.heard(&record(5, Some(br#"{"version":2}"#))), newer(false));
    }

    #[test]
    fn the_store_is_told_what_was_applied_and_betrays_its_restoration() {
        let mut follower = follower(Some(10), (0, 12));
        assert_eq!(follower.to_mark(), None);
        follower.applied(11);
        assert_eq!(follower.to_mark(), Some(11));
        assert!(!follower.is_behind(&meta(Some(10))));
        follower.marked(11);
        assert_eq!(follower.to_mark(), None);
        assert!(follower.is_behind(&meta(Some(10))));
        assert!(follower.is_behind(&meta(None)));
        assert!(!follower.is_behind(&meta(Some(99))), "another process is further");
    }
}
