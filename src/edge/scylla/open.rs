//! Creating a store in a keyspace, opening one, and refusing one that is not ours.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::unprepared::Statement;
use zeroize::Zeroizing;

use super::ScyllaStore;
use super::ask::Ask;
use super::cells::cells;
use super::fault::malformed;
use super::lifetime::Lifetimes;
use super::recent::Recent;
use super::schema::{SCHEMA_VERSION, agree, agree_soon, check_version, define, migrate, refresh};
use super::server::Server;
use super::session::{Profiles, SessionOptions};
use super::statements::{META, Statements};
use crate::envelope::random;
use crate::keys::{Meta, StoreError, TokenKey};
use crate::model::{Clock, Retention, StoreId, VaultId};
use crate::telemetry::{StoreMetrics, StoreOp};

/// How a store is created and opened.
#[derive(Clone)]
pub struct ScyllaOptions {
    pub session: SessionOptions,
    /// A name of lower-case letters, digits and underscores; the store is all of it.
    pub keyspace: String,
    /// Replicas in each data centre, for a keyspace that is created.
    pub replication: u8,
    /// The KEK vault that the store belongs to for good.
    pub vault: VaultId,
    /// Seeds a new store; an existing one keeps its own.
    pub default_retention: Retention,
    /// Seeds a new store, in milliseconds; an existing one keeps its own.
    pub max_lease_ms: u64,
    pub lifetimes: Lifetimes,
    pub clock: Arc<dyn Clock>,
    pub metrics: StoreMetrics,
}

/// Settings of the `meta` table, by name.
pub(super) struct Settings(HashMap<String, Zeroizing<Vec<u8>>>);

/// Creates what is missing, in order: keyspace, tables, identity; answers what was done, line by line. Nothing that is there
/// is changed, and it may be executed again at any time, also by several at once.
///
/// # Errors
/// [`StoreError::Unusable`] for a server, a keyspace or a store that does not fit.
pub async fn init(options: &ScyllaOptions) -> Result<Vec<String>, StoreError> {
    let (session, profiles) = options.session.connect(&options.keyspace).await?;
    let server = Server::ask(&session).await?;
    let mut done = Vec::new();
    agree(&session).await?;
    refresh(&session).await?;
    if session.get_cluster_state().get_keyspace(&options.keyspace).is_none() {
        let create = server.create_keyspace(&options.keyspace, options.replication)?;
        define(&session, &create).await?;
        done.push(format!("keyspace {} created: {create}", options.keyspace));
    }
    let version = match enter(&session, &options.keyspace, true).await? {
        Some(settings) => settings.number("schema_version")?,
        None => 0,
    };
    if version > SCHEMA_VERSION {
        check_version(version)?;
    }
    migrate(&session, version).await?;
    agree(&session).await?;
    if version < SCHEMA_VERSION {
        done.push(format!("schema brought from version {version} to {SCHEMA_VERSION}"));
    }
    if draw_identity(&session, &profiles, options).await? {
        done.push("identity drawn".to_owned());
    }
    // Whoever was first: the vault must be this one.
    let found = Settings::read(&session).await?;
    ScyllaStore::over(session, &profiles, options.clone(), found).await?;
    Ok(done)
}

/// Enters the keyspace, and reads what a store there says of itself; `None` where none was ever created. Asked just after a
/// store was created, a node may not have heard of it: what one lacks is missing only if the nodes had `agreed` before.
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
        Ok(None) if !agreed => Err(not_agreed("one has no key store")),
        Err(StoreError::Unusable(why)) if !agreed => Err(not_agreed(&why)),
        found => found,
    }
}

/// Draws the store's identity unless it has one; true when it was drawn here.
async fn draw_identity(
    session: &Session,
    profiles: &Profiles,
    options: &ScyllaOptions,
) -> Result<bool, StoreError> {
    if Settings::read(session).await?.is_some() {
        return Ok(false);
    }
    let mut store_id = [0; 16];
    random(&mut store_id);
    let token_key = TokenKey::random();
    let number = |number: u64| number.to_string().into_bytes();
    let mut text = String::from("BEGIN BATCH ");
    for (nth, name) in NAMES.into_iter().enumerate() {
        let condition = if nth == 0 { " IF NOT EXISTS" } else { "" };
        text += &format!("INSERT INTO meta (part, name, value) VALUES ('store', '{name}', ?){condition}; ");
    }
    let mut draw = session.prepare(text + "APPLY BATCH").await?;
    draw.set_execution_profile_handle(Some(profiles.lwt.clone()));
    let values = (
        store_id.to_vec(),
        options.vault.0.to_vec(),
        number(SCHEMA_VERSION.into()),
        token_key.expose().to_vec(),
        number(options.max_lease_ms),
        number(options.default_retention.as_hours().into()),
    );
    // Whatever the outcome, a SERIAL read tells whether there is an identity, and whose.
    let outcome = session.execute_unpaged(&draw, values).await;
    match Settings::settled(session, profiles).await? {
        Some(settings) => Ok(settings.bytes("store_id")? == store_id.as_slice()),
        None => Err(outcome.err().map_or_else(|| malformed("meta"), StoreError::from)),
    }
}

