//! The KEK vault's contract. The vault keeps the keys that wrap DEKs, separate from the key store.

use async_trait::async_trait;

use crate::envelope::Kek;
use crate::model::{KekId, VaultId};

/// Why the vault did not give a KEK.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The vault is unreachable or cannot be read now: wait and retry.
    #[error("the KEK vault is unavailable: {0}")]
    Unavailable(String),
    /// Its permissions, format or authenticity are wrong: a person has to check.
    #[error("the KEK vault is not usable: {0}")]
    Unusable(String),
    /// This KEK's permissions, format or authenticity are wrong. Other KEKs may be fine.
    #[error("a KEK of the vault is not usable: {0}")]
    Kek(String),
}

/// Keeps KEKs. Callers ask the store first, so that they never create an id again that it calls destroyed.
#[async_trait]
pub trait KekVault: Send + Sync + 'static {
    fn id(&self) -> VaultId;

    /// The KEK of this id; `None` if the vault does not have it.
    async fn find(&self, id: &KekId) -> Result<Option<Kek>, VaultError>;

    /// Destroys the KEK of this id permanently, if it exists, and checks that it is gone. The destruction is
    /// durable when the call returns. Returns a text for receipts that says what was done.
    async fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError>;

    /// Creates the KEK of this id, or adopts it if another process was first. Durable when the call returns.
    async fn create(&self, id: &KekId) -> Result<Kek, VaultError>;
}
