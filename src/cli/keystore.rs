//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;

use super::runtime;
use crate::app::{CurrentKeys, Failure, Foundation, Opening, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::keys::ReadStore;
use crate::reader::FindKey;
use crate::telemetry::Registry;

/// The key store of this configuration.
pub fn store(config: &Config) -> anyhow::Result<Arc<dyn ReadStore>> {
    Ok(open(config)?.store)
}

/// Finds keys for an opener of records that come from no broker, so that there are no receipts to ask.
pub fn finder(config: &Config) -> anyhow::Result<Arc<dyn FindKey>> {
    Ok(open(config)?.finder())
}

/// The keys of a store that has every erasure of which its receipts tell.
///
/// # Errors
/// 78 for a store that is behind its receipts, 69 where that is not known for now.
pub fn current(config: &Config) -> anyhow::Result<CurrentKeys> {
    Ok(CurrentKeys::open(open(config)?, config, runtime::get()?.handle())?)
}

fn open(config: &Config) -> anyhow::Result<Foundation> {
    let opening = Opening {
        clock: Arc::new(SystemClock),
        create: false,
        runtime: runtime::get()?.handle(),
        registry: &Registry::default(),
    };
    let hinted = |failure: Failure| match failure.hint {
        Some(_) => failure,
        None => {
            failure.hint("check [store] and [kek]; `hourseal run` creates files, `store init` a keyspace")
        }
    };
    Ok(open_foundation(config, opening).map_err(hinted)?)
}
