//! What may be signed: values and published heads go in, the next head comes out, or why there is none.
//!
//! A tree only grows, so a published head agrees with it when the tree had that root at that size. Each
//! published head is compared when the tree gets there; the last roots are remembered for those that come
//! late, from another process.

use std::collections::{BTreeMap, VecDeque};

use super::checkpoint::{Head, NotACheckpoint};
use crate::forget::merkle::{Frontier, Hash, leaf_hash};

/// Roots that are remembered: more than the commands of one transaction.
const REMEMBERED: usize = 2_048;

/// Why nothing is signed. Signing would contradict what is signed already, or hide what is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the receipts topic begins at offset {0}: the log's first receipts are gone")]
    NoStart(i64),
    #[error("a checkpoint of {published} receipts is published, and the receipts topic has {found}")]
    Shrunk { published: u64, found: u64 },
    #[error("the receipts topic ends at offset {end}, and was read to offset {read}: it is another one")]
    Replaced { read: i64, end: i64 },
    #[error(
        "a checkpoint of {0} receipts is published with another root: they are not those of the receipts topic"
    )]
    OtherRoot(u64),
    #[error("record {offset} of the checkpoints topic: {why}")]
    Unreadable { offset: i64, why: NotACheckpoint },
    #[error(
        "a checkpoint of only {0} receipts was published late: the receipts topic is read again to compare it"
    )]
    Late(u64),
}

/// One reading of the log from its first record on.
#[derive(Default)]
pub struct Keeper {
    frontier: Frontier,
    /// The tree's last heads, the newest last.
    remembered: VecDeque<Head>,
    /// Published heads that the tree has not reached.
    ahead: BTreeMap<u64, Hash>,
}

impl Keeper {
    /// The next committed value of the topic.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`] where the tree reaches a published head and is another.
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

    /// A head that somebody has published.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`] at once where the root of this size is known, [`Refusal::Late`] where it is
    /// known no more.
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

    /// The head to sign when everything was read that was there after the heads were.
    ///
    /// # Errors
    /// [`Refusal::Shrunk`] where a published head was not reached.
    pub fn at_end(&self) -> Result<Head, Refusal> {
        match self.ahead.last_key_value() {
            Some((published, _)) => {
                Err(Refusal::Shrunk { published: *published, found: self.frontier.size() })
            }
            None => Ok(self.head()),
        }
    }

    /// The tree as far as it was read.
    pub fn head(&self) -> Head {
        Head { size: self.frontier.size(), root: self.frontier.root() }
    }
}
