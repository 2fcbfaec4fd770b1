//! Level L2 of a file: no byte of an erased key is left in it or beside it.

use std::path::{Path, PathBuf};

use super::db::{connect, wipe_log};
use super::fault::malformed;
use super::schema::{STEPS, known, version};
use crate::edge::private;
use crate::keys::{SchemaMismatch, StoreError};

/// Moves the write-ahead log into the file and empties it, as each erasure does, and looks whether that is so. Freed bytes are
/// zeros already: `secure_delete` is asserted on every connection.
///
/// # Errors
/// [`StoreError::Unavailable`] where a reader pins the log, [`StoreError::Unusable`] where the file is not
/// ours,
/// [`StoreError::Schema`] for a store of another version.
pub fn purge(path: &Path) -> Result<(), StoreError> {
    private::check_file(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let connection = connect(path)?;
    // A newer schema may keep keys where this program does not look.
    SchemaMismatch::check(version(&connection)?, known(STEPS))?;
    wipe_log(&connection)?;
    let kept: i64 = connection.query_row(
        "SELECT count(*) FROM key WHERE state <> 1 AND length(wrapped) > 0",
        [],
        |row| row.get(0),
    )?;
    if kept > 0 {
        return Err(malformed("an erased key that is still there"));
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::metadata(PathBuf::from(log)) {
        Ok(log) if log.len() > 0 => {
            Err(StoreError::Unavailable("somebody has written meanwhile: purge again".to_owned()))
        }
        _ => Ok(()),
    }
}
