//! The effective configuration for people, and errors that say where a value came from.

use std::fmt::Write as _;

use figment::error::{Actual, Kind};
use figment::value::{Num, Value};
use figment::{Error, Figment};

use super::ConfigError;

/// One effective setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Section, such as `kafka.client`; empty for the top.
    pub section: String,
    pub key: String,
    /// As TOML.
    pub value: String,
    /// `default`, or the file, variable or flag that set it.
    pub origin: String,
}

/// Every effective setting, top level first, then by section.
pub(super) fn entries(figment: &Figment) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Ok(root) = figment.extract::<Value>() {
        collect(figment, "", &root, &mut entries);
    }
    entries.sort_by(|a, b| (&a.section, &a.key).cmp(&(&b.section, &b.key)));
    entries
}

fn collect(figment: &Figment, section: &str, value: &Value, entries: &mut Vec<Entry>) {
    let Value::Dict(_, dict) = value else { return };
    for (key, value) in dict {
        if value.as_dict().is_some() {
            let below = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
            collect(figment, &below, value, entries);
            continue;
        }
        let origin = figment.get_metadata(value.tag()).map_or("default", |metadata| &metadata.name);
        entries.push(Entry {
            section: section.to_owned(),
            key: key.clone(),
            value: toml_text(value),
            origin: origin.to_owned(),
        });
    }
}

/// A scalar or a list as TOML.
fn toml_text(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml::Value::from(text.as_str()).to_string(),
        Value::Char(_, c) => toml::Value::from(c.to_string()).to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => number_text(*number),
        Value::Array(_, items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Value::Empty(..) | Value::Dict(..) => "{}".to_owned(),
    }
}

fn number_text(number: Num) -> String {
    let signed = number.to_i128().map(|number| number.to_string());
    let unsigned = || number.to_u128().map(|number| number.to_string());
    signed.or_else(unsigned).or_else(|| number.to_f64().map(|number| number.to_string())).unwrap_or_default()
}

/// Valid TOML, each line with its origin as a comment.
pub fn show_toml(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            section = &entry.section;
            let _ = writeln!(text, "\n[{section}]");
        }
        let setting = format!("{} = {}", key_text(&entry.key), entry.value);
        let _ = writeln!(text, "{setting:<46} # {}", entry.origin);
    }
    text
}

/// A key as TOML: bare where it may be, else a basic string, which escapes control characters otherwise than Rust does.
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

/// One JSON object per line: `key`, `value` (as TOML), `origin`.
pub fn show_json(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        let dot = if entry.section.is_empty() { "" } else { "." };
        let key = format!("{}{dot}{}", entry.section, entry.key);
        serde_json::json!({ "key": key, "value": entry.value, "origin": entry.origin }).to_string() + "\n"
    };
    entries.iter().map(line).collect()
}

/// A wrong type or an unknown key, in our words. The found value is described, never quoted: it might be a secret.
pub(super) fn explain(figment: &Figment, error: Error) -> ConfigError {
    let path = error.path.join(".");
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let (key, why) = match &error.kind {
        Kind::Message(text) => (path, format!("is wrong: {text}")),
        Kind::InvalidType(found, wanted) => (path, format!("is {}, not {wanted}", describe(found))),
        Kind::InvalidValue(_, wanted) => (path, format!("is not {wanted}")),
        Kind::UnknownField(_, known) => (path, format!("is unknown; there are {}", known.join(", "))),
        Kind::MissingField(name) => (below(name), "is missing".to_owned()),
        _ => (path, "cannot be read".to_owned()),
    };
    let from = origin(figment, &key).or_else(|| error.metadata.map(|metadata| metadata.name.into_owned()));
    ConfigError::Value { key, why, from }
}

/// Adds the origin to an error about one value.
pub(super) fn with_origin(figment: &Figment, error: ConfigError) -> ConfigError {
    match error {
        ConfigError::Value { key, why, from: None } => {
            let from = origin(figment, &key);
            ConfigError::Value { key, why, from }
        }
        other => other,
    }
}

fn origin(figment: &Figment, key: &str) -> Option<String> {
    figment.find_metadata(key).map(|metadata| metadata.name.to_string())
}

fn describe(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}
