//! The write-ahead log. Truncating or deleting it overwrites nothing: its blocks would go back to the file
//! system with the wrapped keys in them. So no connection deletes it, and erasing overwrites it.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use crate::keys::StoreError;

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
/// Offset of the page size in the header: 4 bytes, big-endian.
const PAGE_SIZE: usize = 8;
/// Offsets of the two salts, in the header and in each frame: 8 bytes. SQLite uses a frame only if they
/// agree.
const SALTS: usize = 16;
const FRAME_SALTS: usize = 8;

/// The path of a store's log.
pub(super) fn log_of(store: &Path) -> PathBuf {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Moves every page of the log into the store, and overwrites with zeros what the log held. Afterwards it has
/// a copy of the first page, which holds no key.
///
/// SQLite never reads the overwritten bytes: a write after the checkpoint starts the log again from its
/// beginning, with new salts, and the frames behind it have the old ones. So it may end at any point.
///
/// # Errors
/// [`StoreError::Unavailable`] if a reader needs the log. A retry wipes it.
pub(super) fn wipe_log(connection: &mut Connection) -> Result<(), StoreError> {
    let store = connection.path().ok_or_else(|| StoreError::Unusable("its path is not UTF-8".to_owned()))?;
    let path = log_of(Path::new(store));
    let before = salts(&path).map_err(|error| unwritten(&path, &error))?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(pinned());
    }
    start_again(connection)?;
    // No process appends to the log while this transaction has the lock.
    let alone = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if salts(&path).map_err(|error| unwritten(&path, &error))? == before {
        return Err(pinned());
    }
    overwrite_rest(&path).map_err(|error| unwritten(&path, &error))?;
    Ok(alone.commit()?)
}

/// Writes the first page as it is.
fn start_again(connection: &mut Connection) -> Result<(), StoreError> {
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = write.pragma_query_value(None, "user_version", |row| row.get(0))?;
    write.pragma_update(None, "user_version", version)?;
    Ok(write.commit()?)
}

fn pinned() -> StoreError {
    StoreError::Unavailable("erased, but a reader pins the write-ahead log: erase again".to_owned())
}

fn unwritten(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("erased, but {} cannot be overwritten: {error}", path.display()))
}

/// The salts of the frames that SQLite uses. `None`: the log has no header.
fn salts(path: &Path) -> io::Result<Option<[u8; 8]>> {
    match File::open(path) {
        Ok(log) => Ok(header(&log)?.map(|header| part(&header, SALTS))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn header(log: &File) -> io::Result<Option<[u8; HEADER as usize]>> {
    let mut header = [0; HEADER as usize];
    match log.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(Some(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the part lies within the header")
}

/// Overwrites the log behind the frames that SQLite uses, and cuts it there.
fn overwrite_rest(path: &Path) -> io::Result<()> {
    // Closing this file drops no lock: SQLite locks the store and its `-shm` file, not the log.
    let log = OpenOptions::new().read(true).write(true).open(path)?;
    let (used, length) = (used(&log)?, log.metadata()?.len());
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut at = used;
    while at < length {
        let size = usize::try_from(length - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        log.write_all_at(&ZEROS[..size], at)?;
        at += size as u64;
    }
    log.sync_all()?;
    log.set_len(used)
}

/// The offset behind the last frame that has the salts of the header.
fn used(log: &File) -> io::Result<u64> {
    let Some(header) = header(log)? else { return Ok(0) };
    let page = u64::from(u32::from_be_bytes(part(&header, PAGE_SIZE)));
    let (salts, mut at): ([u8; 8], _) = (part(&header, SALTS), HEADER);
    let mut frame = [0; FRAME_HEADER as usize];
    loop {
        match log.read_exact_at(&mut frame, at) {
            Ok(()) if part(&frame, FRAME_SALTS) == salts => at += FRAME_HEADER + page,
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => return Ok(at),
        }
    }
}
