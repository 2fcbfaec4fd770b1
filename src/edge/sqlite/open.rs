//! Creating a store, and refusing one that is not ours.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};
use zeroize::Zeroizing;

use super::SqliteStore;
use super::db::{Db, connect, in_transaction};
use super::fault::malformed;
use crate::edge::private::{self, PrivateError};
use crate::envelope::random;
use crate::keys::{Meta, StoreError, TokenKey};
use crate::model::{Clock, Retention, StoreId, VaultId};

/// The schema that this version writes.
const SCHEMA: &str = include_str!("../../../schemas/keystore.sql");
const SCHEMA_VERSION: u32 = 1;

/// How a store is opened.
pub struct OpenOptions {
    /// The KEK vault that the store belongs to for good.
    pub vault: VaultId,
    /// Seeds a new store; an existing one keeps its own.
    pub default_retention: Retention,
    /// Seeds a new store, in milliseconds; an existing one keeps its own.
    pub max_lease_ms: u64,
    /// Whether a missing store is created.
    pub create: bool,
    pub clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// Opens the store in the file `path`, or creates it: file 0600, folder 0700. Blocks, for a second or so.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a store of another vault (both ids are named) or of a newer version, and for a file that
    /// others may read; [`StoreError::Unavailable`] when another process holds its lock.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        let folder = private::parent(path);
        if options.create {
            private::make_folder(folder).map_err(refused)?;
        }
        // SQLite's busy handler does not cover the switch of a new file to WAL: one process at a time.
        let _alone = private::lock_folder(folder).map_err(refused)?;
        if options.create {
            private::create_empty(path).map_err(refused)?;
        }
        // Not by opening it: closing any descriptor of the file would drop the locks of this process's other connections.
        private::check_file(path).map_err(refused)?;
        let mut writer = connect(path)?;
        in_transaction(&mut writer, |tx| create_unless_there(tx, &options))?;
        private::sync_folder(folder).map_err(refused)?;
        let meta = read_meta(&writer)?;
        if meta.vault != options.vault {
            let (is, asked) = (meta.vault, options.vault);
            return Err(StoreError::Unusable(format!(
                "it belongs to the KEK vault {is}, this one is {asked}"
            )));
        }
        let token_key =
            TokenKey::from_slice(&meta_bytes(&writer, "token_key")?).ok_or_else(|| malformed("token_key"))?;
        Ok(Self { db: Db::new(writer, connect(path)?), token_key, clock: options.clock })
    }
}

/// Executes the schema and draws the store's identity, in the transaction that found nothing.
fn create_unless_there(tx: &Transaction<'_>, options: &OpenOptions) -> Result<(), StoreError> {
    let there: bool =
        tx.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if there {
        return Ok(());
    }
    if !options.create {
        return Err(StoreError::Unusable("the file holds no key store".to_owned()));
    }
    tx.execute_batch(SCHEMA)?;
    let mut store_id = [0; 16];
    random(&mut store_id);
    let token_key = TokenKey::random();
    let number = |number: u64| number.to_string().into_bytes();
    let set =
        |name, value: &[u8]| tx.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", (name, value));
    set("store_id", &store_id)?;
    set("vault_id", &options.vault.0)?;
    set("schema_version", &number(SCHEMA_VERSION.into()))?;
    set("token_key", token_key.expose())?;
    set("max_lease_ms", &number(options.max_lease_ms))?;
    set("default_retention_hours", &number(options.default_retention.as_hours().into()))?;
    set("last_receipt", b"-1")?;
    Ok(())
}

/// # Errors
/// [`StoreError::Unusable`] for another schema version: nothing else is read of such a store.
pub(super) fn read_meta(connection: &Connection) -> Result<Meta, StoreError> {
    let schema_version = meta_number(connection, "schema_version")?;
    if schema_version != SCHEMA_VERSION {
        return Err(StoreError::Unusable(format!(
            "its schema is version {schema_version}, this program knows {SCHEMA_VERSION}"
        )));
    }
    let id = |name| meta_bytes(connection, name)?.as_slice().try_into().map_err(|_| malformed(name));
    let last_receipt: i64 = meta_number(connection, "last_receipt")?;
    Ok(Meta {
        store: StoreId(id("store_id")?),
        vault: VaultId(id("vault_id")?),
        schema_version,
        max_lease_ms: meta_number(connection, "max_lease_ms")?,
        default_retention: Retention::hours(meta_number(connection, "default_retention_hours")?)
            .ok_or_else(|| malformed("default_retention_hours"))?,
        last_receipt: (last_receipt >= 0).then_some(last_receipt),
    })
}

/// Integers stand as decimal text.
fn meta_number<T: FromStr>(connection: &Connection, name: &str) -> Result<T, StoreError> {
    let bytes = meta_bytes(connection, name)?;
    std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(|| malformed(name))
}

fn meta_bytes(connection: &Connection, name: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()?
        .map(Zeroizing::new)
        .ok_or_else(|| StoreError::Unusable(format!("its meta row {name} is missing")))
}

fn refused(error: PrivateError) -> StoreError {
    if error.passes() {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Unusable(error.to_string())
    }
}
