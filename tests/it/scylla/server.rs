//! A keyspace on the server under test, and CQL sessions to it that do not use the store.

use std::sync::Arc;
use std::time::Duration;

use hourseal::edge::clock::SystemClock;
use hourseal::edge::scylla::{Lifetimes, STEPS, ScyllaOptions, SessionOptions, StoreMetrics};
use hourseal::model::*;
use hourseal::telemetry::Registry;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::NewSessionError;
use scylla::value::{CqlValue, Row};

use crate::world::random;

const SERVER: &str = "HOURSEAL_TEST_CQL";

/// Returns the addresses of the server under test; empty without a server.
pub fn contact_points() -> Vec<String> {
    let named = std::env::var(SERVER).unwrap_or_default();
    named.split(',').filter(|point| !point.is_empty()).map(str::to_owned).collect()
}

/// Returns the number of replicas of each row: three with at least three nodes, otherwise one.
pub fn replicas() -> u8 {
    if contact_points().len() >= 3 { 3 } else { 1 }
}

/// Whether there is a server. Prints a clear notice if there is none.
pub fn is_there() -> bool {
    let there = !contact_points().is_empty();
    if !there {
        println!("SKIPPED: {SERVER} names no server; `tests/run` starts one");
    }
    there
}

/// Returns the names of the schema's tables.
pub fn tables() -> impl Iterator<Item = &'static str> {
    let created = STEPS.iter().flat_map(|step| step.cql.split("CREATE TABLE IF NOT EXISTS ").skip(1));
    created.filter_map(|rest| rest.split_whitespace().next())
}

/// A test's own keyspace, which is dropped with this value, or a keyspace that another process created.
pub struct Cql {
    keyspace: String,
    ours: bool,
}

impl Cql {
    pub fn new() -> Self {
        Self { keyspace: format!("it_{}", hex::encode(random::<8>())), ours: true }
    }

    pub fn of(keyspace: &str) -> Self {
        Self { keyspace: keyspace.to_owned(), ours: false }
    }

    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    pub fn options(&self, vault: VaultId, default_retention: Retention) -> ScyllaOptions {
        ScyllaOptions {
            replication: replicas(),
            session: SessionOptions {
                contact_points: contact_points(),
                datacenter: None,
                tls_ca_file: None,
                tls_client: None,
                credentials: None,
            },
            keyspace: self.keyspace.clone(),
            vault,
            default_retention,
            max_lease_ms: 60_000,
            lifetimes: Lifetimes::default(),
            steps: STEPS,
            clock: Arc::new(SystemClock),
            metrics: StoreMetrics::register(&Registry::default()),
        }
    }

    /// Creates a keyspace that may be lost if the server crashes, for tests that empty it repeatedly.
    pub async fn fleeting() -> Self {
        let subject = Self::new();
        let replication =
            format!("{{'class': 'NetworkTopologyStrategy', 'replication_factor': {}}}", replicas());
        let keyspace = subject.keyspace();
        let create =
            format!("CREATE KEYSPACE {keyspace} WITH replication = {replication} AND durable_writes = false");
        subject.raw().await.query_unpaged(create, ()).await.expect("a keyspace");
        subject
    }

    /// Empties its tables, which is faster than creating them again.
    pub async fn empty(&self, raw: &Session) {
        for table in tables() {
            let truncate = format!("TRUNCATE {}.{table}", self.keyspace);
            raw.query_unpaged(truncate, ()).await.expect("it is emptied");
        }
    }

    /// Opens a session that is not the store's.
    pub async fn raw(&self) -> Session {
        session().await.expect("the server answers")
    }

    /// Runs CQL without the store. `{}` is replaced by the keyspace.
    pub async fn cql(&self, text: &str) -> Vec<Vec<Option<CqlValue>>> {
        let answer =
            self.raw().await.query_unpaged(text.replace("{}", &self.keyspace), ()).await.expect("valid CQL");
        if !answer.is_rows() {
            return Vec::new();
        }
        let rows = answer.into_rows_result().expect("rows");
        rows.rows::<Row>().expect("any row").map(|row| row.expect("readable").columns).collect()
    }
}

impl Drop for Cql {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let drop_it = format!("DROP KEYSPACE IF EXISTS {}", self.keyspace);
        let done = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime
                .block_on(async {
                    let session = session().await?;
                    session.query_unpaged(drop_it, ()).await?;
                    Ok::<_, Box<dyn std::error::Error>>(())
                })
                .map_err(|error| error.to_string())
        });
        if let Ok(Err(error)) = done.join() {
            println!("the keyspace was not dropped: {error}");
        }
    }
}

async fn session() -> Result<Session, NewSessionError> {
    let builder = SessionBuilder::new().known_nodes(contact_points()).fetch_schema_metadata(false);
    builder.schema_agreement_interval(Duration::from_millis(20)).build().await
}
