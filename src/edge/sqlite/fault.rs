//! Classifies SQLite's errors: the caller waits, or a person must act.

use rusqlite::{Error, ErrorCode};

use crate::keys::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        // The texts name tables and columns, never values.
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted,
            ) => Self::Unavailable(text),
            _ => Self::Unusable(text),
        }
    }
}

/// A row that this version cannot have written.
pub(super) fn malformed(what: &str) -> StoreError {
    StoreError::Unusable(format!("malformed {what}"))
}
