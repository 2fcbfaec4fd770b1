//! Keys for who only reads, from a store that is made sure to be up to its receipts: at first, and now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::build::client_settings;
use super::{Failure, Foundation};
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, ReceiptTail};
use crate::forget::ensure_fresh;
use crate::reader::FindKey;

/// How long a look at the receipts holds for who reads on: a copy may be put back meanwhile.
const LOOKS: Duration = Duration::from_secs(15);

/// The keys of a store that has every erasure of which its receipts tell.
pub struct CurrentKeys {
    foundation: Foundation,
    client: ClientSettings,
    receipts: String,
    runtime: Handle,
    looked: Instant,
}

impl CurrentKeys {
    /// Looks at the store's receipts. Blocks, as [`CurrentKeys::ensure`] does.
    ///
    /// # Errors
    /// 78 for a store that is behind them, 69 where that is not known for now.
    pub fn open(foundation: Foundation, config: &Config, runtime: &Handle) -> Result<Self, Failure> {
        let mut keys = Self {
            foundation,
            client: client_settings(config),
            receipts: config.topics.receipts.clone(),
            runtime: runtime.clone(),
            looked: Instant::now(),
        };
        keys.look()?;
        Ok(keys)
    }

    pub fn finder(&self) -> Arc<dyn FindKey> {
        self.foundation.finder()
    }

    /// Looks again where the last look is old.
    ///
    /// # Errors
    /// As [`CurrentKeys::open`]'s: nothing more may be opened.
    pub fn ensure(&mut self) -> Result<(), Failure> {
        if self.looked.elapsed() < LOOKS { Ok(()) } else { self.look() }
    }

    fn look(&mut self) -> Result<(), Failure> {
        if is_off!("guard") {
            return Ok(());
        }
        let began = Instant::now();
        let Foundation { store, vault, .. } = &self.foundation;
        let mut tail = ReceiptTail::connect(&self.client, &self.receipts)?;
        ensure_fresh(&mut tail, &**store, vault, &self.runtime)?;
        self.looked = began;
        Ok(())
    }
}
