//! Connections, and access to them from async code.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use super::log::wipe_log;
use crate::edge::private::{self, PrivateError};
use crate::keys::StoreError;

/// Longest wait of SQLite for another process that holds the lock. Then the call fails, and the caller's lane
/// keeps polling.
const BUSY: Duration = Duration::from_secs(1);

/// Longest wait of a call for earlier calls of this process.
const QUEUE: Duration = Duration::from_secs(5);

/// One connection for writes and one for reads, each used by one call at a time. A read does not wait for a
/// write that waits for another process.
pub(super) struct Db {
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
}

impl Db {
    pub(super) fn new(writer: Connection, reader: Connection) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), reader: Arc::new(Mutex::new(reader)) }
    }

    /// Runs `job` on one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        on_thread(&self.reader, |connection| job(&connection.transaction()?)).await
    }

    /// Runs `job` in one transaction that holds the write lock from its beginning. The transaction is durable
    /// when this returns `Ok`, and is rolled back if `job` fails.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        on_thread(&self.writer, |connection| in_transaction(connection, job)).await
    }

    /// As [`Db::write`]. Then it wipes the write-ahead log, so that no overwritten byte stays in any file,
    /// nor in a block below it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when the transaction is durable but a reader pins the log. A retry
    /// wipes the log.
    pub(super) async fn write_and_wipe<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        on_thread(&self.writer, |connection| {
            let done = in_transaction(connection, job)?;
            wipe_log(connection)?;
            Ok(done)
        })
        .await
    }
}

/// Runs `job` in one transaction that holds the write lock from its beginning.
pub(super) fn in_transaction<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = job(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Opens a connection with the pragmas that the store's promises need, and verifies each of them.
///
/// # Errors
/// [`StoreError::Unusable`] at once, with the path, if this process may not write the store's files.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    check_files(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // The last connection would delete the log, and leave its bytes on the disk.
    if !connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)? {
        return Err(StoreError::Unusable("SQLite would delete its write-ahead log".to_owned()));
    }
    for (pragma, asked, wanted) in [
        ("secure_delete", "ON", "1"), // freed bytes become zeros
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", "2"),  // a commit is on disk when it returns
        ("temp_store", "MEMORY", "2"), // no statement journal in a file that is not wiped
    ] {
        connection.pragma_update_and_check(None, pragma, asked, |_| Ok(())).or_else(no_answer)?;
        let is: String = connection.pragma_query_value(None, pragma, |row| row.get_ref(0).map(text_of))?;
        if is != wanted {
            return Err(StoreError::Unusable(format!(
                "SQLite runs with {pragma} = {is}, but {wanted} is required"
            )));
        }
    }
    Ok(connection)
}

/// Readers write, too: the write-ahead log and its index. They may belong to another user, who opened the
/// store once.
fn check_files(path: &Path) -> Result<(), PrivateError> {
    private::check_writable(private::parent(path))?;
    private::check_writable(path)?;
    for ending in ["-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        match private::check_writable(Path::new(&file)) {
            Err(PrivateError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {}
            checked => checked?,
        }
    }
    Ok(())
}

/// Some pragmas return no row when they are set.
fn no_answer(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn text_of(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        value => value.as_str().unwrap_or("?").to_owned(),
    }
}

async fn on_thread<T: Send + 'static>(
    connection: &Arc<Mutex<Connection>>,
    job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let Ok(mut connection) = tokio::time::timeout(QUEUE, Arc::clone(connection).lock_owned()).await else {
        return Err(StoreError::Unavailable("too many calls are waiting for it".to_owned()));
    };
    tokio::task::spawn_blocking(move || job(&mut connection))
        .await
        .map_err(|_| StoreError::Unavailable("the thread of the call ended early".to_owned()))?
}
