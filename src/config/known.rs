//! The known keys, and suggestions for unknown ones.

use super::kind::{Entries, Setting};

/// Every setting of this version.
pub(super) struct Known {
    settings: Vec<Setting>,
}

/// The meaning of a path of keys.
pub(super) enum Place {
    /// A setting that is not a table.
    Setting(&'static str),
    /// A setting that is a table with entries of this kind.
    Table(&'static str, Entries),
    /// Settings begin with this path.
    Section,
    Nothing,
}

impl Known {
    pub(super) fn new(settings: Vec<Setting>) -> Self {
        Self { settings }
    }

    pub(super) fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Returns the meaning of a path.
    pub(super) fn place(&self, path: &[&str]) -> Place {
        let begins = |setting: &&Setting| {
            let mut keys = setting.key.split('.');
            path.iter().all(|key| keys.next() == Some(key))
        };
        let mut there = self.settings.iter().filter(begins).peekable();
        let Some(first) = there.peek() else { return Place::Nothing };
        match first.table {
            _ if first.key.split('.').count() != path.len() => Place::Section,
            Some(entries) => Place::Table(first.key, entries),
            None => Place::Setting(first.key),
        }
    }

    /// Returns the known key or section that the user most likely meant.
    pub(super) fn nearest(&self, wrong: &str) -> Option<&'static str> {
        let keys = self.settings.iter().map(|setting| setting.key);
        let near = |known: &'static str| distance(wrong, known).map(|distance| (distance, known));
        let nearest = keys.chain(self.sections()).filter_map(near).min_by_key(|(distance, _)| *distance);
        nearest.map(|(_, known)| known).or_else(|| self.elsewhere(wrong))
    }

    /// Returns the setting of this name in another section, if there is exactly one.
    fn elsewhere(&self, wrong: &str) -> Option<&'static str> {
        let name = wrong.rsplit('.').next();
        let mut same = self.settings.iter().filter(|setting| Some(setting.parts().1) == name);
        same.next().filter(|_| same.next().is_none()).map(|setting| setting.key)
    }

    /// Lists the alternatives to an unknown key: the keys of its section, or the sections.
    pub(super) fn alternatives(&self, wrong: &str) -> String {
        let section = wrong.split_once('.').map_or("", |(section, _)| section);
        let below = self.settings.iter().filter(|setting| setting.parts().0 == section);
        let keys: Vec<&str> = below.map(|setting| setting.parts().1).collect();
        match (section, keys.is_empty()) {
            (_, true) | ("", _) => {
                format!("the sections are {}", self.sections().collect::<Vec<_>>().join(", "))
            }
            ("kafka", _) => {
                "librdkafka's own settings belong in [kafka.client], [kafka.consumer] or [kafka.producer]"
                    .to_owned()
            }
            _ => format!("[{section}] has {}", keys.join(", ")),
        }
    }

    /// Examples of keys below a section or a table.
    pub(super) fn below(&self, key: &str) -> String {
        let prefix = format!("{key}.");
        let below: Vec<_> =
            self.settings.iter().map(|setting| setting.key).filter(|key| key.starts_with(&prefix)).collect();
        if below.is_empty() { format!("{key}.KEY") } else { below.join(", ") }
    }

    /// Each section once, in order.
    pub(super) fn sections(&self) -> impl Iterator<Item = &'static str> {
        let mut last = "";
        let sections = self.settings.iter().map(|setting| setting.parts().0);
        sections.filter(move |section| {
            let is_new = !section.is_empty() && *section != last;
            last = section;
            is_new
        })
    }
}

/// Number of differing letters. `None` = too many for a typing error.
fn distance(wrong: &str, known: &str) -> Option<usize> {
    let most = known.len() / 3;
    if wrong.len().abs_diff(known.len()) > most {
        return None;
    }
    Some(strsim::damerau_levenshtein(wrong, known)).filter(|distance| *distance <= most)
}
