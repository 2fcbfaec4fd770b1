//! The text of sources: how settings name places and forms, and how suggestions write them.

use std::fmt;
use std::str::FromStr;

use super::{CustomerFrom, Decoding, IdForm, Pointer, SettingError, Skip, TimeForm, TimeFrom, Unit};

impl FromStr for CustomerFrom {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if let Some(path) = text.strip_prefix("json:") {
            let (path, form) = split_form(path);
            let form = form.map_or(Ok(IdForm::StringOrInteger), str::parse)?;
            return Ok(Self::Json(path.parse()?, form));
        }
        let (place, decoding) = split_decoding(text);
        let decoding = decoding.map_or(Ok(Decoding::Undeclared), str::parse)?;
        match header_name(place) {
            Some(name) => Ok(Self::Header(name, decoding)),
            None if place == "key" => Ok(Self::Key(decoding)),
            None => Err(SettingError::Customer(text.to_owned())),
        }
    }
}

impl FromStr for TimeFrom {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text == "timestamp" {
            return Ok(Self::Timestamp);
        }
        let (place, form) = split_form(text);
        let form = form.map_or(Ok(TimeForm::Rfc3339), str::parse)?;
        match (place.strip_prefix("json:"), header_name(place)) {
            (Some(path), _) => Ok(Self::Json(path.parse()?, form)),
            (None, Some(name)) => Ok(Self::Header(name, form)),
            (None, None) => Err(SettingError::Time(text.to_owned())),
        }
    }
}

fn header_name(place: &str) -> Option<String> {
    place.strip_prefix("header:").filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Splits a place and its form at the last `@`. An `@` at the start of a name belongs to the name
/// (`json:/@timestamp`), and so does one before a `/`.
fn split_form(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((place, form)) if !form.contains('/') && !place.ends_with(['/', ':']) => (place, Some(form)),
        _ => (text, None),
    }
}

/// Splits a place and its decoding. A decoding may contain a pointer, which may contain an `@`.
fn split_decoding(text: &str) -> (&str, Option<&str>) {
    let pointed = ["@json:/", "@confluent-json:/"].into_iter().find_map(|mark| text.find(mark));
    match pointed {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => split_form(text),
    }
}

impl FromStr for IdForm {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "string" => Ok(Self::String),
            _ => Err(SettingError::IdForm(text.to_owned())),
        }
    }
}

impl FromStr for Decoding {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if let Some(pointer) = text.strip_prefix("json:") {
            return pointer.parse().map(Self::Json);
        }
        if let Some(pointer) = text.strip_prefix("confluent-json:") {
            return pointer.parse().map(Self::ConfluentJson);
        }
        match text {
            "utf8" => Ok(Self::Utf8),
            "json" => Ok(Self::Json(Pointer::ROOT)),
            "int64" => Ok(Self::Int64),
            "confluent" => Ok(Self::ConfluentString),
            "confluent-json" => Ok(Self::ConfluentJson(Pointer::ROOT)),
            "confluent-int64" => Ok(Self::ConfluentInt64),
            _ => Err(SettingError::Decoding(text.to_owned())),
        }
    }
}

impl FromStr for TimeForm {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "iso8601" => Ok(Self::Iso8601),
            "epoch-s" => Ok(Self::Epoch(Unit::Seconds)),
            "epoch-ms" => Ok(Self::Epoch(Unit::Milliseconds)),
            "epoch-us" => Ok(Self::Epoch(Unit::Microseconds)),
            "epoch-ns" => Ok(Self::Epoch(Unit::Nanoseconds)),
            _ => Err(SettingError::TimeForm(text.to_owned())),
        }
    }
}

impl fmt::Display for CustomerFrom {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name, decoding) => write!(f, "header:{name}{decoding}"),
            Self::Json(pointer, IdForm::StringOrInteger) => write!(f, "json:{pointer}"),
            Self::Json(pointer, IdForm::String) => write!(f, "json:{pointer}@string"),
            Self::Key(decoding) => write!(f, "key{decoding}"),
        }
    }
}

impl fmt::Display for Decoding {
    /// With its `@`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, pointer) = match self {
            Self::Undeclared => return Ok(()),
            Self::Utf8 => ("utf8", None),
            Self::Json(pointer) => ("json", Some(pointer)),
            Self::Int64 => ("int64", None),
            Self::ConfluentString => ("confluent", None),
            Self::ConfluentJson(pointer) => ("confluent-json", Some(pointer)),
            Self::ConfluentInt64 => ("confluent-int64", None),
        };
        match pointer.filter(|pointer| !pointer.tokens().is_empty()) {
            Some(pointer) => write!(f, "@{word}:{pointer}"),
            None => write!(f, "@{word}"),
        }
    }
}

impl fmt::Display for TimeFrom {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name, form) => write!(f, "header:{name}@{form}"),
            Self::Json(pointer, form) => write!(f, "json:{pointer}@{form}"),
            Self::Timestamp => f.write_str("timestamp"),
        }
    }
}

impl fmt::Display for TimeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rfc3339 => "rfc3339",
            Self::Iso8601 => "iso8601",
            Self::Epoch(Unit::Seconds) => "epoch-s",
            Self::Epoch(Unit::Milliseconds) => "epoch-ms",
            Self::Epoch(Unit::Microseconds) => "epoch-us",
            Self::Epoch(Unit::Nanoseconds) => "epoch-ns",
        })
    }
}

impl FromStr for Skip {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "none" => Ok(Self::None),
            "confluent" => Ok(Self::Confluent),
            _ => Err(SettingError::Skip(text.to_owned())),
        }
    }
}
