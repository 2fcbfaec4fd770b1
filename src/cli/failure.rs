//! How a command fails: an exit code, one line, and a hint on its own line.

use std::io::{IsTerminal as _, Write as _};

use crate::app::Failure;
use crate::config::ConfigError;
use crate::edge::kafka::sample::SampleError;
use crate::edge::kafka::scan::ScanError;

/// Done, or drained.
pub const OK: u8 = 0;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// A command was refused, or carried out in part.
pub const REFUSED: u8 = 65;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Failure::CONFIG, error.to_string()).hint(error.hint())
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        let (exit, hint) = match &error {
            ScanError::Client(_) => (Failure::CONFIG, "check [kafka.client] in the configuration"),
            ScanError::Denied(_) => (Failure::CONFIG, "grant the right to the principal that reads"),
            ScanError::Missing(_) => {
                (Failure::CONFIG, "check the topic's name; `hourseal topics check` lists ours")
            }
            ScanError::Unreachable { .. } => {
                (Failure::DEPENDENCY, "check that the broker runs and `kafka.bootstrap` names it")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        let (exit, hint) = match &error {
            SampleError::Client(_) => (Failure::CONFIG, "check [kafka.client] in the configuration"),
            SampleError::Missing(_) => (Failure::CONFIG, "create it with `hourseal topics create`"),
            SampleError::NotTaken(_) => {
                (Failure::DEPENDENCY, "check that the broker runs and `kafka.bootstrap` names it")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

/// Prints a warning: the command goes on.
pub fn warn(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let (yellow, plain) = if stderr.is_terminal() { ("\u{1b}[33m", "\u{1b}[0m") } else { ("", "") };
    // Nothing can be done about a closed stderr.
    let _ = writeln!(stderr, "{yellow}warning:{plain} {text}");
}

/// Says something that is no part of the answer.
pub fn say(text: &str) {
    // Nothing can be done about a closed stderr.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The same on a line that is written over and over.
pub fn progress(text: &str) {
    let _ = write!(std::io::stderr().lock(), "\r{text} \u{1b}[K\r");
}

/// Prints the error and answers the exit code. An error that no command has classified is a bug of ours.
pub fn report(error: &anyhow::Error) -> u8 {
    let failure = error.downcast_ref::<Failure>();
    let (exit, hint) =
        failure.map_or((Failure::BUG, None), |failure| (failure.exit, failure.hint.as_deref()));
    let mut stderr = std::io::stderr().lock();
    let (red, plain) = if stderr.is_terminal() { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
    // Nothing can be done about a closed stderr.
    let _ = writeln!(stderr, "{red}error:{plain} {error:#}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "hint:  {hint}");
    }
    exit
}
