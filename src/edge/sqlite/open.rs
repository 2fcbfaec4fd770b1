//! Creates and upgrades a store, and refuses a store that belongs to another vault or version.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};
use zeroize::Zeroizing;

use super::SqliteStore;
use super::db::{Db, connect, in_transaction};
use super::fault::malformed;
use super::schema::{self, Step, upgrade};
use crate::edge::finding::{Finding, Grade};
use crate::edge::private::{self, PrivateError};
use crate::envelope::random;
use crate::keys::{Meta, SchemaMismatch, StoreError, TokenKey};
use crate::model::{Clock, Retention, StoreId, VaultId};
use crate::telemetry::{codes, info};

/// Options for opening a store.
pub struct OpenOptions {
    /// The KEK vault that the store belongs to permanently.
    pub vault: VaultId,
    /// Seeds a new store; an existing one keeps its own.
    pub default_retention: Retention,
    /// Seeds a new store, in milliseconds; an existing one keeps its own.
    pub max_lease_ms: u64,
    /// Whether to create a missing store and upgrade an older one. A process that only reads does neither.
    pub create: bool,
    /// [`STEPS`](super::STEPS), except in a test of the steps.
    pub steps: &'static [Step],
    pub clock: Arc<dyn Clock>,
}

impl OpenOptions {
    /// The schema version that a program with these options uses.
    pub fn schema_version(&self) -> u32 {
        schema::known(self.steps)
    }
}

impl SqliteStore {
    /// Opens the store in the file `path`. Creates it (file 0600, folder 0700) or upgrades it if
    /// [`OpenOptions::create`] allows it. Blocks for about a second.
    ///
    /// # Errors
    /// [`StoreError::Schema`] for a store of another version. [`StoreError::Unusable`] for a store of another
    /// vault (the error names both ids), and for a file that others may read. [`StoreError::Unavailable`] if
    /// another process holds its lock.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        let (writer, _) = enter(path, &options).map_err(named(path))?;
        let token_key =
            TokenKey::from_slice(&meta_bytes(&writer, "token_key")?).ok_or_else(|| malformed("token_key"))?;
        let schema = options.schema_version();
        Ok(Self {
            db: Db::new(writer, connect(path)?),
            token_key: Arc::new(token_key),
            schema,
            clock: options.clock,
        })
    }
}

/// Creates the store in the file `path`, or upgrades it, if [`OpenOptions::create`] allows it. Returns one
/// line for each change. It is safe to repeat at any time, also by several processes at once.
///
/// # Errors
/// As [`SqliteStore::open`].
pub fn init(path: &Path, options: &OpenOptions) -> Result<Vec<String>, StoreError> {
    enter(path, options).map(|(_, done)| done).map_err(named(path))
}

/// Checks that only its owner may read the file `path`, and checks the store's schema version and vault. It
/// creates and upgrades nothing.
pub fn check(path: &Path, options: &OpenOptions) -> Vec<Finding> {
    let looked = private::check_file(path).map_err(refused).and_then(|()| connect(path));
    let connection = match looked {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::new("file", Grade::Wrong, error.to_string())],
    };
    let file = Finding::new("file", Grade::Ok, format!("{}: only its owner may read it", path.display()));
    let known = options.schema_version();
    let version = match schema::found(&connection) {
        Ok(Some(found)) => Finding::schema_version(found, known),
        Ok(None) => Finding::new("schema version", Grade::Wrong, nothing_here().to_string()),
        Err(error) => Finding::new("schema version", Grade::Wrong, error.to_string()),
    };
    if version.grade == Grade::Wrong {
        return vec![file, version];
    }
    let meta = read_meta(&connection, known).and_then(|meta| same_vault(meta.vault, options).map(|()| meta));
    let store = match meta {
        Ok(meta) => Finding::new("store", Grade::Ok, format!("store {} of vault {}", meta.store, meta.vault)),
        Err(error) => Finding::new("store", Grade::Wrong, error.to_string()),
    };
    vec![file, version, store]
}

/// Refuses an existing file that others than its owner may access. It does not open the file. A missing one
/// is created by `run`.
///
/// # Errors
/// [`StoreError::Unusable`] with the mode.
pub fn check_file(path: &Path) -> Result<(), StoreError> {
    if path.exists() { private::check_file(path).map_err(refused) } else { Ok(()) }
}

