//! The key store of a fleet: ScyllaDB, or Apache Cassandra, over CQL (`schemas/keystore.cql`).
//!
//! Promise: every decision goes through one conditional statement on one partition. A true `[applied]` is
//! final. A refusal is judged by the rows, never by `[applied]` alone. A SERIAL read settles an unknown
//! outcome, with the same candidate. Not here: the rules of a slot (`keys`), wrapping (`envelope`). Start at
//! [`ScyllaStore::open`]. `mint.rs` seals, `forget.rs` erases, `decide.rs` keeps decisions, `read.rs` lists,
//! `ask.rs` sends statements to the server. Each file prepares the statements that it executes.

mod ask;
mod cells;
mod check;
mod decide;
mod definition;
mod due;
mod fault;
mod forget;
mod holds;
mod lifetime;
mod lists;
mod login;
mod metrics;
mod mint;
mod names;
mod open;
mod overwrite;
mod placement;
mod prepare;
mod read;
mod rewrap;
mod roles;
mod rows;
mod scan;
mod schema;
mod seen;
mod server;
mod session;
mod settings;
mod slots;
mod sweep;
mod upgrade;

use std::sync::Arc;

use self::ask::Ask;
pub use self::check::check;
pub use self::lifetime::Lifetimes;
pub use self::login::Credentials;
pub use self::metrics::StoreMetrics;
use self::names::Names;
pub use self::open::{ScyllaOptions, init};
use self::prepare::Preparer;
pub use self::roles::create_roles;
pub use self::schema::{STEPS, Step};
pub use self::session::SessionOptions;
use crate::keys::{StoreError, TokenKey};
use crate::model::Clock;

/// Number of partitions that one call reads or writes at a time.
const AT_ONCE: usize = 128;

/// A key store in one keyspace.
pub struct ScyllaStore {
    ask: Ask,
    statements: Statements,
    token_key: Arc<TokenKey>,
    /// The schema version that this program uses.
    schema: u32,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    names: Names,
    /// Id of this process's row in the `probe` table.
    probe: String,
}

/// Every statement, by the file that executes it.
struct Statements {
    decide: decide::Statements,
    due: due::Statements,
    forget: forget::Statements,
    holds: holds::Statements,
    lists: lists::Statements,
    mint: mint::Statements,
    overwrite: overwrite::Statements,
    placement: placement::Statements,
    read: read::Statements,
    rewrap: rewrap::Statements,
    scan: scan::Statements,
    slots: slots::Statements,
}

impl Statements {
    /// # Errors
    /// [`StoreError::Unusable`] if they do not fit the schema, or if rights are missing.
    async fn prepare(preparer: &Preparer<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            decide: decide::Statements::prepare(preparer).await?,
            due: due::Statements::prepare(preparer).await?,
            forget: forget::Statements::prepare(preparer).await?,
            holds: holds::Statements::prepare(preparer).await?,
            lists: lists::Statements::prepare(preparer).await?,
            mint: mint::Statements::prepare(preparer).await?,
            overwrite: overwrite::Statements::prepare(preparer).await?,
            placement: placement::Statements::prepare(preparer).await?,
            read: read::Statements::prepare(preparer).await?,
            rewrap: rewrap::Statements::prepare(preparer).await?,
            scan: scan::Statements::prepare(preparer).await?,
            slots: slots::Statements::prepare(preparer).await?,
        })
    }
}
