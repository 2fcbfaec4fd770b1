//! Finds the key of a sealed record. "No key" has several causes, which are kept apart.

use std::sync::Arc;

use crate::envelope::SealKey;
use crate::model::{CustomerId, Digest, Generation, Hour, KeyId, Slot};

use super::standing::forbidden;
use super::{Found, KekVault, Keks, KeyRow, KeyState, KeysError, ReadStore, SlotRef};

/// The result of a lookup of an envelope's key.
pub enum Lookup {
    Key(SealKey),
    /// Erased by this command. The erased row has the envelope's key_id.
    Erased {
        command: Digest,
    },
    /// Overwritten by the fail-safe, or its KEK was destroyed before a command erased the key.
    ErasedByTtl,
    /// Forgotten permanently: the hour is below the floor or fenced and has no row for the key, or the
    /// customer was closed.
    Gone,
    /// Never minted in this store: the envelope belongs to another store or is forged.
    NoSuchKey,
    /// The slot's key is not the one that the envelope names, or not the one that its row commits to.
    WrongKey,
    /// Nothing is known now. A retry may help.
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

    /// The key of the envelope that names `key_id`, or the reason why there is none.
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
                Lookup::Unavailable(KeysError::Contradiction("an erased key without a command"))
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

/// Decides whether a slot without a row was forgotten or never existed.
fn without_row(found: &Found, hour: Hour) -> Lookup {
    match forbidden(hour, found.customer.as_ref(), found.gate.as_ref()) {
        Some(_) => Lookup::Gone,
        None => Lookup::NoSuchKey,
    }
}