/// Returns a connection to a store of this vault and this program's schema version, and one line for each
/// change that was made.
fn enter(path: &Path, options: &OpenOptions) -> Result<(Connection, Vec<String>), StoreError> {
    let folder = private::parent(path);
    if options.create {
        private::make_folder(folder).map_err(refused)?;
    }
    // SQLite's busy handler does not cover the switch of a new file to WAL, so one process at a time does it.
    let _alone = private::lock_folder(folder).map_err(refused)?;
    if options.create {
        private::create_empty(path).map_err(refused)?;
    }
    // This must not open the file: closing any descriptor of it would drop the locks of this process's other
    // connections.
    private::check_file(path).map_err(refused)?;
    let mut writer = connect(path)?;
    let mut done = Vec::new();
    let is_created = in_transaction(&mut writer, |tx| create_unless_there(tx, options))?;
    private::sync_folder(folder).map_err(refused)?;
    let upgrades = bring_up(&mut writer, options)?;
    if is_created {
        done.push(format!("created the store in {}", path.display()));
        info!(codes::STORE_CREATED, file = %path.display(), "key store created");
    } else {
        upgrades.iter().for_each(|upgrade| info!(codes::STORE_UPGRADED, "{upgrade}"));
    }
    done.extend(upgrades);
    Ok((writer, done))
}

/// Upgrades an older store of this vault, if the options allow it. Reads only the version of a newer store.
fn bring_up(writer: &mut Connection, options: &OpenOptions) -> Result<Vec<String>, StoreError> {
    let found = schema::found(writer)?.ok_or_else(nothing_here)?;
    match SchemaMismatch::check(found, options.schema_version()) {
        Err(SchemaMismatch::Older { .. }) if options.create => {}
        version => version?,
    }
    let vault = meta_bytes(writer, "vault_id")?.as_slice().try_into().map_err(|_| malformed("vault_id"))?;
    same_vault(VaultId(vault), options)?;
    let done = upgrade(writer, options.steps)?;
    let line = |step: &Step| {
        format!("upgraded the schema from version {} to {}: {}", step.to - 1, step.to, step.what)
    };
    Ok(done.into_iter().map(line).collect())
}

fn same_vault(is: VaultId, options: &OpenOptions) -> Result<(), StoreError> {
    if is == options.vault {
        return Ok(());
    }
    let asked = options.vault;
    Err(StoreError::Unusable(format!("it belongs to the KEK vault {is}, but this vault is {asked}")))
}

/// If there is no store, executes the first step and generates the store's identity, in the same transaction.
/// Returns true when it did.
fn create_unless_there(tx: &Transaction<'_>, options: &OpenOptions) -> Result<bool, StoreError> {
    if schema::found(tx)?.is_some() {
        return Ok(false);
    }
    if !options.create {
        return Err(nothing_here());
    }
    let first = options.steps.first().ok_or_else(|| malformed("schema_version"))?;
    tx.execute_batch(first.sql)?;
    let mut store_id = [0; 16];
    random(&mut store_id);
    let token_key = TokenKey::random();
    let number = |number: u64| number.to_string().into_bytes();
    let set =
        |name, value: &[u8]| tx.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", (name, value));
    set("store_id", &store_id)?;
    set("vault_id", &options.vault.0)?;
    set("schema_version", &number(first.to.into()))?;
    set("token_key", token_key.expose())?;
    set("max_lease_ms", &number(options.max_lease_ms))?;
    set("default_retention_hours", &number(options.default_retention.as_hours().into()))?;
    set("last_receipt", b"-1")?;
    Ok(true)
}

/// # Errors
/// [`StoreError::Schema`] for a schema version other than `known`. Nothing else is read from such a store.
pub(super) fn read_meta(connection: &Connection, known: u32) -> Result<Meta, StoreError> {
    let schema_version = schema::version(connection)?;
    SchemaMismatch::check(schema_version, known)?;
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

fn nothing_here() -> StoreError {
    StoreError::Unusable("the file contains no key store".to_owned())
}

/// Integers are stored as decimal text.
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

/// Adds the path to an error of SQLite that waiting may end. The other errors name their path.
fn named(path: &Path) -> impl Fn(StoreError) -> StoreError {
    let folder = private::parent(path).display().to_string();
    move |error| match error {
        StoreError::Unavailable(why) if !why.starts_with(&folder) => {
            StoreError::Unavailable(format!("{}: {why}", path.display()))
        }
        error => error,
    }
}

fn refused(error: PrivateError) -> StoreError {
    if error.passes_at_start() {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Unusable(error.to_string())
    }
}
