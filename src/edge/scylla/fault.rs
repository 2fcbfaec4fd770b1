//! Classifies the driver's errors: the caller waits, a person must act, or the outcome must be found out.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError, UseKeyspaceError,
};

use crate::keys::StoreError;

/// The fate of a statement that did not get a proper answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It was not executed and will not be: it was refused before it began.
    NotDone,
    /// It may have been executed, or may still be.
    Unknown,
}

/// Whether the server may have executed the statement. Only an error that excludes it is [`Fate::NotDone`].
pub(super) fn fate(error: &ExecutionError) -> Fate {
    match error {
        ExecutionError::BadQuery(_) | ExecutionError::EmptyPlan | ExecutionError::PrepareError(_) => {
            Fate::NotDone
        }
        ExecutionError::ConnectionPoolError(_) => Fate::NotDone,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => db_fate(error),
        ExecutionError::LastAttemptError(_)
        | ExecutionError::RequestTimeout(_)
        | ExecutionError::UseKeyspaceError(_)
        | ExecutionError::SchemaAgreementError(_)
        | ExecutionError::MetadataError(_) => Fate::Unknown,
        _ => Fate::Unknown,
    }
}

fn db_fate(error: &DbError) -> Fate {
    match error {
        DbError::SyntaxError
        | DbError::Invalid
        | DbError::AlreadyExists { .. }
        | DbError::AuthenticationError
        | DbError::Unauthorized
        | DbError::ConfigError
        | DbError::IsBootstrapping
        | DbError::Unprepared { .. }
        | DbError::ProtocolError => Fate::NotDone,
        // Also `Unavailable`: in a transaction it can come from the learn phase, after the decision.
        _ => Fate::Unknown,
    }
}

/// Whether a replica began to read and gave up, for example because it met too many deleted rows
/// (`READ_TOO_MANY_TOMBSTONES`). The protocol does not report the cause.
pub(super) fn was_given_up(error: &ExecutionError) -> bool {
    let failed = |error: &DbError| matches!(error, DbError::ReadFailure { .. });
    matches!(error, ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) if failed(error))
}

impl From<ExecutionError> for StoreError {
    /// The texts name keyspace, tables and consistency levels, never values.
    fn from(error: ExecutionError) -> Self {
        match &error {
            ExecutionError::BadQuery(_) => Self::Unusable(error.to_string()),
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(kind, text))
                if needs_a_person(kind) =>
            {
                Self::Unusable(format!("{kind}: {text}"))
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PrepareError> for StoreError {
    fn from(error: PrepareError) -> Self {
        match &error {
            PrepareError::AllAttemptsFailed { first_attempt: RequestAttemptError::DbError(kind, text) }
                if needs_a_person(kind) =>
            {
                Self::Unusable(format!("{kind}: {text}"))
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<UseKeyspaceError> for StoreError {
    fn from(error: UseKeyspaceError) -> Self {
        match &error {
            UseKeyspaceError::RequestTimeout(_) => Self::Unavailable(error.to_string()),
            UseKeyspaceError::RequestError(RequestAttemptError::DbError(kind, _)) if needs_a_person(kind) => {
                Self::Unusable(format!(
                    "the keyspace cannot be used ({error}): `hourseal store init` creates it"
                ))
            }
            UseKeyspaceError::RequestError(_) => Self::Unavailable(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}

impl From<NewSessionError> for StoreError {
    fn from(error: NewSessionError) -> Self {
        let text = error.to_string();
        if are_credentials_wrong(&error) { Self::Unusable(text) } else { Self::Unavailable(text) }
    }
}

/// Whether the last node that the driver tried refused this user, or requires a user and got none.
fn are_credentials_wrong(error: &NewSessionError) -> bool {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
    })) = error
    else {
        return false;
    };
    is_about_credentials(setup.get_error())
}

fn is_about_credentials(kind: &ConnectionSetupRequestErrorKind) -> bool {
    use ConnectionSetupRequestErrorKind as Kind;
    matches!(
        kind,
        Kind::DbError(DbError::AuthenticationError | DbError::Unauthorized, _)
            | Kind::MissingAuthentication
            | Kind::StartAuthSessionError(_)
            | Kind::AuthChallengeEvaluationError(_)
            | Kind::AuthFinishError(_)
    )
}

/// Whether a person must act: waiting does not help.
fn needs_a_person(error: &DbError) -> bool {
    matches!(
        error,
        DbError::SyntaxError
            | DbError::Invalid
            | DbError::AuthenticationError
            | DbError::Unauthorized
            | DbError::ConfigError
            | DbError::ProtocolError
    )
}

/// A setting or a list of the store that this version cannot have written.
pub(super) fn malformed(what: &str) -> StoreError {
    StoreError::Unusable(format!("malformed {what}"))
}

/// A row of a customer or of a KEK that this version cannot have written.
pub(super) fn malformed_row(what: &str) -> StoreError {
    StoreError::Row(format!("malformed {what}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_keyspace_is_missing_only_where_a_node_says_so() {
        let said = RequestAttemptError::DbError(DbError::Invalid, "Keyspace 'k' does not exist".to_owned());
        let missing = StoreError::from(UseKeyspaceError::RequestError(said)).to_string();
        assert!(
            missing.contains("'k' does not exist") && missing.contains("`hourseal store init`"),
            "{missing}"
        );
        let busy = RequestAttemptError::DbError(DbError::Overloaded, String::new());
        let silent = [
            UseKeyspaceError::RequestTimeout(Duration::from_secs(3)),
            UseKeyspaceError::RequestError(busy),
            UseKeyspaceError::RequestError(RequestAttemptError::UnableToAllocStreamId),
        ];
        for error in silent {
            assert!(matches!(StoreError::from(error), StoreError::Unavailable(_)));
        }
    }

    #[test]
    fn credentials_are_wrong_where_the_server_says_so_and_not_where_a_text_does() {
        use ConnectionSetupRequestErrorKind::{MissingAuthentication, UnableToAllocStreamId};
        let said =
            |error| ConnectionSetupRequestErrorKind::DbError(error, "Authentication, credentials".to_owned());
        for (kind, expected) in [
            (MissingAuthentication, true),
            (said(DbError::AuthenticationError), true),
            (said(DbError::Unauthorized), true),
            (said(DbError::Overloaded), false),
            (said(DbError::IsBootstrapping), false),
            (UnableToAllocStreamId, false),
        ] {
            assert_eq!(is_about_credentials(&kind), expected, "{kind}");
        }
        let nobody = NewSessionError::FailedToResolveAnyHostname(vec!["credentials.example".to_owned()]);
        assert!(matches!(StoreError::from(nobody), StoreError::Unavailable(_)));
    }
}
