//! A receipt: the record of what was done.

use super::assumption::STORE_COPIES;
use super::deed::{Deed, Outcome};
use super::key::ErasedKey;
use super::swept::{NotSwept, SweptHour};
use crate::forget::decide::verdict::Why;
use crate::model::{Digest, Due, Hour, KekId, Millis, StoreId, Token};

/// What every receipt of level L1 rests on, whatever the store and the vault are: numbers of SECURITY.md.
pub const ASSUMPTIONS: &[&str] = &[STORE_COPIES.code];

/// The record of what was done on one command, or on a call to sweep. It names tokens, never a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The command's digest, or the call's.
    pub id: Digest,
    /// The command's own id, or the call's.
    pub command: String,
    pub deed: Deed,
    /// Who answers for it, as it says itself.
    pub issuer: Option<String>,
    /// Names of the keys that had signed it, as the trust store calls them.
    pub signers: Vec<String>,
    pub outcome: Outcome,
    /// Why it was refused or is incomplete.
    pub why: Option<Why>,
    /// `None` where the command named no valid customer, and of what the clock does.
    pub token: Option<Token>,
    /// Of a KEK, the hours of its day: the first and last due of what it wrapped.
    pub from: Hour,
    pub to: Hour,
    /// The keys erased, or none of them where the list would be too long for a record. A sweep's are in its
    /// header.
    pub keys: Vec<ErasedKey>,
    pub key_count: u64,
    /// The control record's timestamp.
    pub requested_at: Option<Millis>,
    /// The hour number from which the last hour of the range is due. Of a retention: what was due then keeps
    /// its terms.
    pub due: Option<Due>,
    pub done_at: Millis,
    /// When what wrapped the last of the keys is due to be destroyed.
    pub l3_by: Option<Millis>,
    /// From then on no process uses a cached copy of the keys.
    pub unusable_after: Option<Millis>,
    pub assumptions: Vec<String>,
    pub store: StoreId,
}

impl Receipt {
    /// What was done on the record of this digest and id, and how it ended; all that most receipts do not say
    /// is empty.
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

    /// The same, done at `now`: the leases that it must outlive are counted from when it is published.
    pub fn stamped(mut self, now: Millis) -> Self {
        let later = now.0.saturating_sub(self.done_at.0).max(0);
        self.unusable_after = self.unusable_after.map(|after| after.plus(later));
        self.done_at = self.done_at.plus(later);
        self
    }

    /// The hours of a sweep from its record's header; none of anything else.
    ///
    /// # Errors
    /// [`NotAReceipt::Hours`]: without them it is not known what was forgotten.
    pub fn swept(&self, header: Option<&[u8]>) -> Result<Vec<SweptHour>, NotAReceipt> {
        match self.deed {
            Deed::Command(_) | Deed::DestroyKek { .. } => Ok(Vec::new()),
            Deed::Sweep(batch) => batch.read(header).map_err(NotAReceipt::Hours),
        }
    }

    /// The same without the list of keys; their number stays.
    pub fn without_keys(mut self) -> Self {
        self.keys = Vec::new();
        self
    }
}

/// Why a record of the receipts topic cannot be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAReceipt {
    #[error("it is no receipt")]
    Malformed,
    #[error("it is a receipt of version {0}, which this program does not know")]
    Newer(u32),
    #[error(transparent)]
    Hours(NotSwept),
}

/// When what wrapped these keys is due to be destroyed: the end of the latest KEK's day.
pub(in crate::forget) fn l3_by<'a>(keks: impl Iterator<Item = &'a KekId>) -> Option<Millis> {
    keks.map(KekId::ends).max_by_key(|ends| ends.0)
}
