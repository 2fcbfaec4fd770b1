//! Why a control record is not a command.

/// Why a control record is no command: it is counted and left alone, without a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotACommand {
    #[error("it has no value")]
    NoValue,
    #[error("it is {0} bytes long")]
    TooLarge(usize),
    #[error("it is no JSON object")]
    NotAnObject,
    #[error("it breaks the schema at line {line} column {column}")]
    Malformed { line: usize, column: usize },
    /// Of a command, a hold or an issuer.
    #[error("an id in it is {0} bytes long, or reserved")]
    Id(usize),
    #[error("it has fields that do not belong to its type, or lacks some")]
    Fields,
    #[error("it is signed and lacks issuer, deployment, not_before or expires")]
    Terms,
    #[error("its envelope holds something else than a command of Hourseal, or no base64")]
    Envelope,
}

impl NotACommand {
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed { line: error.line(), column: error.column() }
    }
}
