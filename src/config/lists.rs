//! Settings with several values: lists, and tables of names by retention.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use serde_json::{Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::kind::{Entries, Kind, Scalar, Shape};
use super::numbers::{Hours, parse_retention};
use super::reader::Reader;
use super::tree::Value;
use super::words::NAME;
use crate::model::Retention;

const NO_LIST: &str = "not a list such as a,b or [\"a\", \"b\"]";

/// A list of single values. In a variable or a flag: `a,b` or `["a", "b"]`.
pub(super) struct List<S> {
    item: S,
    /// Minimum number of items.
    least: usize,
}

impl<S: Scalar> List<S> {
    pub(super) fn of(item: S) -> Self {
        Self { item, least: 0 }
    }

    /// A list that may not be empty.
    pub(super) fn of_some(item: S) -> Self {
        Self { item, least: 1 }
    }

    pub(super) fn parse(&self, value: &Value) -> Result<Vec<S::Value>, String> {
        let items = items(value)?;
        if items.len() < self.least {
            return Err("empty".to_owned());
        }
        let item = |(at, value): (usize, &Value)| match value.scalar() {
            Ok(text) => self.item.parse(&text).map_err(|why| format!("item {}: {why}", at + 1)),
            Err(found) => Err(format!("item {} is {found}, not {}", at + 1, self.item.shape().describe())),
        };
        items.iter().enumerate().map(item).collect()
    }
}

impl<S: Scalar> Kind for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Vec<S::Value>> {
        reader.one(setting, |value| self.parse(value))
    }

    fn show(&self, value: &Value) -> String {
        let items = items(value).unwrap_or_default();
        let items: Vec<_> = items.iter().map(|item| self.item.shape().show(item)).collect();
        format!("[{}]", items.join(", "))
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": self.item.schema(), "minItems": self.least })
    }
}

/// The items of a list. A variable or a flag holds them as text.
fn items(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::List(items) => Ok(items.clone()),
        Value::Untyped(text) => split(text).ok_or_else(|| NO_LIST.to_owned()),
        other => Err(format!("{}, not a list", other.describe())),
    }
}

/// `a,b` or `["a", "b"]`. A bracket begins an array or an IPv6 address such as `[::1]:9042`.
fn split(text: &str) -> Option<Vec<Value>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    if let Some(items) = array(text) {
        return Some(items);
    }
    let item = |item: &str| is_bare(item).then(|| Value::Text(item.to_owned()));
    text.split(',').map(str::trim).map(item).collect()
}

fn array(text: &str) -> Option<Vec<Value>> {
    if !text.starts_with('[') {
        return None;
    }
    let text = format!("list = {text}");
    let table = DeTable::parse(&text).ok()?.into_inner();
    let mut entries = table.iter();
    match (entries.next()?.1.get_ref(), entries.next()) {
        (DeValue::Array(items), None) => {
            Some(items.iter().map(|item| super::file::value(item.get_ref())).collect())
        }
        _ => None,
    }
}

fn is_bare(item: &str) -> bool {
    let Some(rest) = item.strip_prefix('[') else { return !item.ends_with(']') && !item.contains('"') };
    rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

/// `host:port`, `[IPv6]:port`, or an IPv6 address alone, which gets the default port.
pub(super) struct HostPort {
    pub(super) default_port: u16,
}

impl Scalar for HostPort {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(format!("[{address}]:{}", self.default_port));
        }
        let legal = |(host, port): (&str, &str)| {
            let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let host = match bracketed {
                Some(address) => address.parse::<Ipv6Addr>().is_ok(),
                None => !host.is_empty() && !host.contains([':', '[', ']']),
            };
            host && port.parse::<u16>().is_ok_and(|port| port != 0)
        };
        match text.rsplit_once(':').is_some_and(legal) {
            true => Ok(text.to_owned()),
            false => Err(format!("`{text}` is not host:port or [IPv6]:port")),
        }
    }

    fn schema(&self) -> Json {
        let pattern = r"^([^:\[\]]+:[0-9]+|\[[0-9a-fA-F:.]+\](:[0-9]+)?|[0-9a-fA-F.]*:[0-9a-fA-F:.]+)$";
        json!({ "type": "string", "pattern": pattern })
    }
}

