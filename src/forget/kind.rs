//! The kinds of what the executor does: one word each, in receipts, metrics and logs.

use super::Outcome;
use crate::telemetry::label;

label! {
    /// What a receipt tells of, or a call asks for.
    pub enum Kind: "kind" {
        Erase = "erase",
        EraseCustomer = "erase-customer",
        Hold = "hold",
        Release = "release",
        Retention = "retention",
        Sweep = "sweep",
        DestroyKek = "destroy-kek",
    }
}

impl Kind {
    /// How it can end with a receipt.
    pub(super) const fn outcomes(self) -> &'static [Outcome] {
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

    /// Whether keys end by it: DEKs, or a KEK and thereby every copy of what it wrapped.
    pub(super) const fn erases(self) -> bool {
        matches!(self, Self::Erase | Self::EraseCustomer | Self::Sweep | Self::DestroyKek)
    }

    /// Whether it is a call, which may find nothing to do.
    pub(super) const fn is_call(self) -> bool {
        matches!(self, Self::Sweep | Self::DestroyKek)
    }
}
