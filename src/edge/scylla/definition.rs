//! Statements that define something, and the nodes' agreement on it.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::unprepared::Statement;

use crate::keys::StoreError;

/// Executes a statement that defines something: all nodes have to agree on it, which takes longer than a read
/// may.
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