/// A table of names whose keys are retentions such as `7d`.
pub(super) struct ByRetention;

impl Kind for ByRetention {
    type Value = BTreeMap<Retention, String>;

    fn table(&self) -> Option<Entries> {
        Some(Entries::Plain)
    }

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Self::Value> {
        let mut read = BTreeMap::new();
        for (entry, leaf) in reader.entries(setting) {
            let key = format!("{setting}.{entry}");
            let hint = "for example 7d = \"jobs.sealed.7d\"";
            let text = leaf.value.scalar().map_err(|found| format!("{found}, not text"));
            let name = text.and_then(|text| NAME.parse(&text));
            match parse_retention(entry).and_then(|retention| Ok((retention, name?))) {
                Err(why) => reader.wrong_entry(key, leaf, why, hint),
                Ok((retention, name)) => {
                    if read.insert(retention, name).is_some() {
                        let why = format!("{}h is set twice, in two spellings", retention.as_hours());
                        reader.wrong_entry(key, leaf, why, "remove one of them");
                    }
                }
            }
        }
        Some(read)
    }

    fn show(&self, value: &Value) -> String {
        Shape::Text.show(value)
    }

    fn schema(&self) -> Json {
        let keys = Scalar::schema(&Hours);
        json!({ "type": "object", "propertyNames": keys, "additionalProperties": Scalar::schema(&NAME) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Option<Vec<String>> {
        let text_of =
            |value: &Value| value.scalar().map(std::borrow::Cow::into_owned).expect("a single value");
        split(text).map(|items| items.iter().map(text_of).collect())
    }

    #[test]
    fn a_list_is_comma_separated_or_an_array() {
        let ab = Some(vec!["a".to_owned(), "b".to_owned()]);
        for text in ["a,b", " a , b ", "[\"a\", \"b\"]", "['a','b']", "[\"a\", \"b\",]"] {
            assert_eq!(texts(text), ab, "{text}");
        }
        assert_eq!(texts(""), Some(Vec::new()));
        assert_eq!(texts("[]"), Some(Vec::new()));
        assert_eq!(texts("007"), Some(vec!["007".to_owned()]));
    }

    #[test]
    fn a_bracket_begins_an_array_or_an_ipv6_address() {
        assert_eq!(texts("[::1]:9042"), Some(vec!["[::1]:9042".to_owned()]));
        let two = Some(vec!["[::1]:9042".to_owned(), "[2001:db8::1]:9042".to_owned()]);
        assert_eq!(texts("[::1]:9042,[2001:db8::1]:9042"), two);
        assert_eq!(texts("[\"[::1]:9042\", \"[2001:db8::1]:9042\"]"), two);
        assert_eq!(texts("[::1],[::2]"), Some(vec!["[::1]".to_owned(), "[::2]".to_owned()]));
        for bad in ["[a, b]", "[a", "a]", "[\"a\", \"b\"", "[\"a\"]\nx = 1", "\"a\",\"b\""] {
            assert_eq!(texts(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_contact_point_has_a_port_or_is_an_ipv6_address() {
        let point = |text: &str| HostPort { default_port: 9042 }.parse(text);
        for good in ["a:1", "127.0.0.1:9042", "[::1]:9042"] {
            assert_eq!(point(good).as_deref(), Ok(good));
        }
        for bare in ["::1", "[::1]"] {
            assert_eq!(point(bare).as_deref(), Ok("[::1]:9042"));
        }
        for bad in ["", "a", "a:b", ":1", "a:0", "[::1", "[a]:1", "::1:x", "a:65536"] {
            assert!(point(bad).is_err(), "{bad}");
        }
    }
}
