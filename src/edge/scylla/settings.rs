//! The `meta` table: a store's identity and settings.

use std::collections::HashMap;
use std::str::FromStr;

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use zeroize::Zeroizing;

use super::cells::{Cells, cells};
use super::definition::refresh;
use super::fault::malformed;
use super::open::ScyllaOptions;
use super::schema::{Step, known};
use super::session::Profiles;
use crate::keys::{Meta, SchemaMismatch, StoreError, parse_schema_version};
use crate::model::{Retention, StoreId, VaultId};

/// All of the store's settings.
pub(super) const META: &str = "SELECT name, value FROM meta WHERE part = 'store'";

/// Settings of the `meta` table, by name.
pub(super) struct Settings(HashMap<String, Zeroizing<Vec<u8>>>);

/// Enters the keyspace and reads the store's settings; `None` if no store was ever created there. Just after
/// a store was created, a node may not know its tables yet. So missing tables mean a missing store only if
/// the nodes had `agreed` on the schema before.
pub(super) async fn enter(
    session: &Session,
    keyspace: &str,
    agreed: bool,
) -> Result<Option<Settings>, StoreError> {
    let found = match session.use_keyspace(keyspace, false).await {
        Ok(()) => Settings::read(session).await,
        Err(error) => Err(error.into()),
    };
    match found {
        Ok(None) if !agreed => Err(not_agreed("one node has no key store")),
        Err(StoreError::Unusable(why)) if !agreed => Err(not_agreed(&why)),
        found => found,
    }
}

impl Settings {
    /// `None` if no store was ever created: the table is missing or empty. Reads at QUORUM, because an
    /// identity never changes once it exists. At SERIAL, workers that start at the same time would contend
    /// (Paxos v1 orders such reads in the same way as writes).
    pub(super) async fn read(session: &Session) -> Result<Option<Self>, StoreError> {
        Self::ask(session, Statement::new(META)).await
    }

    /// As [`read`](Self::read), at SERIAL, after a conditional write whose outcome is not known.
    pub(super) async fn settled(session: &Session, profiles: &Profiles) -> Result<Option<Self>, StoreError> {
        let mut read = Statement::new(META);
        read.set_execution_profile_handle(Some(profiles.lwt.clone()));
        read.set_consistency(Consistency::Serial);
        Self::ask(session, read).await
    }

    async fn ask(session: &Session, read: Statement) -> Result<Option<Self>, StoreError> {
        let keyspace = session.get_keyspace().ok_or_else(|| malformed("keyspace"))?;
        refresh(session).await?;
        let state = session.get_cluster_state();
        if !state.get_keyspace(keyspace.as_str()).is_some_and(|it| it.tables.contains_key("meta")) {
            return Ok(None);
        }
        Self::parse(&cells(session.query_unpaged(read, ()).await?)?)
    }

    pub(super) fn parse(rows: &[Cells]) -> Result<Option<Self>, StoreError> {
        let setting = |row: &Cells| {
            let name = row.text("name")?.ok_or_else(|| malformed("meta"))?;
            let value = row.blob("value")?.ok_or_else(|| malformed(name))?;
            Ok((name.to_owned(), Zeroizing::new(value.to_vec())))
        };
        let settings: HashMap<_, _> = rows.iter().map(setting).collect::<Result<_, StoreError>>()?;
        Ok((!settings.is_empty()).then_some(Self(settings)))
    }

    /// # Errors
    /// [`StoreError::Unusable`] if the version cannot be read. Nothing is assumed about such a store.
    pub(super) fn schema_version(&self) -> Result<u32, StoreError> {
        parse_schema_version(self.bytes("schema_version")?).ok_or_else(|| malformed("schema_version"))
    }

    /// # Errors
    /// [`StoreError::Schema`] for a version that differs from that of the last step.
    pub(super) fn check_version(&self, steps: &[Step]) -> Result<(), StoreError> {
        Ok(SchemaMismatch::check(self.schema_version()?, known(steps))?)
    }

    /// Id of the process that is upgrading the schema, if any.
    pub(super) fn upgrader(&self) -> Option<&[u8]> {
        self.0.get("upgrader").map(|value| value.as_slice())
    }

    /// # Errors
    /// [`StoreError::Unusable`] for a store of another vault. The error names both ids.
    pub(super) fn check_vault(&self, options: &ScyllaOptions) -> Result<(), StoreError> {
        let is = VaultId(self.id("vault_id")?);
        if is == options.vault {
            return Ok(());
        }
        let asked = options.vault;
        Err(StoreError::Unusable(format!("it belongs to the KEK vault {is}, but this vault is {asked}")))
    }

    /// Parses the rows of `meta`. The receipts' position is in a separate table.
    ///
    /// # Errors
    /// [`StoreError::Schema`] for a version other than `known`.
    pub(super) fn meta(rows: &[Cells], last_receipt: Option<i64>, known: u32) -> Result<Meta, StoreError> {
        let settings = Self::parse(rows)?.ok_or_else(|| malformed("meta"))?;
        let schema_version = settings.schema_version()?;
        SchemaMismatch::check(schema_version, known)?;
        Ok(Meta {
            store: StoreId(settings.id("store_id")?),
            vault: VaultId(settings.id("vault_id")?),
            schema_version,
            max_lease_ms: settings.number("max_lease_ms")?,
            default_retention: Retention::hours(settings.number("default_retention_hours")?)
                .ok_or_else(|| malformed("default_retention_hours"))?,
            last_receipt,
        })
    }

    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], StoreError> {
        let value = self.0.get(name).map(|value| value.as_slice());
        value.ok_or_else(|| StoreError::Unusable(format!("its meta row {name} is missing")))
    }

    pub(super) fn id(&self, name: &str) -> Result<[u8; 16], StoreError> {
        self.bytes(name)?.try_into().map_err(|_| malformed(name))
    }

    /// Integers are stored as decimal text.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        let text = std::str::from_utf8(self.bytes(name)?).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(name))
    }
}

pub(super) fn nothing_here(keyspace: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the keyspace {keyspace} contains no key store: `hourseal store init` creates it"
    ))
}

fn not_agreed(why: &str) -> StoreError {
    StoreError::Unavailable(format!("the nodes do not agree on the schema yet ({why})"))
}
