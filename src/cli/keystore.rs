//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Exit, Failure};
use crate::config::{Config, Store};
use crate::edge::clock::SystemClock;
use crate::edge::kek::FileVault;
use crate::edge::sqlite::{OpenOptions, SqliteStore};
use crate::keys::{Finder, KekVault, KeyStore, Lookup, StoreError, VaultError};
use crate::model::{CustomerId, Generation, Hour, KeyId};
use crate::reader::{Answer, FindKey};

/// The key store of this configuration.
pub fn store(config: &Config) -> Result<Arc<dyn KeyStore>, Failure> {
    Ok(open(config)?.0)
}

/// Finds keys for an opener.
pub fn finder(config: &Config) -> Result<Arc<dyn FindKey>, Failure> {
    let (store, vault) = open(config)?;
    Ok(Arc::new(Keys(Finder::new(store, vault))))
}

fn open(config: &Config) -> Result<(Arc<dyn KeyStore>, Arc<dyn KekVault>), Failure> {
    let vault = FileVault::open(&config.kek.path, &config.kek.root_key_file)?;
    let options = OpenOptions {
        vault: vault.id(),
        default_retention: config.retention.default,
        max_lease_ms: u64::try_from(config.ring.lease.as_millis()).unwrap_or(u64::MAX),
        create: false,
        clock: Arc::new(SystemClock),
    };
    let Store::Sqlite { path } = &config.store;
    Ok((Arc::new(SqliteStore::open(path, options)?), Arc::new(vault)))
}

/// The key room's answers in the reader's words.
struct Keys(Finder);

#[async_trait]
impl FindKey for Keys {
    async fn find(&self, customer: &CustomerId, hour: Hour, generation: Generation, key_id: KeyId) -> Answer {
        match self.0.find(customer, hour, generation, key_id).await {
            Lookup::Key(key) => Answer::Key(key),
            Lookup::Erased { command } => Answer::Erased { command },
            Lookup::ErasedByTtl => Answer::ErasedByTtl,
            Lookup::Gone => Answer::Gone,
            Lookup::NoSuchKey => Answer::NoSuchKey,
            Lookup::WrongKey => Answer::WrongKey,
            Lookup::Unavailable(_) => Answer::Unavailable,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = match &error {
            StoreError::Unavailable(_) => (Exit::Dependency, "another process may hold it; try again"),
            StoreError::Unusable(_) => {
                (Exit::Config, "check `store.path` and its mode; `hourseal run` creates a new store")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let (exit, hint) = match &error {
            VaultError::Unavailable(_) => (Exit::Dependency, "check the volume that holds `kek.path`"),
            VaultError::Unusable(_) => {
                (Exit::Config, "check `kek.path` and `kek.root_key_file` and their modes")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}
