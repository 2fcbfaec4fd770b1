//! What a store is asked to write, and what became of it.

use super::rows::{Gate, HoldId, KeyRow, Seen, SlotRef};
use super::schema::SchemaMismatch;
#[cfg(doc)]
use super::{Found, SealStore};
use crate::envelope::WRAPPED_LEN;
use crate::model::{CustomerId, Digest, Due, Hour, KekId, KeyId, Token};

/// A DEK offered for a slot. It is used only if the store says [`Minted::Won`].
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: SlotRef,
    pub customer: CustomerId,
    /// Must equal the gate's, where there is one.
    pub due: Due,
    /// Registered ([`SealStore::register_kek`]), the one of its due's day; must equal the gate's, where there
    /// is one.
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

/// What became of a candidate, decided by comparing key ids in the row that is now there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Minted {
    /// The candidate is the slot's DEK, durably.
    Won,
    /// The slot already had this key (live or erased): use it with its gate's due, forget the candidate.
    Adopted { due: Due, key: KeyRow },
    /// The hour's gate has another due or KEK: wrap anew under this one.
    GateDiffers(Gate),
    /// The hour is fenced: nothing is minted in any generation.
    Fenced(Gate),
    /// The hour is below the customer's floor.
    BelowFloor(Hour),
    /// The customer is being forgotten as a whole.
    Closed,
}

/// What became of a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// In force now, or before with the same customer and hours.
    InForce,
    /// Another hold with the same id is in force; nothing was changed.
    IdReuse,
}

/// What became of a fence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fence {
    /// Fenced now, or before by whatever command: nothing is minted from here on.
    Fenced,
    /// A hold forbids it; nothing was changed.
    Held(HoldId),
}

/// What became of an erasure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Erasure {
    /// Every generation of the hour, each with its state after the erasure (none is live).
    Erased(Vec<KeyRow>),
    Held(HoldId),
    /// The hour must be fenced first; nothing was changed.
    NotFenced,
}

/// New terms of an hour: when it is due, and the KEK that its keys are wrapped by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrap {
    pub token: Token,
    pub hour: Hour,
    /// As they stand in the gate, with its command: with others nothing is changed.
    pub seen: (Due, KekId, Option<Digest>),
    pub due: Due,
    /// Registered ([`SealStore::register_kek`]).
    pub kek: KekId,
    /// What gives it these terms goes into its gate; `None` leaves what is there.
    pub command: Option<Digest>,
    /// Keys as they are wrapped by it.
    pub keys: Vec<Rewrapped>,
}

/// A live key, wrapped anew. The bytes are ciphertext.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrapped {
    /// As it was seen; one that has changed since stays as it is.
    pub seen: KeyRow,
    pub wrapped: [u8; WRAPPED_LEN],
}

/// What became of a verdict offered for storing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored {
    /// Stored now: this is the verdict to obey.
    New,
    /// The same command was decided before: obey this one.
    Before(Vec<u8>),
    /// Another command with the same id was decided before.
    IdReuse,
}

/// Why the store did not answer. Nothing is known of what happened, and nothing may be assumed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Away, busy or timed out: wait and ask again.
    #[error("the key store is unavailable: {0}")]
    Unavailable(String),
    /// It answers with something that this version does not understand.
    #[error("the key store is not usable: {0}")]
    Unusable(String),
    /// Its schema is not of this program's version; nothing else was read.
    #[error("the key store is not usable: {0}")]
    Schema(#[from] SchemaMismatch),
}
