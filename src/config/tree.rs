//! Values before their settings give them a type, each with its origin.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Origin;

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// From a variable or a flag. The setting decides what it means.
    Untyped(String),
    Text(String),
    /// A TOML integer in decimal digits.
    Whole(String),
    Flag(bool),
    List(Vec<Value>),
    /// A value of a type that no setting has. The text names the type for an error.
    Other(&'static str),
}

impl Value {
    /// Returns a single value as text. An error names the type, never the value: it may be a secret.
    pub(super) fn scalar(&self) -> Result<Cow<'_, str>, &'static str> {
        match self {
            Self::Untyped(text) | Self::Text(text) | Self::Whole(text) => Ok(Cow::Borrowed(text)),
            Self::Flag(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Self::List(_) | Self::Other(_) => Err(self.describe()),
        }
    }

    /// Its type, for an error.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Untyped(_) | Self::Text(_) => "text",
            Self::Whole(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(what) => what,
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The leaves of one layer, or of several merged layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// By setting and entry. The entry is empty if the setting is not a table.
    leaves: BTreeMap<(&'static str, String), Leaf>,
}

impl Tree {
    /// Sets a leaf. Returns the one that it replaces.
    pub(super) fn insert(&mut self, setting: &'static str, entry: String, leaf: Leaf) -> Option<Leaf> {
        self.leaves.insert((setting, entry), leaf)
    }

    /// Sets a derived default, unless the setting has a value.
    pub(super) fn derive(&mut self, setting: &'static str, text: String) {
        let leaf = Leaf { value: Value::Text(text), origin: Origin::Default };
        self.leaves.entry((setting, String::new())).or_insert(leaf);
    }

    /// Returns the leaf of a setting that is not a table.
    pub(super) fn get(&self, setting: &'static str) -> Option<&Leaf> {
        self.leaves.get(&(setting, String::new()))
    }

    /// Returns the entries of a setting that is a table.
    pub(super) fn entries(&self, setting: &'static str) -> impl Iterator<Item = (&str, &Leaf)> {
        let from = (setting, String::new());
        let same = move |((of, _), _): &(&(&'static str, String), &Leaf)| *of == setting;
        self.leaves.range(from..).take_while(same).map(|((_, entry), leaf)| (entry.as_str(), leaf))
    }

    /// Returns the origin of the value of `setting` or `setting.entry`.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        let is = |(setting, entry): &(&'static str, String)| match key.strip_prefix(setting) {
            Some(rest) if entry.is_empty() => rest.is_empty(),
            Some(rest) => rest.strip_prefix('.') == Some(entry),
            None => false,
        };
        self.leaves.iter().find(|(at, _)| is(at)).map(|(_, leaf)| &leaf.origin)
    }

    /// Puts a stronger layer over this one.
    pub(super) fn overlaid(mut self, stronger: Self) -> Self {
        self.leaves.extend(stronger.leaves);
        self
    }
}
