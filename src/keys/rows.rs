//! The rows of the key store, as types.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::envelope::WRAPPED_LEN;
use crate::model::{
    CustomerId, Digest, Due, Generation, Hour, KekId, KeyId, Millis, Retention, StoreId, Token, TopicId,
    VaultId,
};

/// A slot as the store identifies it: by token, without the customer's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotRef {
    pub token: Token,
    pub hour: Hour,
    pub generation: Generation,
}

/// The store's data about itself. The configuration gives only its initial values.
#[derive(Clone, Debug)]
pub struct Meta {
    pub store: StoreId,
    pub vault: VaultId,
    pub schema_version: u32,
    /// Maximum lease of any process, in milliseconds.
    pub max_lease_ms: u64,
    pub default_retention: Retention,
    /// Offset of the last receipt applied to this store; `None` before the first.
    pub last_receipt: Option<i64>,
}

/// A partition that a group has started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    pub partition: i32,
    /// Id of the topic at that time. `None`: an earlier version of this program did not store it.
    pub topic: Option<TopicId>,
    /// The committed offset of the last gap that an operator accepted for this partition; -1 if the broker
    /// held none at that time. `None`: no gap was accepted.
    pub accepted: Option<i64>,
}

/// The state of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Wrapped and present. It opens records, and seals records during its generation.
    Live,
    /// Overwritten by a command. This state is final.
    Erased,
    /// Overwritten by the fail-safe because no sweep erased it. This state is final.
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
    /// `None` after the erasure.
    pub wrapped: Option<[u8; WRAPPED_LEN]>,
    pub minted_at: Millis,
    pub erased_at: Option<Millis>,
    /// The command that erased it.
    pub command: Option<Digest>,
}

/// Id of a legal hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HoldId(pub Vec<u8>);

/// The id as people write it. Ids come from commands, which are UTF-8.
impl std::fmt::Display for HoldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A legal hold. It forbids fencing and erasing the hours `from ..= to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    pub id: HoldId,
    pub token: Token,
    pub from: Hour,
    pub to: Hour,
}

/// The row that every mint, hold and fence of an hour checks and writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    pub due: Due,
    /// `None` for an hour that was fenced before it had a key.
    pub kek: Option<KekId>,
    pub fenced: bool,
    pub hold: Option<HoldId>,
    /// The command that fenced the hour or, while it is open, the command that gave it its terms.
    pub command: Option<Digest>,
}

/// The store's data on a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Customer {
    /// `None` for a customer that was closed, or got a floor, before this store minted a key for it.
    pub name: Option<CustomerId>,
    /// `None` = the store's default.
    pub retention: Option<Retention>,
    /// Every hour below it is forgotten permanently.
    pub floor: Option<Hour>,
    /// The whole customer is being forgotten: nothing is minted.
    pub closed: bool,
}

/// Data from a read of the store, for the write that follows it, so that the store does not read it again.
/// Only the store that created it understands it. It decides nothing (the write's conditions do). It says
/// nothing about the row that carries it: any two values are equal.
#[derive(Clone, Default)]
pub struct Seen(Option<Arc<dyn Any + Send + Sync>>);

impl Seen {
    /// No data: the write reads for itself.
    pub const fn nothing() -> Self {
        Self(None)
    }

    pub fn of<T: Any + Send + Sync>(what: T) -> Self {
        Self(Some(Arc::new(what)))
    }

    /// The data; `None` if there is none, or if another kind of store created it.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl PartialEq for Seen {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seen {}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Seen(..)" } else { "Seen" })
    }
}

/// All data that decides whether a slot may be sealed or opened, from one read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub customer: Option<Customer>,
    pub gate: Option<Gate>,
    pub key: Option<KeyRow>,
    /// For the slot's [`Candidate`](super::Candidate).
    pub seen: Seen,
}

/// An open hour and its due. The order is that of the sweep: soonest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueHour {
    pub due: Due,
    pub token: Token,
    pub hour: Hour,
    /// For [`EraseStore::forget`](super::EraseStore::forget).
    pub seen: Seen,
}

impl PartialOrd for DueHour {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DueHour {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.token, self.hour).cmp(&(other.due, other.token, other.hour))
    }
}

impl DueHour {
    /// An hour without data from a read.
    pub const fn new(due: Due, token: Token, hour: Hour) -> Self {
        Self { due, token, hour, seen: Seen::nothing() }
    }

    /// The last possible hour before those of a due: a list that begins after it begins with that due.
    /// `None` = the list begins with the first hour.
    pub fn before(due: Due) -> Option<Self> {
        Some(Self::last(Due(due.0.checked_sub(1)?)))
    }

    /// The last possible hour of a due.
    pub fn last(due: Due) -> Self {
        Self::new(due, Token([0xFF; 16]), Hour(u32::MAX))
    }
}

/// An hour with its gate and its keys, as lists return it.
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

impl KekState {
    /// The number in the `kek` table of every kind of store.
    pub const fn number(self) -> i8 {
        match self {
            Self::Live => 1,
            Self::Closing => 2,
            Self::Destroyed => 3,
        }
    }

    /// `None` for a number that this version does not write.
    pub const fn of_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Live),
            2 => Some(Self::Closing),
            3 => Some(Self::Destroyed),
            _ => None,
        }
    }
}

/// A row of the `kek` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KekRow {
    pub id: KekId,
    /// Shows whether two processes have the same KEK under one id (`schemas/kek-file.md`).
    pub check: [u8; 16],
    pub state: KekState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keks_state_is_read_back_from_its_number() {
        for state in [KekState::Live, KekState::Closing, KekState::Destroyed] {
            assert_eq!(KekState::of_number(state.number().into()), Some(state));
        }
        assert!([i64::MIN, -1, 0, 4].into_iter().all(|number| KekState::of_number(number).is_none()));
    }

    #[test]
    fn what_was_seen_changes_neither_equality_nor_order() {
        let hour = |due| DueHour::new(Due(due), Token([1; 16]), Hour(7));
        let seen = DueHour { seen: Seen::of(5_u8), ..hour(1) };
        assert_eq!(seen, hour(1));
        assert!(seen < hour(2) && seen > DueHour::before(Due(1)).expect("a place"));
    }

    #[test]
    fn what_was_seen_is_read_by_the_kind_of_store_that_made_it() {
        assert_eq!(Seen::of(5_u8).get::<u8>(), Some(&5));
        assert_eq!(Seen::of(5_u8).get::<u16>(), None);
        assert_eq!(Seen::nothing().get::<u8>(), None);
    }
}
