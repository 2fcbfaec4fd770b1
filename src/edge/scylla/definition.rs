//! Executes statements that change the schema or roles, and waits for the nodes to agree on the schema.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::unprepared::Statement;

use crate::keys::StoreError;

/// Executes a statement that changes the schema or roles. All nodes must agree on it, which takes longer than
/// the limit for a read.
pub(super) async fn define(session: &Session, text: &str) -> Result<(), StoreError> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(Duration::from_secs(30)));
    session.query_unpaged(statement, ()).await?;
    Ok(())
}

/// Waits until all reachable nodes have the same schema: a change takes a moment to reach every node.
///
/// # Errors
/// [`StoreError::Unavailable`] if they do not agree within 30 s.
pub(super) async fn agree(session: &Session) -> Result<(), StoreError> {
    let agreed = session.await_schema_agreement().await;
    agreed.map(drop).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// As [`agree`], for 5 s: nodes that are being upgraded disagree for hours, and work nevertheless.
pub(super) async fn agree_soon(session: &Session) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(5), agree(session)).await, Ok(Ok(())))
}

/// Makes the driver read the schema again.
pub(super) async fn refresh(session: &Session) -> Result<(), StoreError> {
    session.refresh_metadata().await.map_err(|error| StoreError::Unavailable(error.to_string()))
}
