//! The writes that a store is asked for, and their outcomes.

use super::rows::{Gate, HoldId, KeyRow, Seen, SlotRef};
use super::schema::SchemaMismatch;
#[cfg(doc)]
use super::{Found, SealStore};
use crate::envelope::WRAPPED_LEN;
use crate::model::{CustomerId, Digest, Due, Hour, KekId, KeyId, Token};

/// A DEK offered for a slot. It is used only if the store answers [`Minted::Won`].
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: SlotRef,
    pub customer: CustomerId,
    /// Must equal the gate's due, if the hour has a gate.
    pub due: Due,
    /// The KEK of its due's day, registered ([`SealStore::register_kek`]). Must equal the gate's KEK, if the
    /// hour has a gate.
    pub kek: KekId,
    pub commitment: [u8; 32],
    pub wrapped: [u8; WRAPPED_LEN],
    /// From the [`Found`] that this candidate answers; [`Seen::nothing`] makes the store read the hour first.
    pub seen: Seen,
}

impl Candidate {
    pub fn key_id(&self) -> KeyId {
        KeyId::from_slice(&self.commitment[..16]).expect("a commitment is 32 bytes")
    }
}

/// The outcome for a candidate. The store compares its key id with the one in the row that then exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Minted {
    /// The candidate is the slot's DEK, durably.
    Won,
    /// The slot already had this key (live or erased). Use it with its gate's due and discard the candidate.
    Adopted { due: Due, key: KeyRow },
    /// The hour's gate has another due or KEK: wrap again for this gate.
    GateDiffers(Gate),
    /// The hour is fenced: nothing is minted in any generation.
    Fenced(Gate),
    /// The hour is below the customer's floor.
    BelowFloor(Hour),
    /// The customer is being forgotten as a whole.
    Closed,
}

/// The outcome of placing a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// The hold is in force now, or was before with the same customer and hours.
    InForce,
    /// Another hold with the same id is in force; nothing was changed.
    IdReuse,
}

/// The outcome of fencing an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fence {
    /// The hour is fenced, now or before, by this command or another one: nothing more is minted.
    Fenced,
    /// A hold forbids it; nothing was changed.
    Held(HoldId),
}

/// The outcome of an erasure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Erasure {
    /// Every generation of the hour, each with its state after the erasure (none is live).
    Erased(Vec<KeyRow>),
    Held(HoldId),
    /// The hour must be fenced first; nothing was changed.
    NotFenced,
}

/// New terms of an hour: its due, and the KEK that wraps its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrap {
    pub token: Token,
    pub hour: Hour,
    /// The gate's due, KEK and command as they were seen. If the gate now has others, nothing is changed.
    pub seen: (Due, KekId, Option<Digest>),
    pub due: Due,
    /// Registered ([`SealStore::register_kek`]).
    pub kek: KekId,
    /// The command that gives these terms. It is written to the gate; `None` leaves the gate's command as it
    /// is.
    pub command: Option<Digest>,
    /// The hour's keys, wrapped by that KEK.
    pub keys: Vec<Rewrapped>,
}

/// A live key, wrapped again. The bytes are ciphertext.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrapped {
    /// The key's row as it was seen. A row that has changed since stays as it is.
    pub seen: KeyRow,
    pub wrapped: [u8; WRAPPED_LEN],
}

/// The outcome of storing a verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored {
    /// Stored now: this is the verdict to obey.
    New,
    /// The same command was decided before: obey this verdict.
    Before(Vec<u8>),
    /// Another command with the same id was decided before.
    IdReuse,
}

/// Why the store did not answer. The outcome is unknown, and the caller must assume nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is unreachable, busy or timed out: wait and retry.
    #[error("the key store is unavailable: {0}")]
    Unavailable(String),
    /// The store gives an answer that this version does not understand.
    #[error("the key store is not usable: {0}")]
    Unusable(String),
    /// A row of a customer, an hour or a KEK that the call names is one that this version cannot have
    /// written. Other rows may be fine. Calls about the whole store (its settings, holds, decisions and
    /// lists) return [`Unusable`](Self::Unusable) instead.
    #[error("a row of the key store is not usable: {0}")]
    Row(String),
    /// The store's schema does not have this program's version. Nothing else was read.
    #[error("the key store is not usable: {0}")]
    Schema(#[from] SchemaMismatch),
}

impl StoreError {
    /// Returns the error of a call that concerns every customer: without the unusable row, the store is not
    /// usable.
    pub fn of_every_customer(self) -> Self {
        match self {
            Self::Row(what) => Self::Unusable(what),
            error @ (Self::Unavailable(_) | Self::Unusable(_) | Self::Schema(_)) => error,
        }
    }
}
