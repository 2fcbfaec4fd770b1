//! Finds values at pointers in a JSON text, in one pass and without a tree. Everything else is skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The value at a pointer.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Found<'v> {
    /// Nothing.
    #[default]
    Absent,
    /// An object on the pointer's path has the same key twice.
    Ambiguous,
    /// `null`, a truth value, an array or an object.
    Other,
    Number(Number),
    Text(Cow<'v, str>),
}

/// A JSON number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    /// Written with a fraction or an exponent, or too large for 64 bits.
    Float(f64),
}

/// The value is not a JSON text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotJson;

/// Maximum number of pointers.
pub(super) const MOST: usize = 8;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Looks up at most [`MOST`] pointers in a JSON text. A byte order mark before it is skipped.
pub(super) fn look_up<'v>(value: &'v [u8], paths: &[&[String]]) -> Result<[Found<'v>; MOST], NotJson> {
    let value = value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value);
    let text = std::str::from_utf8(value).map_err(|_| NotJson)?;
    if let Some(found) = pass(text, paths, Keys::Text) {
        return Ok(found);
    }
    // A key may be half a surrogate pair, which the grammar of JSON allows. A reader that keeps nothing
    // accepts it, too. It checks the whole text first, because keys as bytes may hold control characters.
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => pass(text, paths, Keys::Bytes).ok_or(NotJson),
        Err(_) => Err(NotJson),
    }
}

/// The form in which keys are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Half a surrogate pair is an error.
    Text,
    /// Half a surrogate pair equals no key of a path. Control characters are accepted.
    Bytes,
}

fn pass<'v>(text: &'v str, paths: &[&[String]], keys: Keys) -> Option<[Found<'v>; MOST]> {
    debug_assert!(paths.len() <= MOST);
    let mut found = <[Found<'v>; MOST]>::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let live = Live(((1_u16 << paths.len()) - 1) as u8);
    let at = Node { depth: 0, live, keys, paths, found: &mut found };
    at.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found)
}

/// A set of paths, as bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Live(u8);

impl Live {
    const NONE: Self = Self(0);

    fn has(self, which: usize) -> bool {
        self.0 >> which & 1 == 1
    }
}

/// A place in the text, `depth` tokens below the root; `live` tells which of the paths lead here.
struct Node<'a, 'v> {
    depth: usize,
    live: Live,
    keys: Keys,
    paths: &'a [&'a [String]],
    found: &'a mut [Found<'v>; MOST],
}

impl<'a, 'v> Node<'a, 'v> {
    fn put(&mut self, what: Found<'v>) {
        for (which, path) in self.paths.iter().enumerate() {
            if self.live.has(which) && path.len() == self.depth && self.found[which] != Found::Ambiguous {
                self.found[which] = what.clone();
            }
        }
    }

    /// The paths that continue with this token.
    fn follows(&self, token: &[u8]) -> Live {
        let mut live = 0;
        for (which, path) in self.paths.iter().enumerate() {
            let follows = path.get(self.depth).is_some_and(|wanted| wanted.as_bytes() == token);
            live |= u8::from(follows) << which;
        }
        Live(live & self.live.0)
    }

    /// Of the paths that continue with a key of an object, those that it does not make ambiguous.
    fn unrepeated(&mut self, live: Live, seen: &mut Live) -> Live {
        if live == Live::NONE {
            return live;
        }
        let mut fresh = live.0;
        for which in 0..self.paths.len() {
            if live.has(which) && seen.has(which) {
                self.found[which] = Found::Ambiguous;
            }
            if self.found[which] == Found::Ambiguous {
                fresh &= !(1 << which);
            }
        }
        seen.0 |= live.0;
        Live(fresh)
    }

    fn child(&mut self, live: Live) -> Node<'_, 'v> {
        Node { depth: self.depth + 1, live, keys: self.keys, paths: self.paths, found: self.found }
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
        self.put(Found::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.put(Found::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<(), E> {
        self.put(Found::Other);
        Ok(())
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<(), E> {
        self.put(Found::Number(Number::Signed(number)));
        Ok(())
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<(), E> {
        self.put(Found::Number(Number::Unsigned(number)));
        Ok(())
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<(), E> {
        self.put(Found::Number(Number::Float(number)));
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.put(Found::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'v>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.put(Found::Other);
        let mut seen = Live::NONE;
        while let Some(live) = map.next_key_seed(Key(&self))? {
            let fresh = self.unrepeated(live, &mut seen);
            if fresh == Live::NONE {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(self.child(fresh))?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'v>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.put(Found::Other);
        for index in 0_usize.. {
            let live = self.follows(index.to_string().as_bytes());
            let more = if live == Live::NONE {
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
    type Value = Live;

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Live, D::Error> {
        match self.0.keys {
            Keys::Text => json.deserialize_str(self),
            Keys::Bytes => json.deserialize_bytes(self),
        }
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = Live;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Live, E> {
        Ok(self.0.follows(key.as_bytes()))
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Live, E> {
        Ok(self.0.follows(key))
    }
}

#[cfg(test)]
mod tests;
