//! What the key store keeps: its rows as nouns.

use crate::envelope::WRAPPED_LEN;
use crate::model::{
    CustomerId, Digest, Due, Generation, Hour, KekId, KeyId, Millis, Retention, StoreId, Token, VaultId,
};

/// A slot as the store knows it: by token, without the customer's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotRef {
    pub token: Token,
    pub hour: Hour,
    pub generation: Generation,
}

/// What the store says of itself. Config only seeds it.
#[derive(Clone, Debug)]
pub struct Meta {
    pub store: StoreId,
    pub vault: VaultId,
    pub schema_version: u32,
    /// Longest lease that any process may take, in milliseconds.
    pub max_lease_ms: u64,
    pub default_retention: Retention,
    /// Offset of the last receipt applied to this store; `None` before the first.
    pub last_receipt: Option<i64>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Wrapped and present: opens, and seals while its generation runs.
    Live,
    /// Overwritten by a command. Becomes nothing else.
    Erased,
    /// Overwritten by the fail-safe because nobody swept. Becomes nothing else.
    ErasedByTtl,
}

/// One row of the key table. The wrapped DEK is ciphertext; it may be cloned and compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRow {
    pub generation: Generation,
    pub state: KeyState,
    pub key_id: KeyId,
    pub commitment: [u8; 32],
    pub kek: KekId,
    /// `None` once erased.
    pub wrapped: Option<[u8; WRAPPED_LEN]>,
    pub minted_at: Millis,
    pub erased_at: Option<Millis>,
    /// The command that erased it.
    pub command: Option<Digest>,
}

/// Id of a legal hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HoldId(pub Vec<u8>);

/// As people write it. Ids come from commands, which are UTF-8.
impl std::fmt::Display for HoldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A legal hold: forbids fencing and erasing of the hours `from ..= to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    pub id: HoldId,
    pub token: Token,
    pub from: Hour,
    pub to: Hour,
}

/// The row that every mint, hold and fence of an hour goes through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    pub due: Due,
    /// `None` for an hour that was fenced before it had a key.
    pub kek: Option<KekId>,
    pub fenced: bool,
    pub hold: Option<HoldId>,
    /// The command that fenced it, or, while it is open, that gave it its terms.
    pub command: Option<Digest>,
}

/// What is known of a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Customer {
    /// `None` for one that was closed, or got a floor, before this store minted a key for it.
    pub name: Option<CustomerId>,
    /// `None` = the store's default.
    pub retention: Option<Retention>,
    /// Every hour below it is forgotten for good.
    pub floor: Option<Hour>,
    /// The whole customer is being forgotten: nothing is minted.
    pub closed: bool,
}

/// Everything that decides whether a slot may be sealed or opened, read in one go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub customer: Option<Customer>,
    pub gate: Option<Gate>,
    pub key: Option<KeyRow>,
}

/// An open hour and when it is due. Ordered as the sweep takes them: soonest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DueHour {
    pub due: Due,
    pub token: Token,
    pub hour: Hour,
}

impl DueHour {
    /// The last one that there could be before those of a due, for a list to begin after; `None` = with the first of all.
    pub fn before(due: Due) -> Option<Self> {
        Some(Self::last(Due(due.0.checked_sub(1)?)))
    }

    /// The last one that there could be of a due.
    pub fn last(due: Due) -> Self {
        Self { due, token: Token([0xFF; 16]), hour: Hour(u32::MAX) }
    }
}

/// An hour with its gate and its keys, as listings give it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HourRow {
    pub token: Token,
    pub hour: Hour,
    pub gate: Gate,
    pub keys: Vec<KeyRow>,
}

/// The state of a KEK id, in the order of its life. An id is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KekState {
    /// Wraps and unwraps.
    Live,
    /// Wraps nothing new; about to be destroyed.
    Closing,
    Destroyed,
}

/// A row of the `kek` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KekRow {
    pub id: KekId,
    /// Tells whether two processes hold the same KEK under one id (`schemas/kek-file.md`).
    pub check: [u8; 16],
    pub state: KekState,
}
