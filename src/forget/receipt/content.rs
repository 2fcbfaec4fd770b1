//! A receipt: the record of what was done.

use super::assumption::STORE_COPIES;
use super::deed::{Deed, Outcome};
use super::key::ErasedKey;
use super::swept::{NotSwept, SweptHour};
use crate::forget::decide::verdict::Why;
use crate::model::{Digest, Due, Hour, KekId, Millis, StoreId, Token};

/// The assumptions of every receipt of level L1, with every store and every vault: numbers of SECURITY.md.
pub const ASSUMPTIONS: &[&str] = &[STORE_COPIES.code];

/// The record of what was done on one command, or on a call to sweep or to destroy a KEK. It names tokens,
/// never a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The command's digest, or the call's.
    pub id: Digest,
    /// The command's own id, or the call's.
    pub command: String,
    pub deed: Deed,
    /// The issuer, as the command itself states it.
    pub issuer: Option<String>,
    /// Names, in the trust store, of the keys that signed the command.
    pub signers: Vec<String>,
    pub outcome: Outcome,
    /// Why it was refused or is incomplete.
    pub why: Option<Why>,
    /// `None` if the command named no valid customer, and for sweeps and destroyed KEKs.
    pub token: Option<Token>,
    /// For a KEK, the hours of its day: the first and the last due of the keys that it wrapped.
    pub from: Hour,
    pub to: Hour,
    /// The erased keys, or none of them if the list would be too long for a record. The keys of a sweep
    /// are in its header.
    pub keys: Vec<ErasedKey>,
    pub key_count: u64,
    /// The control record's timestamp.
    pub requested_at: Option<Millis>,
    /// The hour number from which the last hour of the range is due. For a retention: hours that were due at
    /// that number keep their terms.
    pub due: Option<Due>,
    pub done_at: Millis,
    /// The time at which the KEK that wrapped the last of the keys is due to be destroyed.
    pub l3_by: Option<Millis>,
    /// After this time no process uses a cached copy of the keys.
    pub unusable_after: Option<Millis>,
    pub assumptions: Vec<String>,
    pub store: StoreId,
}

impl Receipt {
    /// Creates a receipt for the record of this digest and id. Fields that most receipts do
    /// not have are empty.
    pub fn new(
        (id, command): (Digest, String),
        deed: Deed,
        outcome: Outcome,
        (from, to): (Hour, Hour),
        done_at: Millis,
        store: StoreId,
    ) -> Self {
        Self {
            id,
            command,
            deed,
            issuer: None,
            signers: Vec::new(),
            outcome,
            why: None,
            token: None,
            from,
            to,
            keys: Vec::new(),
            key_count: 0,
            requested_at: None,
            due: None,
            done_at,
            l3_by: None,
            unusable_after: None,
            assumptions: Vec::new(),
            store,
        }
    }

    /// Returns the same receipt, done at `now`: the leases that it must outlive are counted from its
    /// publication. A clock that goes back changes nothing.
    pub fn stamped(mut self, now: Millis) -> Self {
        let later = now.0.saturating_sub(self.done_at.0).max(0);
        self.unusable_after = self.unusable_after.map(|after| after.plus(later));
        self.done_at = self.done_at.plus(later);
        self
    }

    /// Returns the hours of a sweep from its record's header. Other receipts have none.
    ///
    /// # Errors
    /// [`NotAReceipt::Hours`]: without the hours, the reader does not know which ones were forgotten.
    pub fn swept(&self, header: Option<&[u8]>) -> Result<Vec<SweptHour>, NotAReceipt> {
        match self.deed {
            Deed::Command(_) | Deed::DestroyKek { .. } => Ok(Vec::new()),
            Deed::Sweep(batch) => batch.read(header).map_err(NotAReceipt::Hours),
        }
    }

    /// Returns the same receipt without the list of keys. The number of keys stays.
    pub fn without_keys(mut self) -> Self {
        self.keys = Vec::new();
        self
    }
}

/// The reason why a record of the receipts topic cannot be applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAReceipt {
    #[error("it is not a receipt")]
    Malformed,
    #[error("it is a receipt of version {0}, which this program does not know")]
    Newer(u32),
    #[error(transparent)]
    Hours(NotSwept),
}

/// Returns the time at which the last of these KEKs is due to be destroyed: the end of the latest KEK's day.
pub(in crate::forget) fn l3_by<'a>(keks: impl Iterator<Item = &'a KekId>) -> Option<Millis> {
    keks.map(KekId::ends).max_by_key(|ends| ends.0)
}
