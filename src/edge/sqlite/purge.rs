//! Level L2 for a file: no byte of an erased key is left in the file, in its write-ahead log, or in a block
//! that the file system has back from them.

use std::path::Path;

use super::db::connect;
use super::fault::malformed;
use super::log::wipe_log;
use super::schema::{STEPS, known, version};
use crate::edge::private;
use crate::keys::{SchemaMismatch, StoreError};

/// Wipes the write-ahead log, as each erasure does, and verifies that no erased key has its bytes. Freed
/// bytes are already zeros: every connection verifies `secure_delete`.
///
/// # Errors
/// [`StoreError::Unavailable`] if a reader pins the log.
/// [`StoreError::Unusable`] if others may read the file, or if an erased key still has its bytes.
/// [`StoreError::Schema`] for a store of another version.
pub fn purge(path: &Path) -> Result<(), StoreError> {
    private::check_file(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let mut connection = connect(path)?;
    // A newer schema may keep keys in places that this program does not know.
    SchemaMismatch::check(version(&connection)?, known(STEPS))?;
    wipe_log(&mut connection)?;
    let kept: i64 = connection.query_row(
        "SELECT count(*) FROM key WHERE state <> 1 AND length(wrapped) > 0",
        [],
        |row| row.get(0),
    )?;
    if kept > 0 {
        return Err(malformed("key: it is erased but still has its bytes"));
    }
    Ok(())
}
