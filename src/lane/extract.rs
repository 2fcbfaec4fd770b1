//! Reads customer and time from a JSON value, in one pass and without a tree. Everything else is skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The value at a pointer.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) enum Found<'v> {
    /// Nothing.
    #[default]
    Absent,
    /// An object on the pointer's path has the same key twice.
    Ambiguous,
    /// A value that is not a string.
    NotText,
    Text(Cow<'v, str>),
}

/// The value is not a JSON text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotJson;

/// Looks up two pointers (either may be absent) in a JSON text.
pub(super) fn two<'v>(
    value: &'v [u8],
    first: Option<&[String]>,
    second: Option<&[String]>,
) -> Result<[Found<'v>; 2], NotJson> {
    let text = std::str::from_utf8(value).map_err(|_| NotJson)?;
    let mut found = [Found::Absent, Found::Absent];
    let paths = [first, second];
    let mut json = serde_json::Deserializer::from_str(text);
    let at = Node { depth: 0, live: [first.is_some(), second.is_some()], paths: &paths, found: &mut found };
    at.deserialize(&mut json).map_err(|_| NotJson)?;
    json.end().map_err(|_| NotJson)?;
    Ok(found)
}

/// A place in the text, `depth` tokens below the root; `live` tells which of the two paths lead here.
struct Node<'a, 'v> {
    depth: usize,
    live: [bool; 2],
    paths: &'a [Option<&'a [String]>; 2],
    found: &'a mut [Found<'v>; 2],
}

impl<'a, 'v> Node<'a, 'v> {
    fn ends(&self, which: usize) -> bool {
        self.live[which] && self.paths[which].is_some_and(|path| path.len() == self.depth)
    }

    fn put(&mut self, what: &Found<'v>) {
        for which in 0..2 {
            if self.ends(which) && self.found[which] != Found::Ambiguous {
                self.found[which] = what.clone();
            }
        }
    }

    /// The paths that continue with this token.
    fn follows(&self, token: &str) -> [bool; 2] {
        [0, 1].map(|which| {
            self.live[which]
                && self.paths[which]
                    .and_then(|path| path.get(self.depth))
                    .is_some_and(|wanted| wanted.as_str() == token)
        })
    }

    fn child(&mut self, live: [bool; 2]) -> Node<'_, 'v> {
        Node { depth: self.depth + 1, live, paths: self.paths, found: self.found }
    }
}

impl<'v> DeserializeSeed<'v> for Node<'_, 'v> {
    type Value = ();

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for Node<'_, 'v> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(mut self, text: &'v str) -> Result<(), E> {
        self.put(&Found::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.put(&Found::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<(), E> {
        self.put(&Found::NotText);
        Ok(())
    }

    fn visit_i64<E>(mut self, _: i64) -> Result<(), E> {
        self.put(&Found::NotText);
        Ok(())
    }

    fn visit_u64<E>(mut self, _: u64) -> Result<(), E> {
        self.put(&Found::NotText);
        Ok(())
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<(), E> {
        self.put(&Found::NotText);
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.put(&Found::NotText);
        Ok(())
    }

    fn visit_map<A: MapAccess<'v>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.put(&Found::NotText);
        let mut seen = [false; 2];
        while let Some(live) = map.next_key_seed(Key(&self))? {
            for which in 0..2 {
                if live[which] && std::mem::replace(&mut seen[which], true) {
                    self.found[which] = Found::Ambiguous;
                }
            }
            let fresh = [0, 1].map(|which| live[which] && self.found[which] != Found::Ambiguous);
            if fresh == [false; 2] {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(self.child(fresh))?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'v>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.put(&Found::NotText);
        for index in 0_usize.. {
            let live = self.follows(&index.to_string());
            let more = if live == [false; 2] {
                seq.next_element::<IgnoredAny>()?.is_some()
            } else {
                seq.next_element_seed(self.child(live))?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// An object's key, compared while it is read. Yields the paths that continue through it.
struct Key<'k, 'a, 'v>(&'k Node<'a, 'v>);

impl<'v> DeserializeSeed<'v> for Key<'_, '_, '_> {
    type Value = [bool; 2];

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<[bool; 2], D::Error> {
        let key: Cow<'v, str> = CowKey::deserialize(json)?.0;
        Ok(self.0.follows(&key))
    }
}

/// A key, borrowed if it has no escapes.
struct CowKey<'v>(Cow<'v, str>);

impl<'v> Deserialize<'v> for CowKey<'v> {
    fn deserialize<D: Deserializer<'v>>(json: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'v> Visitor<'v> for Text {
            type Value = Cow<'v, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'v str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        json.deserialize_str(Text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(json: &str, pointer: &[&str]) -> Result<Found<'static>, NotJson> {
        let path: Vec<String> = pointer.iter().map(|token| (*token).to_owned()).collect();
        let [found, other] = two(json.as_bytes(), Some(&path), None)?;
        assert!(other == Found::Absent);
        Ok(match found {
            Found::Text(text) => Found::Text(Cow::Owned(text.into_owned())),
            Found::Absent => Found::Absent,
            Found::Ambiguous => Found::Ambiguous,
            Found::NotText => Found::NotText,
        })
    }

    fn text(text: &str) -> Result<Found<'static>, NotJson> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let json = r#"{"a":{"b":["x",{"c":"found"}],"z":"no"},"c":"other"}"#;
        assert!(at(json, &["a", "b", "1", "c"]) == text("found"));
        assert!(at(json, &["c"]) == text("other"));
        assert!(at(json, &["a", "b", "7"]) == Ok(Found::Absent));
        assert!(at(json, &["a"]) == Ok(Found::NotText));
        assert!(at(r#"{"\u0061":"\u0062\n"}"#, &["a"]) == text("b\n"), "escapes in key and value");
    }

    #[test]
    fn two_pointers_are_found_in_one_pass_also_under_one_parent() {
        let (a, b) = (["p".to_owned(), "a".to_owned()], ["p".to_owned(), "b".to_owned()]);
        let found = two(br#"{"p":{"b":"2","a":"1"}}"#, Some(&a), Some(&b)).expect("JSON");
        assert!(found == [Found::Text("1".into()), Found::Text("2".into())]);
    }

    #[test]
    fn a_repeated_key_on_the_path_is_ambiguous_and_elsewhere_it_is_not() {
        assert!(at(r#"{"a":"1","a":"1"}"#, &["a"]) == Ok(Found::Ambiguous));
        assert!(at(r#"{"a":{"b":"1"},"a":{}}"#, &["a", "b"]) == Ok(Found::Ambiguous));
        assert!(at(r#"{"a":{"b":"1","b":"2"}}"#, &["a", "b"]) == Ok(Found::Ambiguous));
        assert!(at(r#"{"x":1,"x":2,"a":"1"}"#, &["a"]) == text("1"));
    }

    #[test]
    fn what_is_not_wholly_json_is_refused() {
        for bad in ["", "{", r#"{"a":"1"}x"#, r#"{"a":"1",}"#, "\u{feff}{}", r#"{"a":"\ud800"}"#] {
            assert!(at(bad, &["a"]) == Err(NotJson), "{bad}");
        }
        assert!(two(b"{\"a\":\"\xff\"}", None, None) == Err(NotJson), "invalid UTF-8");
    }

    #[test]
    fn deep_nesting_beside_the_path_is_skipped() {
        let json = format!(r#"{{"deep":{}{},"a":"1"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(at(&json, &["a"]) == text("1"));
    }
}
