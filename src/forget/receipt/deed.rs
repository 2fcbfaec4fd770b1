//! The action that a receipt records, and its outcome.

use serde::{Deserialize, Serialize};

use super::swept::SweptBatch;
use crate::forget::command::act::Act;
use crate::forget::command::kind::Kind;
use crate::model::KekId;

/// The outcome of a command, a sweep or a KEK's destruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every hour of the range is fenced, and this command erased at least one key.
    Erased,
    /// Every hour of the range is fenced. There was no key to erase.
    NothingToErase,
    /// Nothing was done.
    Refused,
    /// Something prevented part of the work, or all of it if a row was not usable before the command was
    /// decided. The receipt lists the erased keys.
    Incomplete,
    /// No hour of the range is erased while the hold is in force.
    HoldPlaced,
    /// The hold is lifted.
    HoldReleased,
    /// The customer's retention is changed, and the hours that were not due have new terms.
    RetentionSet,
    /// Level L3: the keys that the KEK wrapped can no longer be opened from any copy of the key store.
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
    /// Returns the outcomes that a receipt of this kind can have.
    pub(in crate::forget) const fn outcomes(self) -> &'static [Outcome] {
        use Outcome::{
            Erased, HoldPlaced, HoldReleased, Incomplete, KekDestroyed, NothingToErase, Refused, RetentionSet,
        };
        match self {
            Self::Erase | Self::EraseCustomer => &[Erased, NothingToErase, Incomplete, Refused],
            Self::Hold => &[HoldPlaced, Incomplete, Refused],
            Self::Release => &[HoldReleased, Incomplete, Refused],
            Self::Retention => &[RetentionSet, Incomplete, Refused],
            Self::Sweep => &[Erased, NothingToErase],
            Self::DestroyKek => &[KekDestroyed],
        }
    }
}

/// The action that a receipt records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// The action that a command asked for.
    Command(Act),
    /// The clock forgot the due hours.
    Sweep(SweptBatch),
    /// The KEK of a day that has ended was destroyed.
    DestroyKek {
        kek: KekId,
        /// The vault's description of the destruction.
        evidence: String,
        /// Number of live keys of its day that holds keep. Their own KEKs wrap them.
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

    /// Whether caches must forget the keys of its hours: the keys are erased, or have another due.
    pub fn evicts(&self) -> bool {
        self.erases() || matches!(self, Self::Command(Act::Retention(_)))
    }

    /// Whether it erases DEKs.
    pub fn erases(&self) -> bool {
        matches!(self, Self::Command(Act::Erase(_) | Act::EraseCustomer) | Self::Sweep(_))
    }
}
