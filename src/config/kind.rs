//! The kinds of settings. A kind defines how a setting is read, shown and described in the schema.
//!
//! To add a setting, write one line in its `section!`, and its meaning and default in `default.toml`. The
//! rest follows: the known key, the type in every layer, mistakes with their origin, `config example`,
//! `config show` and `config schema`.

use serde_json::Value as Json;

use super::reader::Reader;
use super::tree::Value;

/// The kind of a setting.
pub(super) trait Kind {
    type Value;

    /// The names of a table's entries. `None` = the setting is not a table.
    fn table(&self) -> Option<Entries> {
        None
    }

    /// Reads the setting and records its mistakes. The default replaces a wrong value, so that the checks
    /// between settings can continue. `None` = there is no legal default either.
    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Self::Value>;

    /// Writes a value of the setting, or of one of its entries, as TOML.
    fn show(&self, value: &Value) -> String;

    /// JSON Schema, draft 2020-12.
    fn schema(&self) -> Json;
}

/// The names of a table's entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entries {
    /// One key.
    Plain,
    /// A key that contains dots. It is written in quotes, as nested tables, or with underscores.
    Dotted,
}

impl Entries {
    /// The canonical name of an entry that can be written in several ways.
    pub(super) fn name(self, written: &str) -> String {
        match self {
            Self::Plain => written.to_owned(),
            Self::Dotted => written.replace('_', "."),
        }
    }
}

/// A single value, read from its text.
pub(super) trait Scalar {
    type Value;

    /// # Errors
    /// Says in words which rule the text breaks.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;

    fn schema(&self) -> Json;

    fn shape(&self) -> Shape {
        Shape::Text
    }
}

/// The TOML form of a single value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Text,
    Whole,
    Flag,
}

impl Shape {
    /// Writes the value as TOML, whichever layer it is from.
    pub(super) fn show(self, value: &Value) -> String {
        let Ok(text) = value.scalar() else { return "\"\"".to_owned() };
        let as_it_is = match (self, value) {
            (_, Value::Whole(_)) | (Self::Flag, _) => Some(text.to_string()),
            (Self::Whole, _) => text.parse::<u64>().ok().map(|number| number.to_string()),
            (Self::Text, _) => None,
        };
        as_it_is.unwrap_or_else(|| toml::Value::from(text.as_ref()).to_string())
    }

    /// Its name for an error.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whole => "a whole number",
            Self::Flag => "true or false",
        }
    }
}

impl<S: Scalar> Kind for S {
    type Value = S::Value;

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<S::Value> {
        reader.one(setting, |value| match value.scalar() {
            Ok(text) => self.parse(&text),
            Err(found) => Err(format!("{found}, not {}", self.shape().describe())),
        })
    }

    fn show(&self, value: &Value) -> String {
        self.shape().show(value)
    }

    fn schema(&self) -> Json {
        Scalar::schema(self)
    }
}

/// A setting that may be left out.
pub(super) struct Optional<K>(pub(super) K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Option<K::Value>> {
        Some(if reader.is_set(setting) { self.0.read(setting, reader) } else { None })
    }

    fn show(&self, value: &Value) -> String {
        self.0.show(value)
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

/// A known setting, without its type.
pub(super) struct Setting {
    /// `section.key`, or `key` at the top level.
    pub(super) key: &'static str,
    pub(super) table: Option<Entries>,
    pub(super) show: fn(&Value) -> String,
    pub(super) schema: fn() -> Json,
}

impl Setting {
    /// Its section (empty at the top level) and its key there.
    pub(super) fn parts(&self) -> (&'static str, &'static str) {
        self.key.rsplit_once('.').unwrap_or(("", self.key))
    }
}

/// A `[section]`: its settings, and how it is read.
pub(super) trait Section: Sized {
    fn settings() -> Vec<Setting>;

    /// Reads every setting of the section, so that each mistake is recorded. `None` = one has no legal value.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// The kind of a field, tied to the field's type.
pub(super) fn of<T, K: Kind<Value = T>>(kind: K) -> K {
    kind
}

/// Declares a section as a struct. Each field's type is followed by its [`Kind`].
macro_rules! section {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident in $prefix:literal {
            $($(#[$doc:meta])* $field_visibility:vis $field:ident: $type:ty = $kind:expr,)*
        }
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$doc])* $field_visibility $field: $type,)*
        }

        impl $crate::config::kind::Section for $name {
            fn settings() -> Vec<$crate::config::kind::Setting> {
                use $crate::config::kind::{Kind, Setting, of};
                vec![$(Setting {
                    key: concat!($prefix, stringify!($field)),
                    table: of::<$type, _>($kind).table(),
                    show: |value| of::<$type, _>($kind).show(value),
                    schema: || Kind::schema(&of::<$type, _>($kind)),
                },)*]
            }

            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                use $crate::config::kind::{Kind, of};
                $(let $field = of::<$type, _>($kind).read(concat!($prefix, stringify!($field)), reader);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(super) use section;
