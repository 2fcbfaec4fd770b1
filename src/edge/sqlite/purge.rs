//! Level L2 for a file: no byte of an erased key is left in the file or in its write-ahead log.

use std::path::{Path, PathBuf};

use super::db::{connect, wipe_log};
use super::fault::malformed;
use super::schema::{STEPS, known, version};
use crate::edge::private;
use crate::keys::{SchemaMismatch, StoreError};

/// Moves the write-ahead log into the file and empties the log, as each erasure does, and verifies the
/// result. Freed bytes are already zeros: every connection verifies `secure_delete`.
///
/// # Errors
/// [`StoreError::Unavailable`] if a reader pins the log or a process writes meanwhile.
/// [`StoreError::Unusable`] if others may read the file, or if an erased key still has its bytes.
/// [`StoreError::Schema`] for a store of another version.
pub fn purge(path: &Path) -> Result<(), StoreError> {
    private::check_file(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let connection = connect(path)?;
    // A newer schema may keep keys in places that this program does not know.
    SchemaMismatch::check(version(&connection)?, known(STEPS))?;
    wipe_log(&connection)?;
    let kept: i64 = connection.query_row(
        "SELECT count(*) FROM key WHERE state <> 1 AND length(wrapped) > 0",
        [],
        |row| row.get(0),
    )?;
    if kept > 0 {
        return Err(malformed("key: it is erased but still has its bytes"));
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::metadata(PathBuf::from(log)) {
        Ok(log) if log.len() > 0 => {
            Err(StoreError::Unavailable("another process wrote to it meanwhile: purge again".to_owned()))
        }
        _ => Ok(()),
    }
}