const NAMES: [&str; 6] =
    ["store_id", "vault_id", "schema_version", "token_key", "max_lease_ms", "default_retention_hours"];

impl ScyllaStore {
    /// Opens the store in a keyspace.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a keyspace without a store, another schema version, another vault (both ids are named) or
    /// missing rights; [`StoreError::Unavailable`] when the cluster does not answer.
    pub async fn open(options: ScyllaOptions) -> Result<Self, StoreError> {
        let (session, profiles) = options.session.connect(&options.keyspace).await?;
        let agreed = agree_soon(&session).await;
        let found = enter(&session, &options.keyspace, agreed).await?;
        Self::over(session, &profiles, options, found).await
    }

    pub(super) async fn over(
        session: Session,
        profiles: &Profiles,
        options: ScyllaOptions,
        found: Option<Settings>,
    ) -> Result<Self, StoreError> {
        let settings = found.ok_or_else(|| nothing_here(&options.keyspace))?;
        check_version(settings.number("schema_version")?)?;
        let vault = VaultId(settings.id("vault_id")?);
        if vault != options.vault {
            return Err(StoreError::Unusable(format!(
                "it belongs to the KEK vault {vault}, this one is {}",
                options.vault
            )));
        }
        let token_key =
            TokenKey::from_slice(settings.bytes("token_key")?).ok_or_else(|| malformed("token_key"))?;
        let say = Statements::prepare(&session, profiles).await?;
        let mut probe = [0; 16];
        random(&mut probe);
        Ok(Self {
            ask: Ask { session, metrics: options.metrics },
            say,
            token_key,
            lifetimes: options.lifetimes,
            clock: options.clock,
            recent: Recent::default(),
            probe: hex::encode(probe),
        })
    }

    pub(super) async fn read_meta(&self) -> Result<Meta, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.say.meta, ());
        let (rows, mark) = tokio::try_join!(rows, self.read_mark(&self.say.mark))?;
        let settings = Settings::parse(&rows)?.ok_or_else(|| malformed("meta"))?;
        let schema_version = settings.number("schema_version")?;
        check_version(schema_version)?;
        Ok(Meta {
            store: StoreId(settings.id("store_id")?),
            vault: VaultId(settings.id("vault_id")?),
            schema_version,
            max_lease_ms: settings.number("max_lease_ms")?,
            default_retention: Retention::hours(settings.number("default_retention_hours")?)
                .ok_or_else(|| malformed("default_retention_hours"))?,
            last_receipt: mark,
        })
    }

    /// Tells the pool's size, for a metric.
    pub(super) fn publish_connections(&self) {
        self.ask.metrics.connected(self.ask.session.get_metrics().get_total_connections());
    }
}

impl Settings {
    /// `None` where no store was ever created, the table missing or empty. At QUORUM, for an identity never changes once it
    /// is there; at SERIAL a fleet that starts at once would contend (Paxos v1 orders such reads as it does writes).
    async fn read(session: &Session) -> Result<Option<Self>, StoreError> {
        Self::ask(session, Statement::new(META)).await
    }

    /// As [`read`](Self::read), after a draw whose outcome is not known.
    async fn settled(session: &Session, profiles: &Profiles) -> Result<Option<Self>, StoreError> {
        let mut read = Statement::new(META);
        read.set_execution_profile_handle(Some(profiles.lwt.clone()));
        read.set_consistency(scylla::statement::Consistency::Serial);
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

    fn parse(rows: &[super::cells::Cells]) -> Result<Option<Self>, StoreError> {
        let setting = |row: &super::cells::Cells| {
            let name = row.text("name")?.ok_or_else(|| malformed("meta"))?;
            let value = row.blob("value")?.ok_or_else(|| malformed(name))?;
            Ok((name.to_owned(), Zeroizing::new(value.to_vec())))
        };
        let settings: HashMap<_, _> = rows.iter().map(setting).collect::<Result<_, StoreError>>()?;
        Ok((!settings.is_empty()).then_some(Self(settings)))
    }

    fn bytes(&self, name: &str) -> Result<&[u8], StoreError> {
        let value = self.0.get(name).map(|value| value.as_slice());
        value.ok_or_else(|| StoreError::Unusable(format!("its meta row {name} is missing")))
    }

    fn id(&self, name: &str) -> Result<[u8; 16], StoreError> {
        self.bytes(name)?.try_into().map_err(|_| malformed(name))
    }

    /// Integers stand as decimal text.
    fn number<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        let text = std::str::from_utf8(self.bytes(name)?).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(name))
    }
}

fn nothing_here(keyspace: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the keyspace {keyspace} holds no key store: `hourseal store init` creates it"
    ))
}

fn not_agreed(why: &str) -> StoreError {
    StoreError::Unavailable(format!("the nodes do not agree on the schema yet ({why})"))
}
