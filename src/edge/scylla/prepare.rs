//! Statements are prepared once, when a store is opened, each with its profile, consistency and idempotence.
//!
//! Markers are named, and a struct that derives `SerializeRow` binds them by these names. ScyllaDB treats
//! markers of the same name as one; Apache Cassandra requires a value for each of them. The driver handles
//! both, so a name must mean one value in the whole statement. A conditional batch is prepared as one text,
//! so that all its conditions take the same path.

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use super::session::Profiles;
use crate::keys::StoreError;

/// Declares a file's `Statements`: the name, the method that prepares it ([`Preparer`]), and the text.
macro_rules! statements {
    ($($name:ident: $how:ident($text:expr),)*) => {
        pub(super) struct Statements {
            $(pub(super) $name: scylla::statement::prepared::PreparedStatement,)*
        }

        impl Statements {
            pub(super) async fn prepare(
                preparer: &super::prepare::Preparer<'_>,
            ) -> Result<Self, crate::keys::StoreError> {
                Ok(Self { $($name: preparer.$how($text).await?,)* })
            }
        }
    };
}
pub(super) use statements;

/// Prepares statements with one of the two profiles.
pub(super) struct Preparer<'s> {
    pub(super) session: &'s Session,
    pub(super) profiles: &'s Profiles,
}

impl Preparer<'_> {
    /// A read or an idempotent write.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if it does not fit the schema, or if rights are missing. The other two
    /// methods return the same errors.
    pub(super) async fn plain(&self, text: impl AsRef<str>) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text.as_ref(), &self.profiles.read).await?;
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    /// A read that finishes pending transactions on its partition.
    pub(super) async fn serial(&self, text: impl AsRef<str>) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text.as_ref(), &self.profiles.lwt).await?;
        statement.set_consistency(Consistency::Serial);
        Ok(statement)
    }

    /// A conditional statement: never idempotent, so that the driver does not send it twice.
    pub(super) async fn cas(&self, text: impl AsRef<str>) -> Result<PreparedStatement, StoreError> {
        self.prepare(text.as_ref(), &self.profiles.lwt).await
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
