//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;

use super::runtime;
use crate::app::{Failure, Foundation, Opening, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::keys::{Finder, KeyStore};
use crate::reader::FindKey;
use crate::telemetry::Telemetry;

/// The key store of this configuration.
pub fn store(config: &Config) -> anyhow::Result<Arc<dyn KeyStore>> {
    Ok(open(config)?.store)
}

/// Finds keys for an opener.
pub fn finder(config: &Config) -> anyhow::Result<Arc<dyn FindKey>> {
    let Foundation { store, vault, .. } = open(config)?;
    Ok(Arc::new(Finder::new(store, vault)))
}

fn open(config: &Config) -> anyhow::Result<Foundation> {
    let opening = Opening {
        clock: Arc::new(SystemClock),
        create: false,
        runtime: runtime::get()?.handle(),
        metrics: Telemetry::new().store(),
    };
    let hinted = |failure: Failure| match failure.hint {
        Some(_) => failure,
        None => {
            failure.hint("check [store] and [kek]; `hourseal run` creates files, `store init` a keyspace")
        }
    };
    Ok(open_foundation(config, opening).map_err(hinted)?)
}
