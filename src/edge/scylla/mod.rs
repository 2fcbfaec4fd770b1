//! The key store of a fleet: ScyllaDB, or Apache Cassandra, over CQL (`schemas/keystore.cql`).
//!
//! Promise: every decision goes through one conditional statement on one partition; its outcome is told by what is then in
//! the row, never by `[applied]` alone; an unknown outcome is settled by a SERIAL read with the same candidate.
//! Not here: what a slot may do (`keys`), wrapping (`envelope`).
//! Start at [`ScyllaStore::open`]; `mint.rs` decides races, `forget.rs` erases, `ask.rs` speaks to the server.

mod ask;
mod cells;
mod check;
mod definition;
mod due;
mod fault;
mod forget;
mod holds;
mod ledger;
mod lifetime;
mod listing;
mod mint;
mod open;
mod recent;
mod rewrap;
mod roles;
mod rows;
mod schema;
mod server;
mod session;
mod settings;
mod statements;
mod sweep;
mod upgrade;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use self::ask::Ask;
pub use self::check::check;
pub use self::lifetime::Lifetimes;
pub use self::open::{ScyllaOptions, init};
use self::recent::Recent;
pub use self::roles::create_roles;
pub use self::schema::{STEPS, Step};
pub use self::session::{Credentials, SessionOptions};
use self::statements::Statements;
use crate::keys::{
    Candidate, Customer, DueHour, Erasure, Fence, Found, Hold, HoldId, HourRow, KekRow, KekState, KeyStore,
    Meta, Minted, Placed, Rewrap, SlotRef, StoreError, Stored, TokenKey,
};
use crate::model::{Clock, CustomerId, Digest, Due, Hour, KekId, Millis, Retention, Token};

/// How many partitions one call reads or writes at a time.
const AT_ONCE: usize = 128;

/// A key store in one keyspace.
pub struct ScyllaStore {
    ask: Ask,
    say: Statements,
    token_key: TokenKey,
    /// The schema version that this program uses.
    schema: u32,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    recent: Recent,
    /// Names this process's row of the `probe` table.
    probe: String,
}

#[async_trait]
impl KeyStore for ScyllaStore {
    async fn now(&self) -> Result<Millis, StoreError> {
        self.server_now().await
    }

    /// One lightweight transaction: a majority of replicas can be written to.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.write_probe().await
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        self.read_meta().await
    }

    fn token(&self, customer: &CustomerId) -> Token {
        self.token_key.token(customer)
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        self.token_key.digest(bytes)
    }

    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        self.fetch_slots(slots).await
    }

    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
        self.mint_candidates(candidates, now).await
    }

    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
        self.register(id, check).await
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        self.read_kek(id, &self.say.kek).await
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        self.advance(id, to).await
    }

    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        self.list_keks().await
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        self.count_live().await
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        self.list_under(kek, limit).await
    }

    async fn rewrap(&self, terms: &Rewrap, now: Millis) -> Result<Option<HourRow>, StoreError> {
        self.rewrap_hour(terms, now).await
    }

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        self.read_customer(token).await
    }

    /// In the order in which the cluster keeps them, which is the same each time and no other.
    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        self.list_customers(after, limit).await
    }

    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        self.list_hours(token, from, to).await
    }

    async fn due_hours(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        self.list_due(until, after, limit).await
    }

    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
        self.fence_hour(token, hour, due, command).await
    }

    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, now: Millis) -> Result<(), StoreError> {
        self.keep_fence_of(token, hour, due, now).await
    }

    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        self.erase_hour(token, hour, command, now).await
    }

    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        self.forget_hours(hours, command, now).await
    }

    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        self.place(hold).await
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        self.release(id).await
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        self.read_hold(id).await
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.list_holds().await
    }

    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        self.write_retention(token, seen, to).await
    }

    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        self.write_floor(token, floor).await
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        self.write_closed(token).await
    }

    /// Also deletes what its TTL would take later.
    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError> {
        self.delete_markers(until).await
    }

    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        self.overwrite_due(until, now).await
    }

    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        self.write_verdict(digest, id, body).await
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_verdict(digest).await
    }

    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        self.move_mark(offset).await
    }

    async fn started(&self, input: &str) -> Result<Vec<i32>, StoreError> {
        self.read_started(input).await
    }

    async fn mark_started(&self, input: &str, partitions: &[i32]) -> Result<(), StoreError> {
        self.write_started(input, partitions).await
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        self.count().await
    }
}
