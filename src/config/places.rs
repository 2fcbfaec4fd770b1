//! Settings that name places in a record: one, or several in the order in which they are tried.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::kind::{Kind, Scalar};
use super::lists::List;
use super::reader::Reader;
use super::tree::Value;
use super::words::Parsed;
use crate::lane::Sources;

/// A place, or a list of places. In a variable or a flag only a bracket begins a list: a header's name may
/// contain a comma.
pub(super) struct Places<T> {
    one: Parsed<T>,
    several: List<Parsed<T>>,
}

impl<T: FromStr<Err: Display>> Places<T> {
    /// `pattern` is a rough form of a place, for the schema.
    pub(super) fn like(pattern: &'static str) -> Self {
        Self { one: Parsed::like(pattern), several: List::of_some(Parsed::like(pattern)) }
    }

    fn parse(&self, value: &Value) -> Result<Sources<T>, String> {
        let places = if is_list(value) {
            self.several.parse(value)?
        } else {
            let text = value.scalar().map_err(|found| format!("{found}, not a place or a list of places"))?;
            vec![self.one.parse(&text)?]
        };
        Sources::new(places).map_err(|why| why.to_string())
    }
}

fn is_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Untyped(text) => text.trim_start().starts_with('['),
        _ => false,
    }
}

impl<T: FromStr<Err: Display>> Kind for Places<T> {
    type Value = Sources<T>;

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Sources<T>> {
        reader.one(setting, |value| self.parse(value))
    }

    fn show(&self, value: &Value) -> String {
        if is_list(value) { self.several.show(value) } else { self.one.show(value) }
    }

    fn schema(&self) -> Json {
        let mut several = Kind::schema(&self.several);
        several["maxItems"] = Sources::<T>::MOST.into();
        json!({ "anyOf": [Scalar::schema(&self.one), several] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::CustomerFrom;

    fn parse(value: &Value) -> Result<usize, String> {
        Places::<CustomerFrom>::like("").parse(value).map(|sources| sources.iter().count())
    }

    #[test]
    fn a_place_is_text_and_several_are_a_list() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(parse(&text("json:/a,header:b")), Ok(1));
        assert_eq!(parse(&Value::List(vec![text("json:/a"), text("header:b")])), Ok(2));
        let untyped = |text: &str| parse(&Value::Untyped(text.to_owned()));
        assert_eq!(untyped("header:a,b"), Ok(1));
        assert_eq!(untyped("[\"json:/a\", 'key@json']"), Ok(2));
        assert_eq!(untyped("[]"), Err("empty".to_owned()));
        assert_eq!(untyped("['key', 'key', 'key', 'key', 'key']"), Err("5 places: write 1 to 4".to_owned()));
        assert!(untyped("['key', 'keys']").is_err_and(|why| why.starts_with("item 2: `keys`: ")));
        let flag = parse(&Value::Flag(true)).expect_err("a place is text");
        assert!(flag.contains("`true` is not a source of customer ids"), "{flag}");
    }
}
