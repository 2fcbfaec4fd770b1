//! Commands: what a record of the control topic asks for (`schemas/control.schema.json`).

use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::model::{CustomerError, CustomerId, Digest, Hour};

/// Longest command, in bytes.
pub const MAX_COMMAND_BYTES: usize = 64 << 10;

/// Longest id of a command, in bytes.
const MAX_ID: usize = 128;

/// Most hours that one command may name.
const MAX_HOURS: u32 = 65_535;

/// Why somebody wants hours forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Reason {
    /// The customer's retention is over.
    RetentionEnd,
    /// Somebody asks for it before that.
    Request,
}

/// A command that is well formed. What it asks for may still be impossible: [`super::decide()`] says so, in a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Chosen by the sender. It is copied into the receipt, and nowhere else.
    pub id: String,
    pub customer: Result<CustomerId, CustomerError>,
    pub from: Hour,
    /// The last hour, itself included.
    pub to: Hour,
    pub reason: Reason,
}

impl Command {
    /// Whether the hours are in order and not too many.
    pub fn range_is_valid(&self) -> bool {
        self.to.0.checked_sub(self.from.0).is_some_and(|more| more < MAX_HOURS)
    }
}

/// A control record's value as it came: bytes of which nothing is known yet.
#[derive(Clone, Copy)]
pub struct Unverified<'a>(&'a [u8]);

impl<'a> Unverified<'a> {
    /// # Errors
    /// [`NotACommand`] where there is nothing to look at, or too much.
    pub fn new(value: Option<&'a [u8]>) -> Result<Self, NotACommand> {
        match value {
            None => Err(NotACommand::NoValue),
            Some(bytes) if bytes.len() > MAX_COMMAND_BYTES => Err(NotACommand::TooLarge(bytes.len())),
            Some(bytes) => Ok(Self(bytes)),
        }
    }

    /// SHA-256 of the bytes: the command's name from here on.
    pub fn digest(self) -> Digest {
        Digest::from_slice(digest(&SHA256, self.0).as_ref()).expect("SHA-256 gives 32 bytes")
    }

    /// # Errors
    /// [`NotACommand`], which quotes nothing of it.
    pub fn parse(self) -> Result<Command, NotACommand> {
        // A JSON array of the right values is read as a struct too.
        if self.0.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(NotACommand::NotAnObject);
        }
        let raw: Raw = serde_json::from_slice(self.0)
            .map_err(|error| NotACommand::Malformed { line: error.line(), column: error.column() })?;
        if raw.id.is_empty() || raw.id.len() > MAX_ID {
            return Err(NotACommand::IdLength(raw.id.len()));
        }
        let Raw { id, kind: Kind, customer, from_hour, to_hour, reason } = raw;
        let customer = CustomerId::parse(&customer);
        Ok(Command { id, customer, from: Hour(from_hour), to: Hour(to_hour), reason })
    }
}

/// Why a control record is no command: it is counted and left alone, without a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotACommand {
    #[error("it has no value")]
    NoValue,
    #[error("it is {0} bytes long")]
    TooLarge(usize),
    #[error("it is no JSON object")]
    NotAnObject,
    #[error("it breaks the schema at line {line} column {column}")]
    Malformed { line: usize, column: usize },
    #[error("its id is {0} bytes long")]
    IdLength(usize),
}

/// The fields as they stand; serde refuses repeated ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: Kind,
    customer: String,
    from_hour: u32,
    to_hour: u32,
    reason: Reason,
}

/// `erase` is all there is. From a string only: serde would take `{"erase": null}` for an enum as well.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Kind;

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "erase" { Ok(Self) } else { Err("unknown type") }
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "retention-end" => Ok(Self::RetentionEnd),
            "request" => Ok(Self::Request),
            _ => Err("unknown reason"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"id":"c-1","type":"erase","customer":"acme","from_hour":7,"to_hour":9,"reason":"retention-end"}"#;

    fn parse(text: &str) -> Result<Command, NotACommand> {
        Unverified::new(Some(text.as_bytes()))?.parse()
    }

    #[test]
    fn a_command_says_whose_hours_and_why() {
        let command = parse(GOOD).expect("well formed");
        assert_eq!((command.id.as_str(), command.from, command.to), ("c-1", Hour(7), Hour(9)));
        assert_eq!(command.customer.expect("a customer").as_str(), "acme");
        assert_eq!(command.reason, Reason::RetentionEnd);
    }

    #[test]
    fn its_name_is_the_sha_256_of_its_bytes() {
        let digest = Unverified::new(Some(b"abc")).expect("bytes").digest();
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_is_not_exactly_a_command_is_none() {
        let with = |from: &str, to: &str| GOOD.replace(from, to);
        for (what, text) in [
            ("nothing", String::new()),
            ("an array of the values", r#"["c-1","erase","acme",7,9,"retention-end"]"#.to_owned()),
            ("another type", with("erase", "hold")),
            ("a type as an object", with(r#""erase""#, r#"{"erase":null}"#)),
            ("another reason", with("retention-end", "because")),
            ("an unknown field", with(r#""to_hour":9"#, r#""to_hour":9,"force":true"#)),
            ("a repeated field", with(r#""to_hour":9"#, r#""to_hour":9,"to_hour":9"#)),
            ("a repeated field in other letters", with(r#""id":"c-1""#, r#""id":"c-1","\u0069d":"c-2""#)),
            ("a missing field", with(r#","reason":"retention-end""#, "")),
            ("an hour below zero", with(":7", ":-7")),
            ("an hour beyond the field", with(":7", ":4294967296")),
            ("half an hour", with(":7", ":7.0")),
            ("an hour as text", with(":7", r#":"7""#)),
            ("no id", with("c-1", "")),
            ("a long id", with("c-1", &"x".repeat(129))),
            ("something after it", format!("{GOOD}{GOOD}")),
            ("half a surrogate", with("acme", r"\ud800")),
        ] {
            assert!(parse(&text).is_err(), "{what}");
        }
        assert_eq!(Unverified::new(None).err(), Some(NotACommand::NoValue));
        let padded = format!("{GOOD}{}", " ".repeat(MAX_COMMAND_BYTES));
        assert_eq!(parse(&padded), Err(NotACommand::TooLarge(padded.len())));
    }

    #[test]
    fn errors_quote_nothing() {
        for text in [GOOD.replace("erase", "acme-secret"), GOOD.replace("reason", "acme-secret")] {
            assert!(!parse(&text).expect_err("malformed").to_string().contains("acme-secret"));
        }
    }

    #[test]
    fn an_impossible_customer_or_range_is_still_a_command() {
        let command = parse(&GOOD.replace("acme", "~quarantine")).expect("well formed");
        assert_eq!(command.customer, Err(CustomerError::Reserved));
        let range = |from: &str, to: &str| {
            let text = GOOD.replace(":7", &format!(":{from}")).replace(":9", &format!(":{to}"));
            parse(&text).expect("well formed").range_is_valid()
        };
        assert!(range("7", "7"));
        assert!(!range("8", "7"));
        assert!(range("1", "65535"));
        assert!(!range("1", "65536"));
        assert!(!range("0", "4294967295"));
    }
}
