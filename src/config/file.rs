//! Reads a TOML file as leaves with their lines.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::Origin;
use super::kind::Entries;
use super::known::Place;
use super::layer::Layer;
use super::mistake::Mistake;
use super::tree::{Leaf, Value};

/// Origin of a TOML text.
pub(super) enum Source {
    Defaults,
    File(Arc<Path>),
}

/// The lines of a text, to find the line and column of a byte.
struct Lines<'a> {
    text: &'a str,
    /// Byte offset of each line's start.
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, begins }
    }

    /// Line and column of a byte, from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.begins.partition_point(|begin| *begin <= at);
        let begin = self.begins[line - 1];
        let before = self.text.get(begin..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// Reads the text into the layer.
///
/// # Errors
/// Each place that is not TOML, with line and column. The text is never quoted: it might hold a secret.
pub(super) fn read(text: &str, source: &Source, layer: &mut Layer<'_>) -> Result<(), Vec<Mistake>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if let (false, Source::File(path)) = (errors.is_empty(), source) {
        let mut mistakes: Vec<_> = errors.iter().map(|error| not_toml(error, path, &lines)).collect();
        // Later faults in a line follow from the first one.
        mistakes.sort();
        mistakes.dedup_by(|next, first| next.origin.line_number() == first.origin.line_number());
        return Err(mistakes);
    }
    Walk { lines, source, layer }.section(table.get_ref(), &mut Vec::new());
    Ok(())
}

fn not_toml(error: &toml::de::Error, path: &Arc<Path>, lines: &Lines<'_>) -> Mistake {
    let (line, column) = lines.place(error.span().map_or(0, |span| span.start));
    let why = error.message().lines().next().unwrap_or_default();
    Mistake {
        origin: Origin::File { path: Arc::clone(path), line: Some(line), column: Some(column) },
        key: None,
        why: format!("not TOML: {why}"),
        hint: "fix the syntax; `hourseal config example` prints valid TOML".to_owned(),
    }
}

struct Walk<'a, 'l> {
    lines: Lines<'a>,
    source: &'a Source,
    layer: &'a mut Layer<'l>,
}

impl Walk<'_, '_> {
    fn section<'t>(&mut self, table: &'t DeTable<'_>, path: &mut Vec<&'t str>) {
        for (key, value) in table {
            path.push(key.get_ref());
            let origin = self.origin(key.span().start);
            match (self.layer.place(path), value.get_ref()) {
                (Place::Section, DeValue::Table(below)) => self.section(below, path),
                (Place::Table(setting, entries), DeValue::Table(below)) => {
                    self.entries(setting, entries, below, "");
                }
                (Place::Setting(setting), value) => {
                    self.layer.insert(setting, String::new(), leaf(value, origin));
                }
                (Place::Section | Place::Table(..), other) => {
                    self.layer.not_a_table(path, origin, self::value(other).describe());
                }
                (Place::Nothing, other) => self.unknown(other, path, origin),
            }
            path.pop();
        }
    }

    /// Reads the entries of a table. If its keys contain dots, nested tables form one such key.
    fn entries(&mut self, setting: &'static str, kind: Entries, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let entry = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(below) if kind == Entries::Dotted => {
                    self.entries(setting, kind, below, &format!("{entry}."));
                }
                value => {
                    let leaf = leaf(value, self.origin(key.span().start));
                    self.layer.insert(setting, kind.name(&entry), leaf);
                }
            }
        }
    }

    /// Reports an unknown key. A table with only one key is reported as that key, which is more specific.
    fn unknown<'t>(&mut self, value: &'t DeValue<'_>, path: &[&'t str], origin: Origin) {
        let (mut path, mut value, mut origin) = (path.to_vec(), value, origin);
        while let DeValue::Table(below) = value {
            let mut keys = below.iter();
            let (Some((key, inner)), None) = (keys.next(), keys.next()) else { break };
            path.push(key.get_ref());
            origin = self.origin(key.span().start);
            value = inner.get_ref();
        }
        let what = if matches!(value, DeValue::Table(_)) { "section" } else { "key" };
        self.layer.unknown(&path, origin, what);
    }

    fn origin(&self, at: usize) -> Origin {
        match self.source {
            Source::Defaults => Origin::Default,
            Source::File(path) => Origin::line(path, self.lines.place(at).0),
        }
    }
}

fn leaf(value: &DeValue<'_>, origin: Origin) -> Leaf {
    Leaf { value: self::value(value), origin }
}

/// Converts a value of the file, without its place.
pub(super) fn value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            decimal
                .map_or(Value::Other("a number that is too large"), |number| Value::Whole(number.to_string()))
        }
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(items.iter().map(|item| self::value(item.get_ref())).collect()),
        DeValue::Table(_) => Value::Other("a table"),
    }
}
