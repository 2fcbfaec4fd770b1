//! A rule that the cluster breaks.

use std::fmt;

/// The topic or broker whose setting breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    Topic(String),
    /// A broker by its id.
    Broker(i32),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic `{name}`"),
            Self::Broker(id) => write!(f, "broker {id}"),
        }
    }
}

/// A setting that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub subject: Subject,
    pub setting: &'static str,
    pub found: String,
    pub wanted: String,
    pub why: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, setting, found, wanted, why } = self;
        write!(f, "{subject}: {setting} is {found}, wanted {wanted}: {why}")
    }
}
