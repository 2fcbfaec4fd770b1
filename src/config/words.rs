//! Settings that are text: names that follow a rule, files, one of a few words, types that other rooms parse.

use std::fmt::Display;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::kind::Scalar;
use crate::envelope::StreamName;
use crate::model::CustomerId;

/// Text that follows a rule.
pub(super) struct Word {
    /// Describes a legal text.
    pub(super) is: &'static str,
    /// The rule. `pattern` is roughly the same rule as a regular expression for the schema.
    pub(super) legal: fn(&str) -> bool,
    pub(super) pattern: &'static str,
    /// True if the text may name a person or a customer. An error does not quote it then.
    pub(super) private: bool,
}

/// Any text.
pub(super) const TEXT: Word = Word { is: "text", legal: |_| true, pattern: "", private: false };

pub(super) const FILLED: Word = Word {
    is: "text with at least one non-blank character",
    legal: |text| !text.trim().is_empty(),
    pattern: "[^ ]",
    private: false,
};

/// Kafka's legal names. They become parts of topic names, `group.instance.id` and `transactional.id`.
pub(super) const NAME: Word = Word {
    is: "1 to 200 letters, digits, dots, dashes and underscores",
    legal: |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        (1..=200).contains(&text.len()) && text.chars().all(legal)
    },
    pattern: "^[A-Za-z0-9._-]{1,200}$",
    private: false,
};

pub(super) const KEYSPACE: Word = Word {
    is: "1 to 39 of a-z, 0-9 and _, beginning with a letter",
    legal: |text| {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 39 && text.chars().all(legal)
    },
    pattern: "^[a-z][a-z0-9_]{0,38}$",
    private: false,
};

pub(super) const HEADER: Word = Word {
    is: "a header name that may be copied: not empty, without NUL, not beginning with hourseal-",
    legal: |name| !(name.is_empty() || name.contains('\0') || name.starts_with("hourseal-")),
    pattern: "^(?!hourseal-).+$",
    private: false,
};

/// The canary's customer. Its retention is one hour, so it must not be a real customer.
pub(super) const CANARY: Word = Word {
    is: "an id that begins with `hourseal-canary`",
    legal: |text| text.starts_with("hourseal-canary") && CustomerId::parse(text).is_ok(),
    pattern: "^hourseal-canary",
    private: true,
};

impl Scalar for Word {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        match (self.legal)(text) {
            true => Ok(text.to_owned()),
            false if self.private => Err(format!("not {}", self.is)),
            false => Err(format!("`{text}` is not {}", self.is)),
        }
    }

    fn schema(&self) -> Json {
        if self.pattern.is_empty() {
            return json!({ "type": "string" });
        }
        json!({ "type": "string", "pattern": self.pattern })
    }
}

/// A file or a folder.
pub(super) struct File;

impl Scalar for File {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        Ok(PathBuf::from(text))
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

/// The logical name that is bound into every seal.
pub(super) struct Stream;

impl Scalar for Stream {
    type Value = StreamName;

    fn parse(&self, text: &str) -> Result<StreamName, String> {
        StreamName::parse(text).map_err(|why| format!("`{text}`: {why}"))
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": StreamName::MAX_LEN })
    }
}

/// A type of another room that parses its own text.
pub(super) struct Parsed<T> {
    pattern: &'static str,
    value: PhantomData<T>,
}

impl<T: FromStr<Err: Display>> Parsed<T> {
    /// `pattern` is a rough form of the rule, for the schema.
    pub(super) fn like(pattern: &'static str) -> Self {
        Self { pattern, value: PhantomData }
    }
}

impl<T: FromStr<Err: Display>> Scalar for Parsed<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        text.parse().map_err(|why: T::Err| format!("`{text}`: {why}"))
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": self.pattern })
    }
}

/// One of a few words.
pub(super) struct OneOf<T> {
    words: &'static [&'static str],
    value: PhantomData<T>,
}

impl<T: FromStr<Err: Display>> OneOf<T> {
    pub(super) fn these(words: &'static [&'static str]) -> Self {
        Self { words, value: PhantomData }
    }
}

impl<T: FromStr<Err: Display>> Scalar for OneOf<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        if !self.words.contains(&text) {
            return Err(format!("`{text}` is not one of: {}", self.words.join(", ")));
        }
        text.parse().map_err(|why: T::Err| format!("`{text}`: {why}"))
    }

    fn schema(&self) -> Json {
        json!({ "enum": self.words })
    }
}
