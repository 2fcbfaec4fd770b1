//! Errors that prevent an answer about a key. None of them means that the key is gone.

use crate::model::{ClocksApart, KekId, KeyId};

use super::{StoreError, VaultError};

/// Why this room gave no answer. Callers must assume nothing: they wait, and `/readyz` says why. No text
/// names a customer.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    ClocksApart(#[from] ClocksApart),
    /// Each of the two KEKs cannot unwrap the keys that the other has wrapped.
    #[error("the KEK {0} of this vault is not the one that the key store registered")]
    KekDiffers(KekId),
    #[error("the KEK {0} is registered in the key store, but the vault does not have it")]
    KekMissing(KekId),
    #[error("the KEK {0} is about to be destroyed and wraps no new keys")]
    KekClosing(KekId),
    #[error("the KEK {0} is destroyed")]
    KekDestroyed(KekId),
    /// The row was altered, or it belongs to another slot or KEK.
    #[error("the wrapped key {0} does not unwrap to the key that its row commits to")]
    WrongKey(KeyId),
    #[error("a row of the key store contradicts itself: {0}")]
    Contradiction(&'static str),
    #[error("an hour's gate changed {0} times while its keys were minted or wrapped")]
    Contended(u32),
}
