//! The schema's migrations: numbered, applied in their order, refused when the keyspace is newer than this program.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::unprepared::Statement;

use crate::keys::StoreError;

/// Each with its number. A released one never changes.
const MIGRATIONS: [(u32, &str); 1] = [(1, include_str!("../../../schemas/keystore.cql"))];

/// What this program reads and writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Applies every migration above `from` in the session's keyspace. Each statement may be executed again, so that one cut
/// short is finished by the next run.
pub(super) async fn migrate(session: &Session, from: u32) -> Result<(), StoreError> {
    for (_, text) in MIGRATIONS.iter().filter(|(version, _)| *version > from) {
        for statement in statements(text) {
            define(session, &statement).await?;
        }
    }
    Ok(())
}

/// Executes a statement that defines something: all nodes have to agree on it, which takes longer than a read may.
pub(super) async fn define(session: &Session, text: &str) -> Result<(), StoreError> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(Duration::from_secs(30)));
    session.query_unpaged(statement, ()).await?;
    Ok(())
}

/// Waits until all nodes that can be reached have the same schema: a change takes a moment to be everywhere.
///
/// # Errors
/// [`StoreError::Unavailable`] where they have not in half a minute.
pub(super) async fn agree(session: &Session) -> Result<(), StoreError> {
    let agreed = session.await_schema_agreement().await;
    agreed.map(drop).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// As [`agree`], for 5 seconds: nodes that are being upgraded do not agree for hours, and work all the same.
pub(super) async fn agree_soon(session: &Session) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(5), agree(session)).await, Ok(Ok(())))
}

/// Has the driver read the schema anew.
pub(super) async fn refresh(session: &Session) -> Result<(), StoreError> {
    session.refresh_metadata().await.map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// # Errors
/// [`StoreError::Unusable`] for a version other than this program's, saying which of the two is to be changed.
pub(super) fn check_version(found: u32) -> Result<(), StoreError> {
    let why = match found.cmp(&SCHEMA_VERSION) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "`hourseal store init` applies what is missing",
        std::cmp::Ordering::Greater => "this program is too old for it",
    };
    Err(StoreError::Unusable(format!(
        "its schema is version {found}, this program knows {SCHEMA_VERSION}: {why}"
    )))
}

/// The statements of a migration: comments dropped, split at semicolons that end a line.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> =
        text.lines().map(|line| line.split("--").next().unwrap_or_default().trim_end()).collect();
    let code = code.join("\n") + "\n";
    code.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_from_1_without_a_gap() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|(version, _)| *version).collect();
        assert_eq!(numbers, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    }

    #[test]
    fn every_statement_creates_a_table_and_may_be_executed_again() {
        let all: Vec<String> = MIGRATIONS.iter().flat_map(|(_, text)| statements(text)).collect();
        assert_eq!(all.len(), 12);
        for statement in all {
            assert!(statement.starts_with("CREATE TABLE IF NOT EXISTS "), "{statement}");
            assert!(!statement.contains("--") && !statement.contains(';'), "{statement}");
        }
    }

    #[test]
    fn another_version_is_refused_with_what_to_do() {
        assert!(check_version(SCHEMA_VERSION).is_ok());
        let why = |version| check_version(version).expect_err("another version").to_string();
        assert!(why(0).ends_with("`hourseal store init` applies what is missing"), "{}", why(0));
        assert!(why(SCHEMA_VERSION + 1).ends_with("this program is too old for it"));
    }
}
