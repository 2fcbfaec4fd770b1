//! The embedded key store: one SQLite file of `schemas/keystore.sql`, shared by the processes of one host.
//!
//! Promise: what a call answers is on disk; an erased key's bytes are in no file of the store (the disk below it may keep
//! them: destroying the KEK is what reaches there).
//! Not here: what a slot may do (`keys`), wrapping (`envelope`).
//! Start at [`SqliteStore::open`]; `mint.rs` decides races, `forget.rs` erases.

mod db;
mod fault;
mod forget;
mod ledger;
mod listing;
mod mint;
mod open;
mod purge;
mod rewrap;
mod rows;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use self::db::Db;
pub use self::open::{OpenOptions, check, init};
pub use self::purge::purge;
use self::rows::Reads;
pub use self::schema::{STEPS, Step};
use crate::keys::{
    Candidate, Customer, DueHour, Erasure, Fence, Found, Hold, HoldId, HourRow, KekRow, KekState, KeyStore,
    Meta, Minted, Placed, Rewrap, SlotRef, StoreError, Stored, TokenKey,
};
use crate::model::{Clock, CustomerId, Digest, Due, Hour, KekId, Millis, Retention, Token};

/// A key store in one file.
pub struct SqliteStore {
    db: Db,
    token_key: TokenKey,
    /// The schema version that this program uses.
    schema: u32,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl KeyStore for SqliteStore {
    /// The worker's own clock: both are on one host.
    async fn now(&self) -> Result<Millis, StoreError> {
        Ok(self.clock.now())
    }

    /// Takes the write lock and gives it back: nothing is written, nothing is synced.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.db.write(|_| Ok(())).await
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let known = self.schema;
        self.db.read(move |tx| open::read_meta(tx, known)).await
    }

    fn token(&self, customer: &CustomerId) -> Token {
        self.token_key.token(customer)
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        self.token_key.digest(bytes)
    }

    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        let slots = slots.to_vec();
        self.db.read(move |tx| mint::fetch(tx, &slots)).await
    }

    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
        let candidates = candidates.to_vec();
        self.db.write(move |tx| mint::mint(tx, &candidates, now)).await
    }

    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
        let id = id.clone();
        self.db.write(move |tx| ledger::register_kek(tx, &id, check)).await
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        let id = id.clone();
        self.db.read(move |tx| ledger::kek(tx, &id)).await
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let id = id.clone();
        self.db.write(move |tx| ledger::advance_kek(tx, &id, to)).await
    }

    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        self.db.read(listing::keks).await
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        self.db.read(listing::live_keys).await
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        let kek = kek.clone();
        self.db.read(move |tx| listing::hours_under(tx, &kek, limit)).await
    }

    async fn rewrap(&self, terms: &Rewrap, _now: Millis) -> Result<Option<HourRow>, StoreError> {
        let terms = terms.clone();
        self.db.write_and_wipe(move |tx| rewrap::rewrap(tx, &terms)).await
    }

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        self.db.read(move |tx| Reads::new(tx)?.customer(token)).await
    }

    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        self.db.read(move |tx| listing::customers(tx, after, limit)).await
    }

    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        self.db.read(move |tx| listing::hours(tx, token, from, to)).await
    }

    async fn due_hours(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        self.db.read(move |tx| listing::due_hours(tx, until, after, limit)).await
    }

    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
        self.db.write(move |tx| forget::fence(tx, token, hour, due, command)).await
    }

    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, _now: Millis) -> Result<(), StoreError> {
        self.db.write(move |tx| forget::keep_fence(tx, token, hour, due)).await
    }

    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        self.db.write_and_wipe(move |tx| forget::erase(tx, token, hour, command, now)).await
    }

    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let hours = hours.to_vec();
        self.db.write_and_wipe(move |tx| forget::forget(tx, &hours, command, now)).await
    }

    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        let hold = hold.clone();
        self.db.write(move |tx| forget::place_hold(tx, &hold)).await
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        let id = id.clone();
        self.db.write(move |tx| forget::release_hold(tx, &id)).await
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        Ok(self.holds().await?.into_iter().find(|hold| hold.id == *id))
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.db.read(listing::holds).await
    }

    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        self.db.write(move |tx| ledger::set_retention(tx, token, seen, to)).await
    }

    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        self.db.write(move |tx| ledger::raise_floor(tx, token, floor)).await
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        self.db.write(move |tx| ledger::close_customer(tx, token)).await
    }

    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError> {
        self.db.write(move |tx| forget::expire_markers(tx, until)).await
    }

    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        self.db.write_and_wipe(move |tx| forget::expire_secrets(tx, until, now)).await
    }

    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        let (id, body) = (id.to_owned(), body.to_vec());
        self.db.write(move |tx| ledger::store_verdict(tx, digest, &id, &body)).await
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(move |tx| ledger::verdict(tx, digest)).await
    }

    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        self.db.write(move |tx| ledger::applied_receipt(tx, offset)).await
    }

    async fn started(&self, input: &str) -> Result<Vec<i32>, StoreError> {
        let input = input.to_owned();
        self.db.read(move |tx| ledger::started(tx, &input)).await
    }

    async fn mark_started(&self, input: &str, partitions: &[i32]) -> Result<(), StoreError> {
        let (input, partitions) = (input.to_owned(), partitions.to_vec());
        self.db.write(move |tx| ledger::mark_started(tx, &input, &partitions)).await
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        self.db.read(listing::count_keys).await
    }
}
