//! Decides what may be signed. Input: values and published heads. Output: the next head, or the reason
//! why there is none.
//!
//! A tree only grows, so a published head agrees with it if the tree had that root at that size. Each
//! published head is compared when the tree reaches its size. The last roots are remembered for heads that
//! arrive late, from another process.

use std::collections::{BTreeMap, VecDeque};

use super::checkpoint::{Head, NotACheckpoint};
use crate::forget::merkle::{Frontier, Hash, leaf_hash};

/// Number of remembered roots: more than the number of commands in one transaction.
const REMEMBERED: usize = 2_048;

/// The reason why nothing is signed. A signature would contradict an earlier one, or hide lost receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the receipts topic begins at offset {0}: the log's first receipts are gone")]
    NoStart(i64),
    #[error("a checkpoint of {published} receipts is published, but the receipts topic has only {found}")]
    Shrunk { published: u64, found: u64 },
    #[error("the receipts topic ends at offset {end}, but was read to offset {read}: it was replaced")]
    Replaced { read: i64, end: i64 },
    #[error(
        "a checkpoint of {0} receipts is published with another root: the receipts topic has other receipts"
    )]
    OtherRoot(u64),
    #[error("record {offset} of the checkpoints topic: {why}")]
    Unreadable { offset: i64, why: NotACheckpoint },
    #[error(
        "a checkpoint of only {0} receipts was published late: the receipts topic is read again to compare it"
    )]
    Late(u64),
}

/// One reading of the log, from its first record.
#[derive(Default)]
pub struct Keeper {
    frontier: Frontier,
    /// The last heads of the tree, newest last.
    remembered: VecDeque<Head>,
    /// Published heads whose size the tree has not reached.
    ahead: BTreeMap<u64, Hash>,
}

impl Keeper {
    /// Appends the next committed value of the topic.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`] if the tree reaches the size of a published head and has another root.
    pub fn append(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.frontier.append(leaf_hash(value));
        let head = self.head();
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(head);
        match self.ahead.remove(&head.size) {
            Some(root) if root != head.root => Err(Refusal::OtherRoot(head.size)),
            _ => Ok(()),
        }
    }

    /// Compares a published head with the tree, now or when the tree reaches its size.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`] at once if the root of this size is known and differs, [`Refusal::Late`] if it
    /// is no longer remembered.
    pub fn published(&mut self, head: Head) -> Result<(), Refusal> {
        let known = match head.size.checked_sub(self.frontier.size()) {
            Some(0) => Some(self.frontier.root()),
            Some(_) => Some(*self.ahead.entry(head.size).or_insert(head.root)),
            None => self.remembered.iter().find(|own| own.size == head.size).map(|own| own.root),
        };
        match known {
            Some(root) if root == head.root => Ok(()),
            Some(_) => Err(Refusal::OtherRoot(head.size)),
            None if head.size == 0 && head.root == Frontier::default().root() => Ok(()),
            None => Err(Refusal::Late(head.size)),
        }
    }

    /// Returns the head to sign. The caller must have read the published heads, and after that the receipts
    /// topic to its end.
    ///
    /// # Errors
    /// [`Refusal::Shrunk`] if the tree has not reached a published head.
    pub fn at_end(&self) -> Result<Head, Refusal> {
        match self.ahead.last_key_value() {
            Some((published, _)) => {
                Err(Refusal::Shrunk { published: *published, found: self.frontier.size() })
            }
            None => Ok(self.head()),
        }
    }

    /// Returns the head of the tree as read so far.
    pub fn head(&self) -> Head {
        Head { size: self.frontier.size(), root: self.frontier.root() }
    }
}
