//! The failure of a command: an exit code, one line, and a hint on its own line.

use std::io::Write as _;

use super::progress::{self, beside};
use super::terminal::paint;
use crate::app::Failure;
use crate::config::{ConfigError, Mistake};
use crate::edge::kafka::post::PostError;
use crate::edge::kafka::sample::SampleError;
use crate::edge::kafka::scan::ScanError;
use crate::edge::keyfile::KeyFileError;
use crate::forget::{NotFresh, TailError};
use crate::telemetry::{codes, end_log, error};

/// Success.
pub const OK: u8 = 0;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = |mistake: &Mistake| Self::new(Self::CONFIG, mistake.to_string()).hint(&mistake.hint);
        let mut failures = error.mistakes().iter().map(failure);
        let first = failures
            .next()
            .unwrap_or_else(|| Self::new(Self::BUG, "the configuration was refused without a reason"));
        Self { further: failures.collect(), ..first }
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        let (exit, hint) = match &error {
            ScanError::NoBroker(why) => return why.clone().into(),
            ScanError::Client(_) => (Failure::CONFIG, "check [kafka.client] in the configuration"),
            ScanError::Denied(_) => (Failure::CONFIG, "grant the right to this command's principal"),
            ScanError::Missing(_) => {
                (Failure::CONFIG, "check the topic's name; `hourseal topics check` lists the topics")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        let (exit, hint) = match &error {
            SampleError::NoBroker(why) => return why.clone().into(),
            SampleError::Denied(_) => (Failure::CONFIG, "grant the right to this command's principal"),
            SampleError::Client(_) => (Failure::CONFIG, "check [kafka.client] in the configuration"),
            SampleError::Missing(_) => (Failure::CONFIG, "create the topic with `hourseal topics create`"),
            SampleError::NotTaken(_) => {
                (Failure::DEPENDENCY, "check that the broker runs and that `kafka.bootstrap` names it")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let exit = match error {
            KeyFileError::Exists(_) | KeyFileError::File(_) => Self::IO,
            KeyFileError::NoKey(_) => Self::REFUSED,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<TailError> for Failure {
    fn from(error: TailError) -> Self {
        match &error {
            TailError::Denied(_) => Self::new(Failure::CONFIG, error.to_string()).hint(
                "grant the right: a reader of sealed records also reads the receipts, to know what is erased",
            ),
            TailError::Passing(_) | TailError::Broken(_) => Self::new(Failure::DEPENDENCY, error.to_string())
                .hint(
                    "check that the broker runs and `kafka.bootstrap` names it; run `hourseal topics check`",
                ),
        }
    }
}

impl From<NotFresh> for Failure {
    fn from(error: NotFresh) -> Self {
        match error {
            NotFresh::Tail(error) => error.into(),
            NotFresh::Store(error) => error.into(),
            NotFresh::Behind { .. } => Self::new(Self::CONFIG, error.to_string()).hint(
                "nothing is opened; `hourseal store replay`, or the start of a worker, erases the key again",
            ),
            NotFresh::Gap(_) | NotFresh::Unknown { .. } | NotFresh::Execute(_) => {
                Self::new(Self::CONFIG, error.to_string()).hint(
                    "nothing is opened until it is known which keys are erased; see `hourseal receipts ls`",
                )
            }
            NotFresh::Endless => Self::new(Self::DEPENDENCY, error.to_string())
                .hint("check that a worker executes commands: it ends a transaction that was left open"),
        }
    }
}

impl From<PostError> for Failure {
    fn from(error: PostError) -> Self {
        let (exit, hint) = match &error {
            PostError::NoBroker(why) => return why.clone().into(),
            PostError::Denied(_) => (Failure::CONFIG, "grant the right to this command's principal"),
            PostError::Client(_) | PostError::Missing(_) => {
                (Failure::CONFIG, "run `hourseal topics check`: it lists the topics and their faults")
            }
            PostError::Refused(_) | PostError::Unknown(_) => {
                (Failure::DEPENDENCY, "sending it again is safe: the same command is carried out once")
            }
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

/// Prints a warning. The command continues.
pub fn warn(text: &str) {
    say(&format!("{} {text}", paint(33, "warning:", &std::io::stderr())));
}

/// Prints a line to stderr that is not a part of the answer.
pub fn say(text: &str) {
    // Nothing can be done about a closed stderr.
    let _ = beside(|| writeln!(std::io::stderr().lock(), "{text}"));
}

/// The failure of a process that serves, which is in its log already.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
pub struct Logged(u8);

/// Makes the failure the last lines of the log, in its format. Lines that are kept back come before.
pub fn log(failure: Failure) -> Logged {
    end_log();
    for one in std::iter::once(&failure).chain(&failure.further) {
        error!(codes::GAVE_UP, exit = failure.exit, hint = one.hint, "{}", one.message);
    }
    Logged(failure.exit)
}

/// Prints the error, and the other failures found in the same run. Returns the exit code. An error without a
/// class is a bug of ours.
pub fn report(error: &anyhow::Error) -> u8 {
    progress::clear();
    if let Some(Logged(exit)) = error.downcast_ref() {
        return *exit;
    }
    let Some(failure) = error.downcast_ref::<Failure>() else {
        say_error(&format!("{error:#}"), None);
        return Failure::BUG;
    };
    say_error(&format!("{error:#}"), failure.hint.as_deref());
    for further in &failure.further {
        say_error(&further.message, further.hint.as_deref());
    }
    failure.exit
}

fn say_error(message: &str, hint: Option<&str>) {
    say(&format!("{} {message}", paint(31, "error:", &std::io::stderr())));
    if let Some(hint) = hint {
        say(&format!("hint:  {hint}"));
    }
}
