//! The origin of a value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The origin of a value, ordered from the weakest layer to the strongest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// A default of this version, or a value derived from other settings.
    Default,
    /// The configuration file. Lines and columns count from 1. A fault of the whole file has neither.
    File { path: Arc<Path>, line: Option<usize>, column: Option<usize> },
    /// An environment variable, by its name.
    Environment(String),
    /// A command-line flag, by its name.
    Flag(String),
}

impl Origin {
    /// A line of the file.
    pub(super) fn line(path: &Arc<Path>, line: usize) -> Self {
        Self::File { path: Arc::clone(path), line: Some(line), column: None }
    }

    /// The number of the line, if the origin is a line of the file.
    pub(super) fn line_number(&self) -> Option<usize> {
        if let Self::File { line, .. } = self { *line } else { None }
    }

    /// The `Display` form without the word `file`, because editors and terminals open `hourseal.toml:12`.
    pub(super) fn place(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("file ").map_or(text.clone(), str::to_owned)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => {
                write!(f, "file {}", path.display())?;
                [line, column].into_iter().flatten().try_for_each(|number| write!(f, ":{number}"))
            }
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}
