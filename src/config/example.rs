//! `default.toml`: each setting with its meaning, and its default or an example.

use std::collections::BTreeMap;

/// The annotated defaults, as `config example` prints them. Used as a settings file, they change nothing.
pub const EXAMPLE: &str = include_str!("default.toml");

/// The text of `default.toml` about a setting or a section.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Note {
    /// Its meaning.
    pub(super) text: String,
    /// A value as TOML. Empty for a section.
    pub(super) value: String,
    /// True if the value is the default, false if it is an example.
    pub(super) is_default: bool,
}

/// The notes by `section.key`, or by `section`.
pub(super) struct Example {
    notes: BTreeMap<String, Note>,
}

impl Example {
    /// Reads the embedded file. A line `key = value` or `# key = value` is a setting. The comment above it is
    /// its meaning.
    pub(super) fn read() -> Self {
        let (mut notes, mut section, mut text) = (BTreeMap::new(), String::new(), Vec::new());
        for line in EXAMPLE.lines() {
            let (is_comment, bare) = line.strip_prefix("# ").map_or((false, line), |bare| (true, bare));
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                let note = Note { text: text.join(" "), ..Note::default() };
                notes.insert(section.clone(), note);
            } else if let Some((key, value)) = setting(bare) {
                let dot = if section.is_empty() { "" } else { "." };
                let note = Note { text: text.join(" "), value: value.to_owned(), is_default: !is_comment };
                notes.insert(format!("{section}{dot}{key}"), note);
            } else if is_comment {
                text.push(bare);
                continue;
            }
            text.clear();
        }
        Self { notes }
    }

    pub(super) fn note(&self, key: &str) -> Option<&Note> {
        self.notes.get(key)
    }

    /// Hint for a wrong value.
    pub(super) fn hint(&self, key: &str) -> String {
        match self.note(key) {
            Some(note) => {
                format!("for example {key} = {}; `hourseal config example` explains it", note.value)
            }
            None => "`hourseal config example` explains each setting".to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &Note)> {
        self.notes.iter().map(|(key, note)| (key.as_str(), note))
    }
}

/// Key and value, if the line sets something. Prose has no ` = ` after its first word.
fn setting(line: &str) -> Option<(&str, &str)> {
    line.split_once(" = ").filter(|(key, _)| !key.contains(' '))
}
