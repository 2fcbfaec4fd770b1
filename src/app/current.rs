//! Keys for processes that only read. They check at the start, and then repeatedly, that the store has every
//! erasure of its receipts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Failure, Foundation};
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, ReceiptTail};
use crate::forget::ensure_fresh;
use crate::reader::FindKey;

/// Time for which a check of the receipts is valid: an operator may restore a copy of the store meanwhile.
const LOOKS: Duration = Duration::from_secs(15);

/// The keys of a store that has every erasure of its receipts.
pub struct CurrentKeys {
    foundation: Foundation,
    client: ClientSettings,
    receipts: String,
    runtime: Handle,
    looked: Instant,
}

impl CurrentKeys {
    /// Checks the store against its receipts. Blocks, as [`CurrentKeys::ensure`] does.
    ///
    /// # Errors
    /// 78 for a store that is behind them, 69 if that cannot be determined at the moment.
    pub fn open(
        foundation: Foundation,
        config: &Config,
        client: ClientSettings,
        runtime: &Handle,
    ) -> Result<Self, Failure> {
        let mut keys = Self {
            foundation,
            client,
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

    /// Checks again if the last check is too old.
    ///
    /// # Errors
    /// Those of [`CurrentKeys::open`]: the caller must not open anything more.
    pub fn ensure(&mut self) -> Result<(), Failure> {
        if self.looked.elapsed() < LOOKS { Ok(()) } else { self.look() }
    }

    fn look(&mut self) -> Result<(), Failure> {
        if is_off!("guard") {
            return Ok(());
        }
        self.client.await_broker()?;
        let began = Instant::now();
        let Foundation { store, vault, .. } = &self.foundation;
        let mut tail = ReceiptTail::connect(&self.client, &self.receipts)?;
        ensure_fresh(&mut tail, &**store, vault, &self.runtime)?;
        self.looked = began;
        Ok(())
    }
}
