//! The CQL store: every claim of the conformance suite, on the server in `HOURSEAL_TEST_CQL` (one or more
//! host:port, separated by commas; `tests/run` starts a server). The tests of its special properties are in
//! the modules below.

mod faults;
mod fleet;
mod lifetimes;
mod listing;
mod pace;
mod schema;
mod server;
mod upgrade;

use std::sync::Arc;

use async_trait::async_trait;
use hourseal::edge::scylla::{ScyllaOptions, ScyllaStore, init};
use hourseal::keys::*;
use hourseal::model::*;

use crate::conformance::{Subject, conformance};
use crate::world::DAY;
pub use fleet::race as race_fleet;
pub use server::{Cql, replicas, tables};

conformance!(crate::scylla::Cql);

#[async_trait]
impl Subject for Cql {
    const NAME: &'static str = "cql";

    fn is_there() -> bool {
        server::is_there()
    }

    async fn fresh() -> Self {
        let subject = Self::new();
        init(&subject.options(VAULT, DAY)).await.expect("a new store");
        subject
    }

    async fn at(address: &str) -> Self {
        Self::of(address)
    }

    fn address(&self) -> String {
        self.keyspace().to_owned()
    }

    fn vault(&self) -> VaultId {
        VAULT
    }

    async fn open_as(&self, vault: VaultId, default: Retention) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(self.store(self.options(vault, default)).await?))
    }
}

/// Creates a store in a keyspace that does not exist yet or is empty.
pub async fn new_in(subject: &Cql, vault: VaultId) -> Arc<dyn Store> {
    init(&subject.options(vault, DAY)).await.expect("a new store");
    subject.open_as(vault, DAY).await.expect("it opens")
}

const VAULT: VaultId = VaultId([7; 16]);

impl Cql {
    pub async fn store(&self, options: ScyllaOptions) -> Result<ScyllaStore, StoreError> {
        ScyllaStore::open(options).await
    }
}
