//! The places of an event's customer and time in a record, and the forms of their values.

mod text;

use std::str::FromStr;

use super::settings::{Pointer, SettingError};

/// One to four places, in the order in which they are tried. The first place that holds a value counts, even
/// if that value is not valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources<T>(Vec<T>);

impl<T> Sources<T> {
    /// Maximum number of places.
    pub const MOST: usize = 4;

    /// # Errors
    /// There is no place, or there are more than [`Sources::MOST`].
    pub fn new(places: Vec<T>) -> Result<Self, SettingError> {
        match places.len() {
            1..=4 => Ok(Self(places)),
            count => Err(SettingError::Places(count)),
        }
    }

    /// The place that is tried first.
    pub fn first(&self) -> &T {
        &self.0[0]
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The same places, but another one at `index`.
    pub(super) fn with(&self, index: usize, place: T) -> Self
    where
        T: Clone,
    {
        let mut places = self.0.clone();
        places[index] = place;
        Self(places)
    }
}

/// Reads a single place.
impl<T: FromStr> FromStr for Sources<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(|place| Self(vec![place]))
    }
}

/// Source of an event's customer id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CustomerFrom {
    /// A header's value.
    Header(String, Decoding),
    /// A member of the JSON value.
    Json(Pointer, IdForm),
    /// The record's key.
    Key(Decoding),
}

/// Source of an event's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TimeFrom {
    /// A header's value.
    Header(String, TimeForm),
    /// A member of the JSON value.
    Json(Pointer, TimeForm),
    /// The record's timestamp.
    Timestamp,
}

/// The JSON values that may be a customer id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdForm {
    /// A string, or an integer that fits in 64 bits. The integer's id is its decimal digits: `7` and `"7"`
    /// are one customer.
    StringOrInteger,
    /// A string.
    String,
}

/// The encoding of a customer id in a key or a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoding {
    /// UTF-8 text. Bytes that look like another encoding are refused: an erasure would miss their customer.
    Undeclared,
    /// UTF-8 text, whatever it looks like.
    Utf8,
    /// JSON: a string or an integer at the pointer.
    Json(Pointer),
    /// A signed integer of 8 bytes, big-endian.
    Int64,
    /// A string of Avro behind a registry's prefix, or a record of Avro whose only field is a string.
    ConfluentString,
    /// JSON behind a registry's prefix: a string or an integer at the pointer.
    ConfluentJson(Pointer),
    /// A `long` or `int` of Avro behind a registry's prefix, or a record of Avro whose only field is one.
    ConfluentInt64,
}

/// The form of an event's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeForm {
    /// RFC 3339.
    Rfc3339,
    /// RFC 3339, and near misses that ISO 8601 or its users allow: `+0000`, `+00`, a space for the `T`, a
    /// comma.
    Iso8601,
    /// The time since 1970-01-01T00:00Z, as a number or as its text.
    Epoch(Unit),
}

/// The unit of an epoch time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// Bytes that are skipped at the start of a value before pointers look into it. They are sealed like the
/// rest.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Skip {
    #[default]
    None,
    /// The prefix of a schema registry: a zero byte, a schema id of 4 bytes, Protobuf's message index.
    Confluent,
}

#[cfg(test)]
mod tests;
