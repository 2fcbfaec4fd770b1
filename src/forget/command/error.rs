//! The reasons why a control record is not a command.

/// The reason why a control record is not a command. The executor counts such a record and writes no receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotACommand {
    #[error("it has no value")]
    NoValue,
    #[error("it is {0} bytes long, which is too long")]
    TooLarge(usize),
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("it breaks the schema at line {line} column {column}")]
    Malformed { line: usize, column: usize },
    /// The id of a command, of a hold or of an issuer.
    #[error("an id in it is {0} bytes long: an id has 1 to 128 bytes and does not begin with `~`")]
    Id(usize),
    #[error("its fields do not fit its type, or its deployment or a time is malformed")]
    Fields,
    #[error("it is signed, but lacks issuer, deployment, not_before or expires")]
    Terms,
    #[error("its envelope has another payloadType, invalid base64, or more than 16 signatures")]
    Envelope,
}

impl NotACommand {
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed { line: error.line(), column: error.column() }
    }
}
