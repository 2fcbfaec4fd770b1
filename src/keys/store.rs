//! The key store's contract. One conformance suite (`tests/it/conformance.rs`) holds for every implementation.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::rows::{
    Customer, DueHour, Found, Gate, Hold, HoldId, HourRow, KekRow, KekState, KeyRow, Meta, SlotRef,
};
use super::schema::SchemaMismatch;
use crate::envelope::WRAPPED_LEN;
use crate::model::{CustomerId, Digest, Due, Hour, KekId, KeyId, Millis, Retention, Token};

/// A DEK offered for a slot. It is used only if the store says [`Minted::Won`].
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: SlotRef,
    pub customer: CustomerId,
    /// Must equal the gate's, where there is one.
    pub due: Due,
    /// Registered ([`KeyStore::register_kek`]), the one of its due's day; must equal the gate's, where there is one.
    pub kek: KekId,
    pub commitment: [u8; 32],
    pub wrapped: [u8; WRAPPED_LEN],
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
    /// Registered ([`KeyStore::register_kek`]).
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

/// Keeps DEKs (wrapped), gates, holds, verdicts. Methods are idempotent; a batch is one round trip where it can be one.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The store's own wall clock.
    async fn now(&self) -> Result<Millis, StoreError>;

    /// Whether a mint could be stored now; changes nothing. A store that only answers reads mints nothing.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.now().await.map(drop)
    }

    async fn meta(&self) -> Result<Meta, StoreError>;

    /// The customer's pseudonym: HMAC-SHA256(token key, "hourseal/1 token" ‖ customer)[0..16].
    fn token(&self, customer: &CustomerId) -> Token;

    /// HMAC-SHA256(token key, "hourseal/1 digest" ‖ bytes)[0..16]: tells records apart without naming anyone.
    fn digest(&self, bytes: &[u8]) -> [u8; 16];

    /// What is known of each slot, in the order asked.
    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError>;

    /// Mints or adopts each candidate's slot, in the order given. What it answers is durable.
    ///
    /// Refusals go first: [`Minted::Closed`], [`Minted::BelowFloor`], [`Minted::Fenced`], then [`Minted::Adopted`], then
    /// [`Minted::GateDiffers`]. A refused candidate leaves nothing behind.
    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError>;

    /// Makes every process agree on a KEK: inserts the row unless there is one, and answers what is there now.
    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError>;

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError>;

    /// Moves a KEK on in its life, never back, and answers what is there now; `None` for an id that never was.
    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError>;

    /// Every KEK that was ever registered, by id; one for each day on which keys fall due.
    async fn keks(&self) -> Result<Vec<KekRow>, StoreError>;

    /// How many keys are live, by the KEK that wraps them, held ones among them: one scan of all keys.
    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError>;

    /// Hours with a live key that this KEK wraps, `limit` at most, in no order: one scan of all keys.
    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError>;

    /// Gives an hour that is open, or held, new terms, and answers it as it is read back then; `None` has no gate. Where due,
    /// KEK or a key have changed since they were seen, or something else comes between, less is done: look, and ask again.
    /// What is minted meanwhile has the old KEK, and is seen then, or the new terms.
    async fn rewrap(&self, terms: &Rewrap, now: Millis) -> Result<Option<HourRow>, StoreError>;

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError>;

    /// Every customer's token, `limit` at most, those after `after`, in order.
    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError>;

    /// The hours `from ..= to` of a customer that have a gate, in order.
    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError>;

    /// Open hours, of days whose KEK is not destroyed, with due ≤ `until`, soonest first, `limit` at most, those after `after`. Held hours are among them: a
    /// sweep pages past what it may not erase.
    async fn due_hours(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError>;

    /// Forbids every further mint of the hour, also if it never had a key (then `due` goes into its gate). The first
    /// command's digest stays.
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError>;

    /// Sees to it that a fenced hour is known as such until `due` and beyond, though it was fenced for an earlier one: the
    /// customer is kept for longer now. An hour that is open, or that is known for as long, stays as it is.
    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, now: Millis) -> Result<(), StoreError>;

    /// Overwrites every live wrapped DEK of a fenced hour, and clears the store's own logs of them as far as it can.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when the rows are erased and the logs could not be cleared: erasing again does it.
    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError>;

    /// Fences and erases open hours, as [`KeyStore::fence`] and [`KeyStore::erase`] do, and answers each as it is read back
    /// then, in the order asked: what a hold keeps is still open, or has a live key; `None` has no gate. Hours are forgotten
    /// one by one, and where it fails some of them may be.
    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError>;

    /// Puts a hold on the hours that have a gate, fenced or not, and remembers it for those that come.
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError>;

    /// Lifts a hold. Hours that another hold covers too stay held by that one.
    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError>;

    /// The hold in force under an id.
    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError>;

    /// Every hold in force, by id; a deployment has few.
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// Changes a customer's retention, if it is still what was seen; whether it is `to` then. `None` = the store's default.
    /// Existing gates keep their due. By token, as [`KeyStore::raise_floor`].
    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError>;

    /// Moves the customer's floor up to `floor`; never down. Survives the expiry of the hours' rows. By token, because a
    /// receipt names nothing else: a customer that the store does not know gets it too, and keeps it when its name comes.
    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError>;

    /// Marks the customer as being forgotten: nothing is minted any more. By token, as [`KeyStore::raise_floor`].
    async fn close_customer(&self, token: Token) -> Result<(), StoreError>;

    /// Drops gates and keys of hours below each customer's floor whose due is at or before `until`, and answers how many hours.
    /// Kept: what is held, not fenced, or still has a live key.
    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError>;

    /// Overwrites live keys whose due is at or before `until`, and answers how many: the fail-safe when nobody swept. Held
    /// hours are kept.
    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError>;

    /// Stores the verdict on a command unless one is there.
    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError>;

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Records that the receipt at this offset of the receipts topic has been applied; never goes back.
    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError>;

    /// Partitions of `input` (`<group>/<topic>`) that were started before.
    async fn started(&self, input: &str) -> Result<Vec<i32>, StoreError>;

    async fn mark_started(&self, input: &str, partitions: &[i32]) -> Result<(), StoreError>;

    /// How many keys are in each state, as (live, erased, erased by TTL): one scan, for a metric now and then.
    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError>;
}
