//! The schema's steps, and the upgrade from an older version to this program's version.
//!
//! Promise: a step and the version that it leads to are written in one transaction. A file never reports a
//! version that it does not have. A process that dies leaves the previous version.
//! Not here: comparing versions (`keys::SchemaMismatch`), a store's identity (`open.rs`).

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::db::in_transaction;
use super::fault::malformed;
use crate::keys::{SchemaMismatch, StoreError, parse_schema_version};

/// From one schema version to the next. A released step never changes.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The version that the step leads to; the one before it is `to - 1`.
    pub to: u32,
    /// Describes the additions, for people.
    pub what: &'static str,
    /// Statements that only add. They neither begin nor commit a transaction.
    pub sql: &'static str,
}

/// Every step, from version 1 without a gap.
pub static STEPS: &[Step] = &[
    Step { to: 1, what: "the tables", sql: include_str!("../../../schemas/keystore.sql") },
    Step {
        to: 2,
        what: "topics of started partitions, placements of output topics",
        sql: include_str!("../../../schemas/keystore.2.sql"),
    },
];

/// The version that a program with these steps uses.
///
/// # Panics
/// Without a step.
pub(super) fn known(steps: &[Step]) -> u32 {
    steps.last().expect("version 1 is a step").to
}

/// The version of the store in the file; `None` if there is no store.
///
/// # Errors
/// [`StoreError::Unusable`] if the version cannot be read. Nothing is assumed about such a file.
pub(super) fn found(connection: &Connection) -> Result<Option<u32>, StoreError> {
    let has_meta = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'";
    if !connection.query_row(has_meta, [], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    version(connection).map(Some)
}

/// As [`found`], for a file that contains a store.
pub(super) fn version(connection: &Connection) -> Result<u32, StoreError> {
    let version: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = 'schema_version'", [], |row| row.get(0))
        .optional()?;
    version.as_deref().and_then(parse_schema_version).ok_or_else(|| malformed("schema_version"))
}

/// Executes the steps after the file's version, each in its own transaction. Returns the steps that this call
/// executed. Several processes may do so at once: each step begins by reading the version again.
///
/// # Errors
/// [`StoreError::Schema`] for a newer file. [`StoreError::Unavailable`] while another process holds the lock.
pub(super) fn upgrade(
    connection: &mut Connection,
    steps: &'static [Step],
) -> Result<Vec<&'static Step>, StoreError> {
    let mut done = Vec::new();
    while let Some(step) = in_transaction(connection, |tx| execute_next(tx, steps))? {
        done.push(step);
    }
    Ok(done)
}

/// Executes the step after the current version. Returns `None` if the version is that of the last step.
fn execute_next(tx: &Transaction<'_>, steps: &'static [Step]) -> Result<Option<&'static Step>, StoreError> {
    let found = version(tx)?;
    let Err(mismatch) = SchemaMismatch::check(found, known(steps)) else { return Ok(None) };
    let step = steps.iter().find(|step| step.to == found + 1).ok_or(mismatch)?;
    tx.execute_batch(step.sql)?;
    let version = step.to.to_string().into_bytes();
    tx.execute("UPDATE meta SET value = ?1 WHERE name = 'schema_version'", [version])?;
    Ok(Some(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_from_1_without_a_gap() {
        let numbers: Vec<u32> = STEPS.iter().map(|step| step.to).collect();
        assert_eq!(numbers, (1..=known(STEPS)).collect::<Vec<_>>());
    }

    #[test]
    fn a_step_adds_and_neither_ends_its_transaction_nor_takes_anything_away() {
        for step in STEPS {
            let code: Vec<&str> =
                step.sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
            let code = code.join("\n");
            for statement in code.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                let adds = ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "];
                let adds = adds.iter().any(|verb| statement.starts_with(verb))
                    || statement.starts_with("ALTER TABLE ") && statement.contains(" ADD COLUMN ");
                assert!(adds, "step {}: {statement}", step.to);
            }
        }
    }
}
