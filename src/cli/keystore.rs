//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;

use async_trait::async_trait;

use crate::app::{Failure, Foundation, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::keys::{Finder, KeyStore, Lookup};
use crate::model::{CustomerId, Generation, Hour, KeyId};
use crate::reader::{Answer, FindKey};

/// The key store of this configuration.
pub fn store(config: &Config) -> Result<Arc<dyn KeyStore>, Failure> {
    Ok(open(config)?.store)
}

/// Finds keys for an opener.
pub fn finder(config: &Config) -> Result<Arc<dyn FindKey>, Failure> {
    let Foundation { store, vault, .. } = open(config)?;
    Ok(Arc::new(Keys(Finder::new(store, vault))))
}

fn open(config: &Config) -> Result<Foundation, Failure> {
    let foundation = open_foundation(config, Arc::new(SystemClock), false);
    foundation.map_err(|failure| match failure.hint {
        Some(_) => failure,
        None => failure.hint("check [store] and [kek]; `hourseal run` creates what is missing"),
    })
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
