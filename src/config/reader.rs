//! Reads settings from the merged layers. It records every mistake and does not stop at the first.

use super::Origin;
use super::example::Example;
use super::mistake::Mistake;
use super::tree::{Leaf, Tree, Value};

/// The merged layers, and the mistakes found so far.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    /// The replacements for wrong values.
    defaults: &'a Tree,
    example: &'a Example,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree, defaults: &'a Tree, example: &'a Example) -> Self {
        Self { tree, defaults, example, mistakes: Vec::new() }
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    /// Reads a setting that is not a table. Records a wrong value, and returns the default instead.
    pub(super) fn one<T>(
        &mut self,
        setting: &'static str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let Some(leaf) = self.tree.get(setting) else {
            self.wrong(setting, "not set");
            return None;
        };
        match parse(&leaf.value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(setting, why);
                self.defaults.get(setting).and_then(|leaf| parse(&leaf.value).ok())
            }
        }
    }

    /// The entries of a setting that is a table.
    pub(super) fn entries(
        &self,
        setting: &'static str,
    ) -> impl Iterator<Item = (&'a str, &'a Leaf)> + use<'a> {
        self.tree.entries(setting)
    }

    pub(super) fn is_set(&self, setting: &'static str) -> bool {
        self.tree.get(setting).is_some()
    }

    /// Records that the value of a setting is wrong by itself.
    pub(super) fn wrong(&mut self, setting: &'static str, why: impl Into<String>) {
        let origin = self.origin(setting);
        let hint = self.example.hint(setting);
        self.note(origin, Some(setting.to_owned()), why, hint);
    }

    /// Does the same for an entry of a table.
    pub(super) fn wrong_entry(
        &mut self,
        key: String,
        leaf: &Leaf,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(leaf.origin.clone(), Some(key), why, hint);
    }

    /// Records that values contradict each other although each is right by itself. The mistake is reported at
    /// the value from the strongest layer, which is most likely the one to change. If one of the values is
    /// wrong by itself, its default was compared, so nothing is recorded.
    pub(super) fn contradiction(&mut self, keys: &[&str], why: impl Into<String>, hint: &str) {
        let wrong = |key: &&str| self.mistakes.iter().any(|mistake| mistake.key.as_deref() == Some(*key));
        if keys.iter().any(wrong) {
            return;
        }
        let place = keys.iter().map(|key| (self.origin(key), *key)).max_by(|a, b| a.0.cmp(&b.0));
        if let Some((origin, key)) = place {
            self.note(origin, Some(key.to_owned()), why, hint);
        }
    }

    fn note(&mut self, origin: Origin, key: Option<String>, why: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(Mistake { origin, key, why: why.into(), hint: hint.into() });
    }

    /// The origin of a setting or of an entry.
    fn origin(&self, key: &str) -> Origin {
        self.tree.origin(key).cloned().unwrap_or(Origin::Default)
    }
}
