//! What was done, and how it ended.

use serde::{Deserialize, Serialize};

use super::swept::SweptBatch;
use crate::forget::command::act::Act;
use crate::forget::command::kind::Kind;
use crate::model::KekId;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every hour of the range is fenced, and this command erased at least one key.
    Erased,
    /// Every hour of the range is fenced; there was no key to erase.
    NothingToErase,
    /// Nothing was done.
    Refused,
    /// Something was in the way: what could be fenced and erased, is.
    Incomplete,
    /// No hour of the range is erased while the hold is in force.
    HoldPlaced,
    /// The hold is lifted.
    HoldReleased,
    /// The customer's retention is changed, and what was not due has new terms.
    RetentionSet,
    /// Level L3: what it wrapped opens from no copy of the key store any more.
    KekDestroyed,
}

impl Outcome {
    /// The word in receipts, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::NothingToErase => "nothing-to-erase",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::HoldPlaced => "hold-placed",
            Self::HoldReleased => "hold-released",
            Self::RetentionSet => "retention-set",
            Self::KekDestroyed => "kek-destroyed",
        }
    }
}

impl Kind {
    /// How it can end with a receipt.
    pub(in crate::forget) const fn outcomes(self) -> &'static [Outcome] {
        use Outcome::{
            Erased, HoldPlaced, HoldReleased, Incomplete, KekDestroyed, NothingToErase, Refused, RetentionSet,
        };
        match self {
            Self::Erase | Self::EraseCustomer => &[Erased, NothingToErase, Incomplete, Refused],
            Self::Hold => &[HoldPlaced, Refused],
            Self::Release => &[HoldReleased, Refused],
            Self::Retention => &[RetentionSet, Incomplete, Refused],
            Self::Sweep => &[Erased, NothingToErase],
            Self::DestroyKek => &[KekDestroyed],
        }
    }
}

/// What a receipt tells of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// What a command asked for.
    Command(Act),
    /// The clock forgot what was due.
    Sweep(SweptBatch),
    /// The KEK of a day that has ended was destroyed.
    DestroyKek {
        kek: KekId,
        /// What was done to it, in the vault's words.
        evidence: String,
        /// Live keys of its day that holds keep, wrapped by KEKs of their own.
        held: u64,
    },
}

impl Deed {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Command(act) => act.kind(),
            Self::Sweep(_) => Kind::Sweep,
            Self::DestroyKek { .. } => Kind::DestroyKek,
        }
    }

    /// Whether cached keys of its hours say no more when they are due, or are no more.
    pub fn evicts(&self) -> bool {
        self.erases() || matches!(self, Self::Command(Act::Retention(_)))
    }

    /// Whether it erases DEKs.
    pub fn erases(&self) -> bool {
        matches!(self, Self::Command(Act::Erase(_) | Act::EraseCustomer) | Self::Sweep(_))
    }
}
