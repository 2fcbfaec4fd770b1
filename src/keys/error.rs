//! Why a key was not given, though nothing says that it is gone.

use crate::model::{ClocksApart, KekId, KeyId};

use super::{StoreError, VaultError};

/// Why this room gave no answer. Nothing may be assumed: callers wait, and `/readyz` says why. No text names a customer.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    ClocksApart(#[from] ClocksApart),
    /// What either of them wrapped, the other could not unwrap.
    #[error("the KEK {0} of this vault is not the one that the key store registered")]
    KekDiffers(KekId),
    #[error("the KEK {0} is registered in the key store but the vault has none")]
    KekMissing(KekId),
    #[error("the KEK {0} is about to be destroyed and wraps nothing new")]
    KekClosing(KekId),
    #[error("the KEK {0} is destroyed")]
    KekDestroyed(KekId),
    /// The row was altered, or belongs to another slot or KEK.
    #[error("the wrapped key {0} does not unwrap to what its row commits to")]
    WrongKey(KeyId),
    #[error("a row of the key store contradicts itself: {0}")]
    Contradiction(&'static str),
    #[error("an hour's gate changed {0} times while its keys were minted or wrapped")]
    Contended(u32),
}
