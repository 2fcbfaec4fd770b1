//! One layer while it is read: its leaves, and the mistakes in its keys.

use super::Origin;
use super::known::{Known, Place};
use super::mistake::Mistake;
use super::tree::{Leaf, Tree, Value};

/// One layer: a file, the environment, or the flags.
pub(super) struct Layer<'a> {
    known: &'a Known,
    tree: Tree,
    mistakes: Vec<Mistake>,
    /// True if a later value replaces an earlier one, as with flags. If false, a value may be set only once.
    last_wins: bool,
}

impl<'a> Layer<'a> {
    pub(super) fn new(known: &'a Known, last_wins: bool) -> Self {
        Self { known, tree: Tree::default(), mistakes: Vec::new(), last_wins }
    }

    pub(super) fn into_parts(self) -> (Tree, Vec<Mistake>) {
        (self.tree, self.mistakes)
    }

    pub(super) fn place(&self, path: &[&str]) -> Place {
        self.known.place(path)
    }

    pub(super) fn insert(&mut self, setting: &'static str, entry: String, leaf: Leaf) {
        let key = if entry.is_empty() { setting.to_owned() } else { format!("{setting}.{entry}") };
        let origin = leaf.origin.clone();
        if let Some(before) = self.tree.insert(setting, entry, leaf)
            && !self.last_wins
        {
            let why = format!("set twice, in two spellings; the other one is at {}", before.origin.place());
            self.note(origin, key, why, "remove one of them");
        }
    }

    /// Sets the text of a variable or a flag at a path that the user wrote.
    pub(super) fn assign(&mut self, path: &[&str], text: &str, origin: Origin) {
        let leaf = Leaf { value: Value::Untyped(text.to_owned()), origin: origin.clone() };
        match self.place(path) {
            Place::Setting(setting) => return self.insert(setting, String::new(), leaf),
            Place::Section | Place::Table(..) => return self.not_a_table(path, origin, "text"),
            Place::Nothing => {}
        }
        // An entry is below its table.
        let above = (1..path.len()).rev().find_map(|length| match self.place(&path[..length]) {
            Place::Table(setting, entries) => Some((setting, entries.name(&path[length..].join(".")))),
            _ => None,
        });
        match above {
            Some((setting, entry)) => self.insert(setting, entry, leaf),
            None => self.unknown(path, origin, "key"),
        }
    }

    /// Records a value at the place of a section or a table.
    pub(super) fn not_a_table(&mut self, path: &[&str], origin: Origin, found: &str) {
        let key = path.join(".");
        let hint = format!("set the keys below it instead: {}", self.known.below(&key));
        self.note(origin, key, format!("{found}, not a table"), hint);
    }

    /// Records an unknown key, with the one that the user likely meant.
    pub(super) fn unknown(&mut self, path: &[&str], origin: Origin, what: &str) {
        let key = path.join(".");
        let nearest = self.known.nearest(&key).map(|known| format!("; did you mean {known}?"));
        let why = format!("unknown {what}{}", nearest.unwrap_or_default());
        let hint = format!("rename or remove it; {}", self.known.alternatives(&key));
        self.note(origin, key, why, hint);
    }

    /// Records a variable or a flag that is not an assignment. Its value is not quoted: it may be a secret.
    pub(super) fn no_assignment(&mut self, origin: Origin, why: &str, hint: &str) {
        self.mistakes.push(Mistake { origin, key: None, why: why.to_owned(), hint: hint.to_owned() });
    }

    fn note(&mut self, origin: Origin, key: String, why: String, hint: impl Into<String>) {
        self.mistakes.push(Mistake { origin, key: Some(key), why, hint: hint.into() });
    }
}
