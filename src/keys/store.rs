//! The key store's contract: four traits, cut as the CQL roles are (`schemas/keystore.cql`).
//!
//! | trait | role | writes |
//! |---|---|---|
//! | [`ReadStore`] | `auditor` | nothing |
//! | [`SealStore`] | `sealer` | new keys, new KEKs, started partitions |
//! | [`EraseStore`] | `eraser` | fences, overwritten keys, new terms of an hour |
//! | [`DecisionStore`] | `eraser` | holds, policies, verdicts, the receipts' position, the life of a KEK |
//!
//! The last three build on the first. A caller takes the narrowest one that serves it; [`Store`] is all of
//! them, for the code that wires a process. One conformance suite (`tests/it/conformance.rs`) holds for every
//! implementation. Methods are idempotent; a batch is one round trip where it can be one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::TokenKey;
use super::outcomes::{Candidate, Erasure, Fence, Minted, Placed, Rewrap, StoreError, Stored};
use super::rows::{Customer, DueHour, Found, Hold, HoldId, HourRow, KekRow, KekState, Meta, SlotRef};
use crate::model::{CustomerId, Digest, Due, Hour, KekId, Millis, Retention, Token};

/// Reads and lists. No method changes what the store keeps.
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

    /// What is known of each slot, in the order asked.
    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError>;

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError>;

    /// Every KEK that was ever registered, by id; one for each day on which keys fall due.
    async fn keks(&self) -> Result<Vec<KekRow>, StoreError>;

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError>;

    /// Every customer's token, `limit` at most, those after `after`, in an order that is the same each time.
    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError>;

    /// The hours `from ..= to` of a customer that have a gate, in order.
    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError>;

    /// Open hours with due ≤ `until`, of days whose KEK is not destroyed: soonest first, `limit` at most,
    /// those after `after`. Held hours are among them: a sweep pages past what it may not erase.
    async fn due_hours(
        &self,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError>;

    /// The hold in force under an id.
    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError>;

    /// Every hold in force, by id; a deployment has few.
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// How many keys are live, held ones included, by the KEK that wraps them: one scan of all keys.
    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError>;

    /// Hours with a live key that this KEK wraps, `limit` at most, in any order: one scan of all keys.
    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError>;

    /// How many keys are in each state, as (live, erased, erased by TTL): one scan of all keys, for an
    /// occasional metric.
    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError>;
}

/// Makes keys. What seals can neither fence an hour nor decide on one:
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
    /// Whether a mint could be stored now; changes nothing. A store that only answers reads mints nothing.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.now().await.map(drop)
    }

    /// Mints or adopts each candidate's slot, in the order given. Its answers are durable.
    ///
    /// Refusals go first: [`Minted::Closed`], [`Minted::BelowFloor`], [`Minted::Fenced`], then
    /// [`Minted::Adopted`], then [`Minted::GateDiffers`] ([`refusal`](super::refusal)). A refused candidate
    /// leaves nothing behind.
    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError>;

    /// Makes every process agree on a KEK: inserts the row unless there is one, and answers the row that is
    /// there then.
    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError>;

    /// Partitions of `input` (`<group>/<topic>`) that were started before.
    async fn started(&self, input: &str) -> Result<Vec<i32>, StoreError>;

    async fn mark_started(&self, input: &str, partitions: &[i32]) -> Result<(), StoreError>;
}

/// Ends keys: fences an hour, overwrites its keys, moves them under other terms. Mints nothing.
#[async_trait]
pub trait EraseStore: ReadStore {
    /// Forbids every further mint of the hour, also if it never had a key (then `due` goes into its gate).
    /// The first command's digest stays.
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError>;

    /// Keeps a fenced hour known as fenced until `due` and beyond, where it was fenced for an earlier due:
    /// its customer is kept for longer now. An hour that is open, or known for as long, stays as it is.
    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, now: Millis) -> Result<(), StoreError>;

    /// Overwrites every live wrapped DEK of a fenced hour, and clears the store's own logs of them as far as
    /// it can.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when the rows are erased and the logs could not be cleared: erasing
    /// again clears them.
    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError>;

    /// Fences and erases open hours, as [`EraseStore::fence`] and [`EraseStore::erase`] do, and answers each
    /// as it is read back then, in the order asked: an hour that a hold keeps is still open, or has a live
    /// key; `None` has no gate. Hours are forgotten one by one; after an error some of them may be forgotten.
    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError>;

    /// Gives new terms to an hour that is open or held, and answers the hour as it is read back then; `None`
    /// has no gate. Where due, KEK or a key have changed since they were seen, less is done: look, and ask
    /// again. A key that is minted meanwhile has the new terms, or the old KEK, and is seen by the next look.
    async fn rewrap(&self, terms: &Rewrap, now: Millis) -> Result<Option<HourRow>, StoreError>;

    /// Drops gates and keys of hours below each customer's floor whose due is at or before `until`, and
    /// answers how many hours. An hour stays that is held, not fenced, or still has a live key.
    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError>;

    /// Overwrites live keys whose due is at or before `until`, and answers how many: the fail-safe when
    /// nobody swept. Held hours stay.
    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError>;
}

/// Keeps what was decided: on customers, on commands, on KEKs. It touches no key.
#[async_trait]
pub trait DecisionStore: ReadStore {
    /// Puts a hold on the hours that have a gate, fenced or not, and remembers it for hours that come later.
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError>;

    /// Lifts a hold. Hours that another hold covers too stay held by that one.
    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError>;

    /// Changes a customer's retention if it is still the one that was seen, and answers whether it is `to`
    /// then. `None` = the store's default. Existing gates keep their due. By token, as
    /// [`DecisionStore::raise_floor`].
    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError>;

    /// Moves the customer's floor up to `floor`; never down. The floor outlives the hours' rows. By token,
    /// because a receipt names nothing else: a customer that the store does not know gets it too, and keeps
    /// it when its name comes.
    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError>;

    /// Marks the customer as being forgotten: nothing is minted any more. By token, as
    /// [`DecisionStore::raise_floor`].
    async fn close_customer(&self, token: Token) -> Result<(), StoreError>;

    /// Stores the verdict on a command unless one is there.
    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError>;

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Records that the receipt at this offset of the receipts topic has been applied; never goes back.
    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError>;

    /// Moves a KEK on in its life, never back, and answers the row that is there then; `None` for an id that
    /// never was.
    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError>;
}

/// All of a store, for the code that wires a process and hands each part the trait that it needs.
pub trait Store: SealStore + EraseStore + DecisionStore {}

impl<S: SealStore + EraseStore + DecisionStore + ?Sized> Store for S {}
