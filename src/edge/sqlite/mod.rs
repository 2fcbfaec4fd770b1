//! The embedded key store: one SQLite file of `schemas/keystore.sql`, shared by the processes of one host.
//!
//! Promise: a write is on disk when its call returns. No file of the store has an erased key's bytes. The
//! disk below may keep them; only destroying the KEK reaches those. Not here: the rules of a slot (`keys`),
//! wrapping (`envelope`). Start at [`SqliteStore::open`]. `mint.rs` seals, `forget.rs` erases, `decide.rs`
//! keeps decisions, `read.rs` lists.

mod db;
mod decide;
mod fault;
mod forget;
mod log;
mod mint;
mod open;
mod purge;
mod read;
mod rewrap;
mod rows;
mod schema;

use std::sync::Arc;

use self::db::Db;
pub use self::open::{OpenOptions, check, check_file, init};
pub use self::purge::purge;
pub use self::schema::{STEPS, Step};
use crate::keys::TokenKey;
use crate::model::Clock;

/// A key store in one file.
pub struct SqliteStore {
    db: Db,
    token_key: Arc<TokenKey>,
    /// The schema version that this program uses.
    schema: u32,
    clock: Arc<dyn Clock>,
}
