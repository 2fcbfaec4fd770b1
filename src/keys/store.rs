//! The key store's contract: four traits, divided like the CQL roles (`schemas/keystore.cql`).
//!
//! | trait | role | writes |
//! |---|---|---|
//! | [`ReadStore`] | `auditor` | nothing |
//! | [`SealStore`] | `sealer` | new keys, new KEKs, started partitions, placements |
//! | [`EraseStore`] | `eraser` | fences, overwritten keys, new terms of an hour |
//! | [`DecisionStore`] | `eraser` | holds, policies, verdicts, the receipts' position, the life of a KEK |
//!
//! The last three build on the first. A caller takes the narrowest trait that is enough. [`Store`] combines
//! all of them, for the code that wires a process. Every implementation passes the same conformance suite
//! (`tests/it/conformance.rs`). Methods are idempotent. A batch is one round trip if possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::TokenKey;
use super::outcomes::{Candidate, Erasure, Fence, Minted, Placed, Rewrap, StoreError, Stored};
use super::rows::{Customer, DueHour, Found, Hold, HoldId, HourRow, KekRow, KekState, Meta, SlotRef};
use crate::model::{CustomerId, Digest, Due, Hour, KekId, Millis, Retention, Started, Token};

/// Reads and lists. No method changes the store's data.
#[async_trait]
pub trait ReadStore: Send + Sync + 'static {
    /// The store's own wall clock.
    async fn now(&self) -> Result<Millis, StoreError>;

    async fn meta(&self) -> Result<Meta, StoreError>;

    /// The key of the store's pseudonyms and digests.
    fn token_key(&self) -> &Arc<TokenKey>;

    /// The customer's pseudonym ([`TokenKey::token`]).
    fn token(&self, customer: &CustomerId) -> Token {
        self.token_key().token(customer)
    }

    /// The store's data on each slot, in the order asked.
    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError>;

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError>;

    /// Every KEK that was ever registered, by id. There is one for each day on which keys are due, and one
    /// for each hold and day of which the hold keeps keys.
    async fn keks(&self) -> Result<Vec<KekRow>, StoreError>;

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError>;

    /// Customers with their tokens: at most `limit`, those after `after`, always in the same order.
    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError>;

    /// The hours `from ..= to` of a customer that have a gate, in ascending order.
    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError>;

    /// Open hours with due ≤ `until`, of days whose KEK is not destroyed: soonest first, at most `limit`,
    /// those after `after`. Held hours are included: a sweep pages past hours that it must not erase.
    async fn due_hours(
        &self,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError>;

    /// The hold in force under an id.
    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError>;

    /// Every hold in force, by id. A deployment has few.
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// Number of live keys, held ones included, by the KEK that wraps them. One scan of all keys.
    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError>;

    /// Hours with a live key that this KEK wraps: at most `limit`, in any order. One scan of all keys.
    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError>;

    /// Number of keys in each state, as (live, erased, erased by TTL). One scan of all keys, without a bound:
    /// for a command of a person and for tests, not for a periodic job.
    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError>;

    /// The placement of an output topic: the number of partitions over which every worker places its records.
    /// `None` = no worker has stored one.
    async fn placement(&self, topic: &str) -> Result<Option<i32>, StoreError>;
}

/// Mints keys. Code that seals can neither fence an hour nor decide on one:
///
/// ```compile_fail
/// use hourseal::keys::SealStore;
/// use hourseal::model::{Digest, Due, Hour, Token};
///
/// async fn seal(store: &dyn SealStore, token: Token, hour: Hour, due: Due, command: Digest) {
///     let _ = store.fence(token, hour, due, command).await;
/// }
/// ```
///
/// The same lines compile for a store that erases:
///
/// ```
/// use hourseal::keys::EraseStore;
/// use hourseal::model::{Digest, Due, Hour, Token};
///
/// async fn erase(store: &dyn EraseStore, token: Token, hour: Hour, due: Due, command: Digest) {
///     let _ = store.fence(token, hour, due, command).await;
/// }
/// ```
#[async_trait]
pub trait SealStore: ReadStore {
    /// Checks that a mint could be stored now; changes nothing. A store may answer reads but refuse writes.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.now().await.map(drop)
    }

    /// Mints or adopts each candidate's slot, in the order given. The answers are durable.
    ///
    /// If several refusals are possible, the first in this order counts ([`refusal`](super::refusal)):
    /// [`Minted::Closed`], [`Minted::BelowFloor`], [`Minted::Fenced`], [`Minted::Adopted`],
    /// [`Minted::GateDiffers`]. A refused candidate leaves no data in the store.
    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError>;

    /// Makes every process agree on a KEK: inserts the row unless it exists, and returns the resulting row.
    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError>;

    /// Partitions of `input` (`<group>/<topic>`) that were already started, in ascending order.
    async fn started(&self, input: &str) -> Result<Vec<Started>, StoreError>;

    /// Stores these partitions, and replaces what was stored about them before. After an error some of them
    /// may be stored.
    async fn mark_started(&self, input: &str, partitions: &[Started]) -> Result<(), StoreError>;

    /// Stores the placement of an output topic if there is none, or if it is still the one that was seen.
    /// Returns the placement afterwards: `to`, or the one of another process.
    async fn set_placement(&self, topic: &str, seen: Option<i32>, to: i32) -> Result<i32, StoreError>;
}

