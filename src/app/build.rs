//! Opens the key store and the KEK vault, which every command needs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::Failure;
use super::login::login;
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
use crate::stream::Stop;
use crate::telemetry::Registry;

/// The longest lease that the store allows; written into a new store once (60 s).
const MAX_LEASE_MS: u64 = 60_000;
/// Longest wait at start for a store that is locked or unreachable.
const PATIENCE: Duration = Duration::from_secs(30);

/// Store, vault and clock, opened.
#[derive(Clone)]
pub struct Foundation {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
}

impl Foundation {
    /// Finds keys for a reader, without a cache.
    pub fn finder(&self) -> Arc<dyn FindKey> {
        Arc::new(Finder::new(self.store.clone(), Arc::clone(&self.vault)))
    }
}

/// The dependencies of opening, besides the settings.
pub struct Opening<'a> {
    pub clock: Arc<dyn Clock>,
    /// Create missing files (0600) and folders (0700). Only `store init` creates a store on a cluster.
    pub create: bool,
    /// The runtime of a store on a cluster.
    pub runtime: &'a Handle,
    /// The registry for the metrics of a store on a cluster.
    pub registry: &'a Registry,
    /// Called each time with the reason why the store cannot be opened yet.
    pub waits: &'a dyn Fn(&StoreError),
    /// Ends the wait for a locked or unreachable store.
    pub stop: &'a Stop,
}

/// Opens the key store and the vault.
///
/// # Errors
/// 78 if one of them is not ours or other users can read it, 69 if the store stays locked or unreachable.
pub fn open_foundation(config: &Config, opening: Opening<'_>) -> Result<Foundation, Failure> {
    let vault = open_vault(config, opening.create)?;
    let until = Instant::now() + PATIENCE;
    let kind = match &config.store {
        StoreConfig::Sqlite { path } => StoreKind::Sqlite(path),
        StoreConfig::Scylla(scylla) => StoreKind::Scylla(scylla, StoreMetrics::register(opening.registry)),
    };
    let store = loop {
        match open_store(config, &opening, &kind, vault.id()) {
            Err(why @ StoreError::Unavailable(_)) if Instant::now() < until && !opening.stop.requested() => {
                (opening.waits)(&why);
                std::thread::sleep(Duration::from_millis(200));
            }
            outcome => break outcome?,
        }
    };
    Ok(Foundation { store, vault: Arc::new(vault), clock: opening.clock })
}

/// Opens the vault of this configuration.
///
/// # Errors
/// 78 if it is missing, not ours, or readable by other users.
pub fn open_vault(config: &Config, create: bool) -> Result<FileVault, Failure> {
    let (path, root) = (&config.kek.path, &config.kek.root_key_file);
    Ok(if create { FileVault::open_or_create(path, root) } else { FileVault::open(path, root) }?)
}

/// The store to open. Its metrics are registered once, for all tries.
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

/// The options with which the SQLite edge opens, creates and checks this configuration's store.
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

/// The options with which the CQL edge opens, creates and checks this configuration's store.
pub fn scylla_options(
    config: &Config,
    scylla: &Scylla,
    vault: VaultId,
    clock: Arc<dyn Clock>,
    metrics: StoreMetrics,
) -> ScyllaOptions {
    ScyllaOptions {
        session: session_options(scylla),
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

pub(super) fn session_options(scylla: &Scylla) -> SessionOptions {
    let credentials = |(user, password_file): (String, _)| Credentials { user, password_file };
    SessionOptions {
        contact_points: scylla.contact_points.clone(),
        datacenter: scylla.datacenter.clone(),
        tls_ca_file: scylla.tls_ca_file.clone(),
        tls_client: scylla.tls_client.clone(),
        credentials: scylla.login.clone().map(credentials),
    }
}

/// The system's clock, as all rooms use it.
pub(super) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The settings with which the Kafka edge connects to the cluster.
pub fn client_settings(config: &Config) -> ClientSettings {
    ClientSettings {
        bootstrap: config.kafka.bootstrap.clone(),
        client: config.kafka.client(),
        consumer: config.kafka.consumer().clone(),
        producer: config.kafka.producer().clone(),
        login: login(config),
        debug: config.log.level.is_debug(),
        ..ClientSettings::default()
    }
}

/// The runtime for the store, HTTP and signals. Lanes are plain threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Failure::new(Failure::DEPENDENCY, format!("cannot start the runtime: {error}")))
}
