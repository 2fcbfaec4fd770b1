//! Why topics could not be checked or created.

use super::Finding;
use crate::edge::kafka::NoBroker;

/// Why the check or the creation of the topics failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// librdkafka refuses a setting, or the client fails in another way than by a broker's answer.
    #[error("the kafka client failed: {0}")]
    Client(String),
    /// A right is missing.
    #[error("the right {right} is denied for {}", list(topics))]
    Denied { right: &'static str, topics: Vec<String> },
    /// The right to see the offsets of a consumer group is missing.
    #[error("the right DESCRIBE is denied for group `{0}`")]
    GroupDenied(String),
    /// Required topics do not exist.
    #[error("{} not exist", list(.0) + if .0.len() == 1 { " does" } else { " do" })]
    Missing(Vec<String>),
    /// The cluster did not create these topics.
    #[error("could not create {}: {why}", list(topics))]
    NotCreated { topics: Vec<String>, why: String },
    /// Existing topics break a rule.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Finding>),
    /// No broker answers.
    #[error(transparent)]
    NoBroker(#[from] NoBroker),
}

impl AdminError {
    /// Whether waiting may help (exit code 69). Otherwise a person has to change something (78).
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::NoBroker(why) if !why.is_configuration())
    }

    /// The action that the reader can take.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Client(_) => "check [kafka.client] in the configuration",
            Self::Denied { .. } => {
                "grant the right, or let an administrator create the topics and set `topics.create = false`"
            }
            Self::GroupDenied(_) => "grant the right DESCRIBE on the group",
            Self::Missing(_) => "create them with `hourseal topics create`, or set `topics.create = true`",
            Self::NotCreated { .. } => "check the brokers' logs; `hourseal topics check` lists the topics",
            Self::Refused(_) => "change these settings; hourseal never changes an existing topic or broker",
            Self::NoBroker(why) => why.hint(),
        }
    }
}

/// `topics `a`, `b``, or `topic `a``.
fn list(topics: &[String]) -> String {
    let names = topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ");
    format!("topic{} {names}", if topics.len() == 1 { "" } else { "s" })
}
