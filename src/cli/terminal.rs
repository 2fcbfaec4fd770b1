//! Colours, and lines that are written over. The rules are those of clap for its help: NO_COLOR,
//! CLICOLOR_FORCE, CLICOLOR and TERM=dumb.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use super::settings::variable;

/// Whether this program may colour what it writes to the stream.
pub fn has_colours(stream: &impl io::IsTerminal) -> bool {
    colours(variable, stream.is_terminal())
}

/// Whether stderr shows progress: a terminal on which a line can be written over.
pub fn shows_progress() -> bool {
    io::stderr().is_terminal() && !is_dumb(&variable)
}

/// Colours a word, or returns it as it is.
pub fn paint(colour: u8, word: &str, stream: &impl io::IsTerminal) -> String {
    if has_colours(stream) { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

fn colours(variable: impl Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let is_set = |name| variable(name).filter(|value| !value.is_empty());
    if is_set("NO_COLOR").is_some() {
        return false;
    }
    if is_set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let refuses = is_set("CLICOLOR").is_some_and(|value| value == "0");
    is_terminal && !refuses && !is_dumb(&variable)
}

/// A program that calls itself no terminal, or sets no TERM, cannot move its cursor.
fn is_dumb(variable: &impl Fn(&str) -> Option<OsString>) -> bool {
    variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(set: &[(&str, &str)], is_terminal: bool) -> bool {
        let of = |name: &str| set.iter().find(|(is, _)| *is == name).map(|(_, value)| OsString::from(value));
        colours(of, is_terminal)
    }

    #[test]
    fn colours_follow_the_terminal_unless_a_variable_says_otherwise() {
        let xterm = ("TERM", "xterm");
        assert!(coloured(&[xterm], true) && !coloured(&[xterm], false));
        assert!(!coloured(&[("TERM", "dumb")], true) && !coloured(&[], true));
        assert!(!coloured(&[xterm, ("NO_COLOR", "1")], true) && coloured(&[xterm, ("NO_COLOR", "")], true));
        assert!(!coloured(&[xterm, ("CLICOLOR", "0")], true));
        assert!(coloured(&[("CLICOLOR_FORCE", "1")], false) && !coloured(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true), "the refusal wins");
    }
}