/// Ends keys: fences an hour, overwrites its keys, or gives them other terms. Mints nothing.
#[async_trait]
pub trait EraseStore: ReadStore {
    /// Forbids every further mint of the hour, even if it never had a key (then `due` is written to its
    /// gate). If the hour is already fenced, the first command's digest stays.
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError>;

    /// Extends the record of a fenced hour to `due` and beyond, if the hour was fenced for an earlier due:
    /// its customer has a longer retention now. An open hour, or one recorded for as long, stays as it is.
    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, now: Millis) -> Result<(), StoreError>;

    /// Overwrites every live wrapped DEK of a fenced hour, and clears them from the store's own logs as far
    /// as possible.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also if the rows are erased but the logs could not be cleared: another
    /// erasure clears them.
    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError>;

    /// Fences and erases open hours, as [`EraseStore::fence`] and [`EraseStore::erase`] do. Then reads each
    /// hour back and returns it, in the order asked. An hour that a hold keeps is still open, or has a live
    /// key. `None` = the hour has no gate. Hours are forgotten one by one; after an error some of them may
    /// be forgotten.
    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError>;

    /// Gives new terms to an hour that is open or held. Then reads the hour back and returns it; `None` =
    /// the hour has no gate. If due, KEK or a key have changed since they were seen, less is done: check the
    /// returned hour and retry. A key minted in the meantime has the new terms, or still the old KEK; the
    /// next check finds it.
    async fn rewrap(&self, terms: &Rewrap, now: Millis) -> Result<Option<HourRow>, StoreError>;

    /// Drops gates and keys of hours below each customer's floor whose due is at or before `until`. Returns
    /// the number of hours. An hour stays if it is held, not fenced, or still has a live key.
    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError>;

    /// Overwrites live keys whose due is at or before `until`, and returns their number. This is the
    /// fail-safe if no sweep erased them. Held hours stay.
    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError>;
}

/// Stores decisions on customers, commands and KEKs. It touches no key.
#[async_trait]
pub trait DecisionStore: ReadStore {
    /// Places a hold on the hours that have a gate, fenced or not. Remembers it for hours that come later.
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError>;

    /// Lifts a hold. If another hold also covers an hour, that hold keeps it.
    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError>;

    /// Changes a customer's retention if it is still the one that was seen. Returns whether it is `to`
    /// afterwards. `None` = the store's default. Existing gates keep their due. The customer is identified
    /// by token, as in [`DecisionStore::raise_floor`].
    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError>;

    /// Moves the customer's floor up to `floor`, never down. The floor outlives the hours' rows. The
    /// customer is identified by token, because a receipt names nothing else. A customer that the store does
    /// not know also gets the floor, and keeps it when its name is stored.
    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError>;

    /// Marks the customer as being forgotten: nothing is minted for it any more. The customer is identified
    /// by token, as in [`DecisionStore::raise_floor`].
    async fn close_customer(&self, token: Token) -> Result<(), StoreError>;

    /// Stores the verdict on a command unless one exists.
    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError>;

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Records that the receipt at this offset of the receipts topic was applied. The offset never goes back.
    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError>;

    /// Moves a KEK to a later state, never back. Returns the resulting row; `None` for an id that was never
    /// registered.
    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError>;
}

/// All traits of a store, for the code that wires a process and gives each part the trait that it needs.
pub trait Store: SealStore + EraseStore + DecisionStore {}

impl<S: SealStore + EraseStore + DecisionStore + ?Sized> Store for S {}
