//! The KEK vault's contract: where the keys that wrap DEKs live, apart from the key store.

use async_trait::async_trait;

use crate::envelope::Kek;
use crate::model::{KekId, VaultId};

/// Why the vault did not give a KEK.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Away or not readable for now: wait and ask again.
    #[error("the KEK vault is unavailable: {0}")]
    Unavailable(String),
    /// Permissions, form or authenticity are wrong: a person has to look.
    #[error("the KEK vault is not usable: {0}")]
    Unusable(String),
}

/// Keeps KEKs. An id that the store calls destroyed is never created again: callers ask the store first.
#[async_trait]
pub trait KekVault: Send + Sync + 'static {
    fn id(&self) -> VaultId;

    /// The KEK of this id; `None` when the vault has none.
    async fn find(&self, id: &KekId) -> Result<Option<Kek>, VaultError>;

    /// Destroys the KEK of this id for good, where there is one, and looks that it is gone. Durable when it answers: in
    /// words for receipts, what was done.
    async fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError>;

    /// Creates the KEK of this id, or adopts it where another process was first. Durable when it answers.
    async fn create(&self, id: &KekId) -> Result<Kek, VaultError>;
}
