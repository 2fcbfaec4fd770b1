//! What every command rests on: the key store and the KEK vault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;
use crate::config::{Config, Store};
use crate::edge::clock::SystemClock;
use crate::edge::kafka::ClientSettings;
use crate::edge::kek::FileVault;
use crate::edge::sqlite::{OpenOptions, SqliteStore};
use crate::keys::{KekVault, KeyStore, StoreError};
use crate::model::Clock;

/// The store's own limit of a lease, seeded once (60 s).
const MAX_LEASE_MS: u64 = 60_000;
/// How long a locked store is waited for at start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Store, vault and clock, opened.
#[derive(Clone)]
pub struct Foundation {
    pub store: Arc<dyn KeyStore>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
}

/// Opens the key store and the vault; `create` makes what is missing (files 0600, folders 0700).
///
/// # Errors
/// 78 where one is not ours or may be read by others, 69 where the store stays locked.
pub fn open_foundation(config: &Config, clock: Arc<dyn Clock>, create: bool) -> Result<Foundation, Failure> {
    let (path, root) = (&config.kek.path, &config.kek.root_key_file);
    let vault = if create { FileVault::open_or_create(path, root) } else { FileVault::open(path, root) }?;
    let Store::Sqlite { path } = &config.store;
    let until = Instant::now() + PATIENCE;
    let store = loop {
        let options = OpenOptions {
            vault: vault.id(),
            default_retention: config.retention.default,
            max_lease_ms: MAX_LEASE_MS,
            create,
            clock: Arc::clone(&clock),
        };
        match SqliteStore::open(path, options) {
            Err(StoreError::Unavailable(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(200));
            }
            outcome => break outcome?,
        }
    };
    Ok(Foundation { store: Arc::new(store), vault: Arc::new(vault), clock })
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
