//! Finding the key of a sealed record. "No key" is never one thing.

use std::sync::Arc;

use crate::envelope::SealKey;
use crate::model::{CustomerId, Digest, Generation, Hour, KeyId, Slot};

use super::standing::forbidden;
use super::{Found, KekVault, Keks, KeyRow, KeyState, KeysError, ReadStore, SlotRef};

/// What is known of an envelope's key.
pub enum Lookup {
    Key(SealKey),
    /// Erased by this command; the erased row's key_id is the envelope's.
    Erased {
        command: Digest,
    },
    /// Overwritten by the fail-safe, or its KEK was destroyed before anybody erased it.
    ErasedByTtl,
    /// Forgotten for good: the hour is below the floor or fenced, and its rows have expired; or the customer
    /// was closed.
    Gone,
    /// Never minted here: another store, or a forged envelope.
    NoSuchKey,
    /// The slot has another key than the envelope names, or one that is not what its row commits to.
    WrongKey,
    /// Nothing is known for now; asking again may help.
    Unavailable(KeysError),
}

/// Finds keys for readers. It mints nothing and creates no KEK.
pub struct Finder {
    store: Arc<dyn ReadStore>,
    keks: Keks,
}

impl Finder {
    pub fn new(store: Arc<dyn ReadStore>, vault: Arc<dyn KekVault>) -> Self {
        let keks = Keks::new(store.clone(), vault);
        Self { store, keks }
    }

    /// The key of the envelope that names `key_id`, or why there is none.
    pub async fn find(
        &self,
        customer: &CustomerId,
        hour: Hour,
        generation: Generation,
        key_id: KeyId,
    ) -> Lookup {
        let place = SlotRef { token: self.store.token(customer), hour, generation };
        let found = match self.store.fetch(&[place]).await {
            Ok(mut found) => found.pop().expect("one answer for one slot"),
            Err(error) => return Lookup::Unavailable(error.into()),
        };
        match found.key {
            None => without_row(&found, hour),
            Some(row) if row.key_id != key_id => Lookup::WrongKey,
            Some(row) => self.with_row(&Slot { customer: customer.clone(), hour, generation }, &row).await,
        }
    }

    async fn with_row(&self, slot: &Slot, row: &KeyRow) -> Lookup {
        match (row.state, row.command) {
            (KeyState::Live, _) => self.live(slot, row).await,
            (KeyState::Erased, Some(command)) => Lookup::Erased { command },
            (KeyState::Erased, None) => {
                Lookup::Unavailable(KeysError::Contradiction("a key erased by no command"))
            }
            (KeyState::ErasedByTtl, _) => Lookup::ErasedByTtl,
        }
    }

    async fn live(&self, slot: &Slot, row: &KeyRow) -> Lookup {
        match self.keks.open(slot, row).await {
            Ok(seal) => Lookup::Key(seal),
            Err(KeysError::WrongKey(_)) => Lookup::WrongKey,
            Err(KeysError::KekDestroyed(_)) => Lookup::ErasedByTtl,
            Err(error) => Lookup::Unavailable(error),
        }
    }
}

/// Whether a slot without a row was forgotten or never was.
fn without_row(found: &Found, hour: Hour) -> Lookup {
    match forbidden(hour, found.customer.as_ref(), found.gate.as_ref()) {
        Some(_) => Lookup::Gone,
        None => Lookup::NoSuchKey,
    }
}
