//! Upgrades the schema from an older version to this program's version.
//!
//! Promise: the version is written after the step took effect on every reachable node, by compare-and-set,
//! one step at a time. A keyspace never reports a version that it does not have. A process that dies leaves
//! the previous version, and the next process executes the step again. Several processes may upgrade at once:
//! one executes, the others wait.
//! Not here: the steps themselves (`schema.rs`).

use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::serialize::row::SerializeRow;
use scylla::statement::unprepared::Statement;

use super::cells::cells;
use super::definition::{agree, define};
use super::fault::{Fate, fate, malformed};
use super::schema::{Change, Step, known};
use super::session::Profiles;
use super::settings::Settings;
use crate::envelope::random;
use crate::keys::{SchemaMismatch, StoreError};

/// Lets one process at a time execute steps, because servers have problems when several clients define one
/// table at once. After a process died, the others wait until the TTL expires. The version does not depend on
/// this row: steps are repeatable, and the version is compared.
const TAKE: &str =
    "INSERT INTO meta (part, name, value) VALUES ('store', 'upgrader', ?) IF NOT EXISTS USING TTL 60";
const GIVE_BACK: &str = "DELETE FROM meta WHERE part = 'store' AND name = 'upgrader' IF value = ?";
const ADVANCE: &str =
    "UPDATE meta SET value = ? WHERE part = 'store' AND name = 'schema_version' IF value = ?";

/// Longest wait for other processes' steps and for known outcomes.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(250);

/// Executes the steps after the store's version. Returns the steps that this call executed.
///
/// # Errors
/// [`StoreError::Schema`] for a newer store. [`StoreError::Unavailable`] if it is not upgraded after 180 s,
/// for example because another process is still upgrading it.
pub(super) async fn upgrade(
    session: &Session,
    profiles: &Profiles,
    steps: &'static [Step],
) -> Result<Vec<&'static Step>, StoreError> {
    let mut me = vec![0; 16];
    random(&mut me);
    let upgrade = Upgrade { session, profiles, steps, me };
    let mut done = Vec::new();
    let outcome = upgrade.run(&mut done).await;
    // If this fails, the row expires.
    let _ = upgrade.write(GIVE_BACK, (upgrade.me.clone(),)).await;
    outcome.map(|()| done)
}

/// Executes a step, and waits until the nodes agree on the schema. It is safe to repeat at any time.
pub(super) async fn execute(session: &Session, step: &Step) -> Result<(), StoreError> {
    for change in step.changes()? {
        match &change {
            Change::Table(statement) => define(session, statement).await?,
            Change::Column { .. } => add_column(session, &change).await?,
        }
    }
    agree(session).await
}

struct Upgrade<'a> {
    session: &'a Session,
    profiles: &'a Profiles,
    steps: &'static [Step],
    /// Id of this process in the row `upgrader`.
    me: Vec<u8>,
}

impl Upgrade<'_> {
    /// Each turn reads the settings at SERIAL, which settles an unknown outcome of the previous turn.
    async fn run(&self, done: &mut Vec<&'static Step>) -> Result<(), StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let settings = Settings::settled(self.session, self.profiles).await?;
            let settings = settings.ok_or_else(|| malformed("meta"))?;
            let found = settings.schema_version()?;
            let Err(mismatch) = SchemaMismatch::check(found, known(self.steps)) else { return Ok(()) };
            let step = self.steps.iter().find(|step| step.to == found + 1).ok_or(mismatch)?;
            match settings.upgrader() {
                None => self.write(TAKE, (self.me.clone(),)).await?,
                Some(it) if it == self.me => {
                    execute(self.session, step).await?;
                    if !done.iter().any(|it| it.to == step.to) {
                        done.push(step);
                    }
                    self.write(ADVANCE, (text(step.to), text(found))).await?;
                }
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
            if Instant::now() >= until {
                let why = "another process is still upgrading its schema, or outcomes stay unknown";
                return Err(StoreError::Unavailable(why.to_owned()));
            }
        }
    }

    /// Executes a conditional statement. The next read shows whether it was applied.
    ///
    /// # Errors
    /// Only if the statement was certainly not applied.
    async fn write(&self, statement: &str, values: impl SerializeRow) -> Result<(), StoreError> {
        let mut statement = Statement::new(statement);
        statement.set_execution_profile_handle(Some(self.profiles.lwt.clone()));
        match self.session.query_unpaged(statement, values).await {
            Err(error) if fate(&error) == Fate::NotDone => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Adds a column unless it exists.
async fn add_column(session: &Session, change: &Change) -> Result<(), StoreError> {
    let Change::Column { table, column, kind, statement } = change else { return Ok(()) };
    if has_column(session, table, column, kind).await? {
        return Ok(());
    }
    match define(session, statement).await {
        // Another process was first, or the reply to this statement came too late.
        Err(_) if has_column(session, table, column, kind).await? => Ok(()),
        added => added,
    }
}

/// # Errors
/// [`StoreError::Unusable`] for a column of that name with another type.
async fn has_column(session: &Session, table: &str, column: &str, kind: &str) -> Result<bool, StoreError> {
    let keyspace = session.get_keyspace().ok_or_else(|| malformed("keyspace"))?;
    let ask = "SELECT type FROM system_schema.columns
               WHERE keyspace_name = ? AND table_name = ? AND column_name = ?";
    let rows = cells(session.query_unpaged(ask, (keyspace.as_str(), table, column)).await?)?;
    let Some(row) = rows.first() else { return Ok(false) };
    let is = row.text("type")?.unwrap_or_default();
    let bare = |kind: &str| kind.replace(' ', "").to_lowercase();
    if bare(is) == bare(kind) {
        return Ok(true);
    }
    Err(StoreError::Unusable(format!("its column {table}.{column} is of type {is}, not {kind}")))
}

fn text(version: u32) -> Vec<u8> {
    version.to_string().into_bytes()
}
