//! Why a configuration is refused. No text quotes what may be a secret.

use std::path::PathBuf;

/// One broken rule of the configuration; exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A librdkafka setting that would break a promise.
    #[error("`kafka.{map}.{key}` cannot be set: {reason}")]
    Denied { map: &'static str, key: String, reason: &'static str },
    /// The file, or a file that a `*_file` names, cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    /// The file is no TOML.
    #[error("{} line {line} is no TOML: {why}", path.display())]
    Syntax { path: PathBuf, line: usize, why: String },
    /// A password or key stands where only settings may.
    #[error("`kafka.{map}.{key}` is a secret and cannot stand in the configuration")]
    Secret { map: &'static str, key: String },
    /// A flag or variable that is no `section.key=value`; it is named, and what it holds is not.
    #[error("{0} is no section.key=value")]
    NoAssignment(String),
    /// A value is wrong by itself.
    #[error("`{key}` {why}{}", from.as_ref().map(|from| format!(" ({from})")).unwrap_or_default())]
    Value { key: String, why: String, from: Option<String> },
    /// Values that are right by themselves contradict each other.
    #[error("{why}")]
    Contradiction { why: String, hint: &'static str },
}

impl ConfigError {
    /// A value that is wrong by itself.
    pub(super) fn value(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value { key: key.into(), why: why.into(), from: None }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Denied { .. } => "remove the key; `hourseal config show` prints where each value came from",
            Self::Unreadable { .. } => {
                "check the path (relative ones start at the working directory) and its mode"
            }
            Self::Syntax { .. } => "compare with `hourseal config show`, which prints valid TOML",
            Self::Secret { key, .. } if key == "sasl.password" => {
                "put it into a file and set `kafka.sasl_password_file`"
            }
            Self::Secret { key, .. } if key == "ssl.key.password" => {
                "put it into a file and set `kafka.ssl_key_password_file`"
            }
            Self::Secret { .. } => "give a file instead, for example `ssl.key.location`",
            Self::NoAssignment(_) => "for example: --set lane.batch_time=50ms",
            Self::Value { .. } => "`hourseal config show` prints every key with its value and its origin",
            Self::Contradiction { hint, .. } => hint,
        }
    }
}
