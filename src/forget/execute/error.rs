//! Errors of an execution.

use crate::keys::{KeysError, StoreError, VaultError};
use crate::model::{ClocksApart, Digest, KekId};
use crate::stream::{Wait, Waiting};

/// The reason why an execution cannot continue now. The executor waits and begins again. It writes no receipt
/// meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys could not be wrapped under another KEK.
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Clocks(#[from] ClocksApart),
    #[error("the stored decision on {0} does not fit this version or this record")]
    Verdict(Digest),
    #[error(
        "receipt {0} says erased, but the key store says that its hours are not due, and no signature allows \
         an early erasure: an operator must check both"
    )]
    Premature(Digest),
    #[error(
        "receipt {0} says that KEK {1} is destroyed, but the vault has it: a copy was restored, and an \
         operator must check the vault"
    )]
    KekIsBack(Digest, KekId),
    #[error("receipt {0} was applied again, but the key store does not confirm it")]
    NotRestored(Digest),
    #[error("{0}")]
    Trust(String),
    #[error("the task that executes commands ended")]
    TaskEnded,
}

impl ExecuteError {
    /// Whether only one customer's commands, or one KEK, need what is not usable. The rest of the store and
    /// of the vault may be fine, so others need not wait for it. A stored decision that cannot be read is not
    /// such an error: what was begun by it is not known.
    pub(super) fn is_of_one_customer(&self) -> bool {
        match self {
            Self::Store(StoreError::Row(_)) | Self::Vault(VaultError::Kek(_)) => true,
            Self::Keys(error) => matches!(
                error,
                KeysError::Vault(VaultError::Kek(_))
                    | KeysError::Contradiction(_)
                    | KeysError::KekClosing(_)
                    | KeysError::KekDestroyed(_)
                    | KeysError::KekDiffers(_)
                    | KeysError::KekMissing(_)
                    | KeysError::WrongKey(_)
            ),
            Self::Store(_)
            | Self::Vault(_)
            | Self::Clocks(_)
            | Self::Verdict(_)
            | Self::Premature(_)
            | Self::KekIsBack(..)
            | Self::NotRestored(_)
            | Self::Trust(_)
            | Self::TaskEnded => false,
        }
    }

    /// Returns what the executor waits for, and the reason.
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

/// Separates errors that pass with time from errors that a person must look at.
impl From<KeysError> for ExecuteError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::ClocksApart(error) => Self::Clocks(error),
            error => Self::Keys(error),
        }
    }
}
