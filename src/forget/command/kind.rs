//! The kinds of work that the executor does: one word each, in receipts, metrics and logs.

use crate::telemetry::label;

label! {
    /// The kind of work that a receipt reports or a call asks for.
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
    /// Whether it ends keys: DEKs, or a KEK and with it every copy of the keys that it wrapped.
    pub(in crate::forget) const fn erases(self) -> bool {
        matches!(self, Self::Erase | Self::EraseCustomer | Self::Sweep | Self::DestroyKek)
    }

    /// Whether it is a call, which may find nothing to do.
    pub(in crate::forget) const fn is_call(self) -> bool {
        matches!(self, Self::Sweep | Self::DestroyKek)
    }
}
