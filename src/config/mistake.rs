//! The mistakes in a configuration. No text quotes a value that may be a secret.

use std::fmt;

use super::Origin;

/// One mistake: its place, its setting, the reason and a hint.
///
/// `Display` is one line, such as `hourseal.toml:12: lane.cuont: unknown key; did you mean lane.count?`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    pub origin: Origin,
    /// The key as it is written in a flag. `None` = the mistake does not concern a single setting.
    pub key: Option<String>,
    pub why: String,
    /// Says what the reader can do.
    pub hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin.place())?;
        if let Some(key) = &self.key {
            // A key can contain any character that TOML allows, and this line goes to a terminal.
            let printable = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
            write!(f, "{}: ", key.chars().map(printable).collect::<String>())?;
        }
        f.write_str(&self.why)
    }
}

/// Every mistake in a configuration, sorted by origin and line. The exit code is 78.
#[derive(Debug)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// Sorts the mistakes. There must be at least one.
    pub(super) fn new(mut mistakes: Vec<Mistake>) -> Self {
        debug_assert!(!mistakes.is_empty(), "a refusal has a reason");
        mistakes.sort();
        mistakes.dedup();
        Self { mistakes }
    }

    /// The mistakes, at least one.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    /// One line for each mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.mistakes.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
