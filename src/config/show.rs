//! The effective configuration for people and for programs.

use std::fmt::Write as _;

use super::known::Known;
use super::tree::Tree;

/// One setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Section, such as `kafka.client`. Empty at the top level.
    pub section: String,
    pub key: String,
    /// As TOML; `None` = it is not set and has no default.
    pub value: Option<String>,
    /// `default`, the file with its line, the variable, the flag, or `not set`.
    pub origin: String,
}

impl Entry {
    /// The key as it is written in a flag: `kafka.group`.
    pub fn name(&self) -> String {
        let dot = if self.section.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.section, self.key)
    }
}

/// Lists every setting, in the order of `config example`. The entries of a table follow their section.
pub(super) fn entries(known: &Known, tree: &Tree) -> Vec<Entry> {
    let mut entries = Vec::new();
    for setting in known.settings() {
        let (section, key) = setting.parts();
        let mut entry = |section: &str, key: &str, value: Option<String>, origin: String| {
            entries.push(Entry { section: section.to_owned(), key: key.to_owned(), value, origin });
        };
        if setting.table.is_some() {
            for (key, leaf) in tree.entries(setting.key) {
                entry(setting.key, key, Some((setting.show)(&leaf.value)), leaf.origin.to_string());
            }
            continue;
        }
        match tree.get(setting.key) {
            Some(leaf) => entry(section, key, Some((setting.show)(&leaf.value)), leaf.origin.to_string()),
            None => entry(section, key, None, "not set".to_owned()),
        }
    }
    entries
}

/// Writes valid TOML, each line with its origin as a comment. A setting without a value becomes a comment.
pub fn show_toml(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            section = &entry.section;
            let _ = writeln!(text, "\n[{section}]");
        }
        let key = key_text(&entry.key);
        let setting = match &entry.value {
            Some(value) => format!("{key} = {value}"),
            None => format!("# {key}"),
        };
        // A path may contain a line break, which would end the comment.
        let origin: String = entry.origin.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let _ = writeln!(text, "{setting:<46} # {origin}");
    }
    text
}

/// Writes a key as TOML: bare if that is legal, otherwise as a basic string. TOML escapes control characters
/// differently from Rust.
fn key_text(key: &str) -> String {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return key.to_owned();
    }
    let mut text = String::from('"');
    for c in key.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_ascii_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text + "\""
}

/// Writes one JSON object per line: `key`, `value` (as TOML, or null if it is not set), `origin`.
pub fn show_json(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        serde_json::json!({ "key": entry.name(), "value": entry.value, "origin": entry.origin }).to_string()
            + "\n"
    };
    entries.iter().map(line).collect()
}
