//! How a command fails: an exit code, one line, and a hint on its own line.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::edge::kafka::admin::AdminError;
use crate::edge::kafka::sample::SampleError;
use crate::edge::kafka::scan::ScanError;

/// The exit codes, as in sysexits.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done, or drained.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// Something that the command depends on is away: trying again may help.
    Dependency = 69,
    /// A bug.
    Bug = 70,
    /// A person has to change something: configuration, topics, rights, files.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without doing what it was asked for.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Config, error.to_string()).hint(error.hint())
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let exit = if error.is_outage() { Exit::Dependency } else { Exit::Config };
        Self::new(exit, error.to_string()).hint(error.hint())
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        let (exit, hint) = match &error {
            ScanError::Client(_) => (Exit::Config, "check [kafka.client] in the configuration"),
            ScanError::Denied(_) => (Exit::Config, "grant the right to the principal that reads"),
            ScanError::Missing(_) => {
                (Exit::Config, "check the topic's name; `hourseal topics check` lists ours")
            }
            ScanError::Unreachable { .. } => {
                (Exit::Dependency, "check that the broker runs and `kafka.bootstrap` names it")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        let exit = if matches!(error, SampleError::Client(_)) { Exit::Config } else { Exit::Dependency };
        Self::new(exit, error.to_string())
            .hint("check that the broker runs and the topic is there (`hourseal topics check`)")
    }
}

/// Prints the error and answers the exit code. An error that no command has classified is a bug of ours.
pub fn report(error: &anyhow::Error) -> Exit {
    let failure = error.downcast_ref::<Failure>();
    let (exit, hint) = failure.map_or((Exit::Bug, None), |failure| (failure.exit, failure.hint.as_deref()));
    let mut stderr = std::io::stderr().lock();
    let (red, plain) = if stderr.is_terminal() { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
    // Nothing can be done about a closed stderr.
    let _ = writeln!(stderr, "{red}error:{plain} {error:#}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "hint:  {hint}");
    }
    exit
}
