//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;

use crate::app::{Failure, Foundation, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::keys::{Finder, KeyStore};
use crate::reader::FindKey;

/// The key store of this configuration.
pub fn store(config: &Config) -> Result<Arc<dyn KeyStore>, Failure> {
    Ok(open(config)?.store)
}

/// Finds keys for an opener.
pub fn finder(config: &Config) -> Result<Arc<dyn FindKey>, Failure> {
    let Foundation { store, vault, .. } = open(config)?;
    Ok(Arc::new(Finder::new(store, vault)))
}

fn open(config: &Config) -> Result<Foundation, Failure> {
    let foundation = open_foundation(config, Arc::new(SystemClock), false);
    foundation.map_err(|failure| match failure.hint {
        Some(_) => failure,
        None => failure.hint("check [store] and [kek]; `hourseal run` creates what is missing"),
    })
}
