//! What every command rests on: the key store and the KEK vault.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::Failure;
use crate::config::{Config, Scylla, Store as StoreConfig};
use crate::edge::clock::SystemClock;
use crate::edge::kafka::ClientSettings;
use crate::edge::kek::FileVault;
use crate::edge::scylla::{Credentials, Lifetimes, ScyllaOptions, ScyllaStore, SessionOptions, StoreMetrics};
use crate::edge::sqlite::{OpenOptions, SqliteStore};
use crate::edge::{scylla as cql, sqlite};
use crate::keys::{Finder, KekVault, Store, StoreError};
use crate::model::{Clock, VaultId};
use crate::reader::FindKey;
use crate::telemetry::Registry;

/// The store's own limit of a lease, seeded once (60 s).
const MAX_LEASE_MS: u64 = 60_000;
/// How long a store that is locked or away is waited for at start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Store, vault and clock, opened.
#[derive(Clone)]
pub struct Foundation {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
}

impl Foundation {
    /// Finds keys for a reader, with nothing cached.
    pub fn finder(&self) -> Arc<dyn FindKey> {
        Arc::new(Finder::new(self.store.clone(), Arc::clone(&self.vault)))
    }
}

/// What opening needs besides the settings.
pub struct Opening<'a> {
    pub clock: Arc<dyn Clock>,
    /// Make what is missing of files and folders (0600, 0700). A store on a cluster is created by `store init` only.
    pub create: bool,
    /// Where a store on a cluster lives on.
    pub runtime: &'a Handle,
    /// Where a store on a cluster registers its metrics.
    pub registry: &'a Registry,
}

/// Opens the key store and the vault.
///
/// # Errors
/// 78 where one is not ours or may be read by others, 69 where the store stays locked or away.
pub fn open_foundation(config: &Config, opening: Opening<'_>) -> Result<Foundation, Failure> {
    let vault = open_vault(config, opening.create)?;
    let until = Instant::now() + PATIENCE;
    let kind = match &config.store {
        StoreConfig::Sqlite { path } => StoreKind::Sqlite(path),
        StoreConfig::Scylla(scylla) => StoreKind::Scylla(scylla, StoreMetrics::register(opening.registry)),
    };
    let store = loop {
        match open_store(config, &opening, &kind, vault.id()) {
            Err(StoreError::Unavailable(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(200));
            }
            outcome => break outcome?,
        }
    };
    Ok(Foundation { store, vault: Arc::new(vault), clock: opening.clock })
}

/// The vault of this configuration.
///
/// # Errors
/// 78 where it is not there, not ours, or may be read by others.
pub fn open_vault(config: &Config, create: bool) -> Result<FileVault, Failure> {
    let (path, root) = (&config.kek.path, &config.kek.root_key_file);
    Ok(if create { FileVault::open_or_create(path, root) } else { FileVault::open(path, root) }?)
}

/// Which store is opened; metrics are registered once, however often it is tried.
enum StoreKind<'a> {
    Sqlite(&'a Path),
    Scylla(&'a Scylla, StoreMetrics),
}

fn open_store(
    config: &Config,
    opening: &Opening<'_>,
    kind: &StoreKind<'_>,
    vault: VaultId,
) -> Result<Arc<dyn Store>, StoreError> {
    let clock = Arc::clone(&opening.clock);
    match kind {
        StoreKind::Sqlite(path) => {
            let options = sqlite_options(config, vault, opening.create, clock);
            Ok(Arc::new(SqliteStore::open(path, options)?))
        }
        StoreKind::Scylla(scylla, metrics) => {
            let options = scylla_options(config, scylla, vault, clock, metrics.clone());
            Ok(Arc::new(opening.runtime.block_on(ScyllaStore::open(options))?))
        }
    }
}

/// How the SQLite edge opens, creates and checks this configuration's store.
pub fn sqlite_options(config: &Config, vault: VaultId, create: bool, clock: Arc<dyn Clock>) -> OpenOptions {
    OpenOptions {
        vault,
        default_retention: config.retention.default,
        max_lease_ms: MAX_LEASE_MS,
        create,
        steps: sqlite::STEPS,
        clock,
    }
}

/// How the CQL edge opens, creates and checks this configuration's store.
pub fn scylla_options(
    config: &Config,
    scylla: &Scylla,
    vault: VaultId,
    clock: Arc<dyn Clock>,
    metrics: StoreMetrics,
) -> ScyllaOptions {
    let credentials = |(user, password_file): (String, _)| Credentials { user, password_file };
    ScyllaOptions {
        session: SessionOptions {
            contact_points: scylla.contact_points.clone(),
            datacenter: scylla.datacenter.clone(),
            tls_ca_file: scylla.tls_ca_file.clone(),
            tls_client: scylla.tls_client.clone(),
            credentials: scylla.login.clone().map(credentials),
        },
        keyspace: scylla.keyspace.clone(),
        replication: scylla.replication,
        vault,
        default_retention: config.retention.default,
        max_lease_ms: MAX_LEASE_MS,
        lifetimes: Lifetimes::default(),
        steps: cql::STEPS,
        clock,
        metrics,
    }
}

/// The system's clock as every room takes it.
pub(super) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// How the Kafka edge reaches the cluster.
pub fn client_settings(config: &Config) -> ClientSettings {
    ClientSettings {
        bootstrap: config.kafka.bootstrap.clone(),
        client: config.kafka.client(),
        consumer: config.kafka.consumer().clone(),
        producer: config.kafka.producer().clone(),
    }
}

/// The runtime of the store, HTTP and signals. Lanes are plain threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Failure::new(Failure::DEPENDENCY, format!("cannot start the runtime: {error}")))
}
