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
            None if is_of_a_row(&error) => Self::Row(text),
            _ => Self::Unusable(text),
        }
    }
}

/// Whether a value has another type or range than its column.
fn is_of_a_row(error: &Error) -> bool {
    use Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}

/// A setting of the store that this version cannot have written.
pub(super) fn malformed(what: &str) -> StoreError {
    StoreError::Unusable(format!("malformed {what}"))
}

/// A row of a customer or of a KEK that this version cannot have written.
pub(super) fn malformed_row(what: &str) -> StoreError {
    StoreError::Row(format!("malformed {what}"))
}
