//! Opens the key store and its vault for commands. Creates nothing.

use std::cell::RefCell;
use std::sync::Arc;

use super::progress::Progress;
use super::runtime;
use crate::app::{CurrentKeys, Failure, Foundation, Opening, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::ClientSettings;
use crate::keys::{ReadStore, SealStore};
use crate::reader::FindKey;
use crate::stream::Stop;
use crate::telemetry::Registry;

/// Opens the key store of this configuration.
pub fn store(config: &Config) -> anyhow::Result<Arc<dyn ReadStore>> {
    Ok(open(config)?.store)
}

/// Opens the key store of this configuration to write what a sealer may write.
pub fn sealing(config: &Config) -> anyhow::Result<Arc<dyn SealStore>> {
    Ok(open(config)?.store)
}

/// Finds keys for records that do not come from a broker, so there are no receipts to check.
pub fn finder(config: &Config) -> anyhow::Result<Arc<dyn FindKey>> {
    Ok(open(config)?.finder())
}

/// Opens the keys of a store that has every erasure of its receipts.
///
/// # Errors
/// 78 for a store that is behind its receipts, 69 if that cannot be determined at the moment.
pub fn current(config: &Config, client: ClientSettings) -> anyhow::Result<CurrentKeys> {
    Ok(CurrentKeys::open(open(config)?, config, client, runtime::get()?.handle())?)
}

fn open(config: &Config) -> anyhow::Result<Foundation> {
    let said = RefCell::new(Progress::new("tries"));
    let opening = Opening {
        clock: Arc::new(SystemClock),
        create: false,
        runtime: runtime::get()?.handle(),
        registry: &Registry::default(),
        waits: &|why| said.borrow_mut().waits(Some(&why.to_string())),
        stop: &Stop::default(),
    };
    let hinted = |failure: Failure| match failure.hint {
        Some(_) => failure,
        None => {
            failure.hint("check [store] and [kek]; `hourseal run` creates files, `store init` a keyspace")
        }
    };
    Ok(open_foundation(config, opening).map_err(hinted)?)
}
