//! Creates a store in a keyspace, opens it, and refuses a store that belongs to another vault or version.

use std::sync::Arc;

use scylla::client::session::Session;

use super::ask::Ask;
use super::definition::{agree, agree_soon, define, refresh};
use super::fault::malformed;
use super::lifetime::Lifetimes;
use super::metrics::StoreMetrics;
use super::names::Names;
use super::prepare::Preparer;
use super::schema::{Step, known};
use super::server::Server;
use super::session::{Profiles, SessionOptions};
use super::settings::{Settings, enter, nothing_here};
use super::upgrade::{execute, upgrade};
use super::{ScyllaStore, Statements};
use crate::envelope::random;
use crate::keys::{SchemaMismatch, StoreError, TokenKey};
use crate::model::{Clock, Retention, VaultId};

/// Options for creating and opening a store.
#[derive(Clone)]
pub struct ScyllaOptions {
    pub session: SessionOptions,
    /// Lower-case letters, digits and underscores. The store uses the whole keyspace.
    pub keyspace: String,
    /// Replicas in each data centre; used only when the keyspace is created.
    pub replication: u8,
    /// The KEK vault that the store belongs to permanently.
    pub vault: VaultId,
    /// Seeds a new store; an existing one keeps its own.
    pub default_retention: Retention,
    /// Seeds a new store, in milliseconds; an existing one keeps its own.
    pub max_lease_ms: u64,
    pub lifetimes: Lifetimes,
    /// [`STEPS`](super::STEPS), except in a test of the steps.
    pub steps: &'static [Step],
    pub clock: Arc<dyn Clock>,
    pub metrics: StoreMetrics,
}

impl ScyllaOptions {
    /// The schema version that a program with these options uses.
    pub fn schema_version(&self) -> u32 {
        known(self.steps)
    }
}

/// Creates the missing parts, in order: keyspace, tables, identity. Upgrades an older schema to this
/// program's version. Returns one line for each change. It is safe to repeat at any time. Several
/// processes may upgrade a store at once, but only one process may create a new store.
///
/// # Errors
/// [`StoreError::Schema`] for a newer store, [`StoreError::Unusable`] for a server, a keyspace or a store
/// that does not fit. It does not change such a store.
pub async fn init(options: &ScyllaOptions) -> Result<Vec<String>, StoreError> {
    let (session, profiles) = options.session.connect(&options.keyspace).await?;
    let server = Server::ask(&session).await?;
    let mut done = Vec::new();
    agree(&session).await?;
    refresh(&session).await?;
    if session.get_cluster_state().get_keyspace(&options.keyspace).is_none() {
        let create = server.create_keyspace(&options.keyspace, options.replication)?;
        define(&session, &create).await?;
        done.push(format!("created the keyspace {}: {create}", options.keyspace));
    }
    if enter(&session, &options.keyspace, true).await?.is_none() {
        for step in options.steps {
            execute(&session, step).await?;
        }
        done.push(format!("created the tables: schema version {}", options.schema_version()));
        if generate_identity(&session, &profiles, options).await? {
            done.push("generated the store's identity".to_owned());
        }
    }
    // Another process may have created the store first: its vault must be this one.
    let found = Settings::read(&session).await?.ok_or_else(|| nothing_here(&options.keyspace))?;
    match found.check_version(options.steps) {
        Err(StoreError::Schema(SchemaMismatch::Older { .. })) => {
            found.check_vault(options)?;
            let line = |step: &Step| {
                format!("upgraded the schema from version {} to {}: {}", step.to - 1, step.to, step.what)
            };
            done.extend(upgrade(&session, &profiles, options.steps).await?.into_iter().map(line));
        }
        version => version?,
    }
    let found = Settings::read(&session).await?;
    ScyllaStore::over(session, &profiles, options.clone(), found).await?;
    Ok(done)
}

/// Generates the store's identity unless it has one. Returns true when this call generated it.
async fn generate_identity(
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
    let mut insert = session.prepare(text + "APPLY BATCH").await?;
    insert.set_execution_profile_handle(Some(profiles.lwt.clone()));
    let values = (
        store_id.to_vec(),
        options.vault.0.to_vec(),
        number(options.schema_version().into()),
        token_key.expose().to_vec(),
        number(options.max_lease_ms),
        number(options.default_retention.as_hours().into()),
    );
    // Whatever the outcome, a SERIAL read shows whether the store has an identity, and whether it is ours.
    let outcome = session.execute_unpaged(&insert, values).await;
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
    /// [`StoreError::Schema`] for another schema version. [`StoreError::Unusable`] for a keyspace without a
    /// store, another vault (the error names both ids) or missing rights. [`StoreError::Unavailable`] when
    /// the cluster does not answer.
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
        settings.check_version(options.steps)?;
        settings.check_vault(&options)?;
        let token_key =
            TokenKey::from_slice(settings.bytes("token_key")?).ok_or_else(|| malformed("token_key"))?;
        let statements = Statements::prepare(&Preparer { session: &session, profiles }).await?;
        let schema = options.schema_version();
        let mut probe = [0; 16];
        random(&mut probe);
        Ok(Self {
            ask: Ask { session, metrics: options.metrics },
            statements,
            token_key: Arc::new(token_key),
            schema,
            lifetimes: options.lifetimes,
            clock: options.clock,
            names: Names::default(),
            probe: hex::encode(probe),
        })
    }

    /// Sets the metric of open connections.
    pub(super) fn publish_connections(&self) {
        self.ask.metrics.connected(self.ask.session.get_metrics().get_total_connections());
    }
}
