//! Why an execution cannot go on.

use crate::keys::{KeysError, StoreError, VaultError};
use crate::model::{ClocksApart, Digest, KekId};
use crate::stream::{Wait, Waiting};

/// Why an execution cannot go on now. It waits and begins again; no receipt is written meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys could not be wrapped anew.
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Clocks(#[from] ClocksApart),
    #[error("the verdict stored for command {0} is not of this version")]
    Verdict(Digest),
    #[error(
        "receipt {0} says erased, but the key store says that its hours are not due, and nobody has signed that they go \
         early: a person has to look"
    )]
    Premature(Digest),
    #[error(
        "receipt {0} says that KEK {1} is destroyed, and the vault has it: a copy was put back, and a person has to look"
    )]
    KekIsBack(Digest, KekId),
    #[error("what receipt {0} says was applied again and is not confirmed by the key store")]
    NotRestored(Digest),
    #[error("{0}")]
    Trust(String),
    #[error("the task that executes commands ended")]
    TaskEnded,
}

impl ExecuteError {
    /// What the executor waits for, and why.
    pub(super) fn waiting(&self) -> Waiting {
        let cause = match self {
            Self::Store(_)
            | Self::Verdict(_)
            | Self::Premature(_)
            | Self::NotRestored(_)
            | Self::Keys(KeysError::Contradiction(_) | KeysError::Contended(_)) => Wait::Store,
            Self::Vault(_) | Self::KekIsBack(..) | Self::Keys(KeysError::Vault(_)) => Wait::Vault,
            Self::Keys(_) => Wait::Kek,
            Self::Clocks(_) => Wait::Clocks,
            Self::Trust(_) => Wait::Trust,
            Self::TaskEnded => Wait::Pending,
        };
        Waiting::new(cause, self.to_string())
    }
}

/// Tells what passes with time from what a person has to look at.
impl From<KeysError> for ExecuteError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::ClocksApart(error) => Self::Clocks(error),
            error => Self::Keys(error),
        }
    }
}
