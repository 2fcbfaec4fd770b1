//! Statements are prepared once, when a store is opened, each with everything that it is executed with.
//!
//! Markers are named, and a struct that derives `SerializeRow` binds them by these names. ScyllaDB takes
//! markers of one name for one; Apache Cassandra asks for a value for each of them. The driver serves both,
//! so that a name must mean one value in the whole of a statement. A conditional batch is prepared as one
//! text, so that its conditions go one way.

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use super::session::Profiles;
use crate::keys::StoreError;

/// Prepares statements with one of the two profiles.
pub(super) struct Preparer<'s> {
    pub(super) session: &'s Session,
    pub(super) profiles: &'s Profiles,
}

impl Preparer<'_> {
    /// A read or an idempotent write.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a schema that it does not fit, or missing rights; so for the others.
    pub(super) async fn plain(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text, &self.profiles.read).await?;
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    /// A read that finishes what is under way on its partition.
    pub(super) async fn serial(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text, &self.profiles.lwt).await?;
        statement.set_consistency(Consistency::Serial);
        Ok(statement)
    }

    /// A conditional statement: never idempotent, so that nobody sends it twice.
    pub(super) async fn cas(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        self.prepare(text, &self.profiles.lwt).await
    }

    async fn prepare(
        &self,
        text: &str,
        profile: &ExecutionProfileHandle,
    ) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.session.prepare(text).await?;
        statement.set_execution_profile_handle(Some(profile.clone()));
        Ok(statement)
    }
}
