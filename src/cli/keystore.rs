//! The key store and its vault, opened for reading commands: nothing is created.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::runtime;
use crate::app::{Failure, Foundation, Opening, client_settings, open_foundation};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::{ClientSettings, ReceiptTail};
use crate::forget::ensure_current;
use crate::keys::{Finder, KeyStore};
use crate::reader::FindKey;
use crate::telemetry::Telemetry;

/// The key store of this configuration.
pub fn store(config: &Config) -> anyhow::Result<Arc<dyn KeyStore>> {
    Ok(open(config)?.store)
}

/// Finds keys for an opener of records that come from no broker, so that there are no receipts to ask.
pub fn finder(config: &Config) -> anyhow::Result<Arc<dyn FindKey>> {
    Ok(finder_of(&open(config)?))
}

fn finder_of(foundation: &Foundation) -> Arc<dyn FindKey> {
    Arc::new(Finder::new(Arc::clone(&foundation.store), Arc::clone(&foundation.vault)))
}

/// How long a look at the receipts holds for who reads on: a copy may be put back meanwhile.
const LOOKS: Duration = Duration::from_secs(15);

/// The keys of a store that has every erasure of which its receipts tell.
pub struct CurrentKeys {
    foundation: Foundation,
    client: ClientSettings,
    receipts: String,
    looked: Instant,
}

impl CurrentKeys {
    /// Opens the store and looks.
    ///
    /// # Errors
    /// 78 for a store that is behind its receipts, 69 where that is not known for now.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let (client, receipts) = (client_settings(config), config.topics.receipts.clone());
        let mut keys = Self { foundation: open(config)?, client, receipts, looked: Instant::now() };
        keys.look()?;
        Ok(keys)
    }

    pub fn finder(&self) -> Arc<dyn FindKey> {
        finder_of(&self.foundation)
    }

    /// Looks again where the last look is old.
    ///
    /// # Errors
    /// As [`CurrentKeys::open`]'s: nothing more may be opened.
    pub fn ensure(&mut self) -> anyhow::Result<()> {
        if self.looked.elapsed() < LOOKS { Ok(()) } else { self.look() }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        #[cfg(feature = "testkit")]
        if crate::testkit::guard_off() {
            return Ok(());
        }
        let began = Instant::now();
        let Foundation { store, vault, .. } = &self.foundation;
        let mut tail = ReceiptTail::connect(&self.client, &self.receipts).map_err(Failure::from)?;
        ensure_current(&mut tail, store, vault, runtime::get()?.handle()).map_err(Failure::from)?;
        self.looked = began;
        Ok(())
    }
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
