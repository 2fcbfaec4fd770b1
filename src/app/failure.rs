//! The failure of a command: its reason, and what a person can do about it.

use std::io;
use std::path::Path;

use crate::edge::kafka::NoBroker;
use crate::edge::kafka::admin::AdminError;
use crate::keys::{StoreError, VaultError};
use crate::stream::{Halt, Park};

/// An error with its exit code. `docs/process.md` has the table.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: u8,
    pub message: String,
    pub hint: Option<String>,
    /// Other failures found in the same run.
    pub further: Vec<Self>,
}

impl Failure {
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// A command, a file or a proof is refused, or nothing has the name that was asked for.
    pub const REFUSED: u8 = 65;
    /// Kafka, the key store or the asked process is away.
    pub const DEPENDENCY: u8 = 69;
    pub const BUG: u8 = 70;
    /// A file of the command line, stdin or stdout cannot be read or written.
    pub const IO: u8 = 74;
    /// A setting is wrong, or a file, a topic or a right that it needs.
    pub const CONFIG: u8 = 78;

    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, further: Vec::new() }
    }

    /// `what` and the path for a file that the command line names, or that a command writes.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Self::IO, format!("{what} {}: {error}", path.display()))
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        let failure = Self::new(halt.exit_code(), halt.to_string());
        match halt {
            Halt::Duel { .. } => failure.hint("give each running process its own `instance`"),
            Halt::Parked { why: Park::OtherStore { .. }, .. } => failure.hint(
                "a group has one key store: use another kafka.group, or the store that the group began with",
            ),
            Halt::Parked { .. } | Halt::TooManyRestarts { .. } | Halt::Setup(_) | Halt::Panicked => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => Self::new(Self::DEPENDENCY, error.to_string()),
            StoreError::Unusable(_) | StoreError::Row(_) => Self::new(Self::CONFIG, error.to_string()),
            StoreError::Schema(mismatch) => {
                Self::new(Self::CONFIG, error.to_string()).hint(mismatch.remedy())
            }
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let exit = match error {
            VaultError::Unavailable(_) => Self::DEPENDENCY,
            VaultError::Unusable(_) | VaultError::Kek(_) => Self::CONFIG,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<NoBroker> for Failure {
    fn from(error: NoBroker) -> Self {
        let exit = if error.is_configuration() { Self::CONFIG } else { Self::DEPENDENCY };
        Self::new(exit, error.to_string()).hint(error.hint())
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let exit = if error.is_outage() { Self::DEPENDENCY } else { Self::CONFIG };
        let hint = error.hint();
        Self::new(exit, error.to_string()).hint(hint)
    }
}
