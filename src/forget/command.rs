//! Commands: what a record of the control topic asks for (`schemas/control.schema.json`).

use std::num::NonZeroU16;

use ring::digest::{SHA256, digest};
use serde::Deserialize;

use super::Kind;
use super::dsse::{self, Signature};
use crate::keys::HoldId;
use crate::model::{CustomerError, CustomerId, Digest, Hour, Millis, Retention, StoreId, unhex};

/// Longest record of the control topic, in bytes.
pub const MAX_COMMAND_BYTES: usize = 64 << 10;

/// Longest id of a command, of a hold and of an issuer, in bytes.
const MAX_ID: usize = 128;

/// Most hours that one erasure may name.
const MAX_HOURS: u32 = 65_535;

/// Why somebody wants hours forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The customer's retention is over.
    RetentionEnd,
    /// Somebody asks for it, perhaps before that.
    Request,
}

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Erase(Reason),
    /// Forget a customer as a whole: every hour, and those to come. It never waits for a due, so it is asked for as what goes
    /// early.
    EraseCustomer,
    /// Forbid erasure.
    Hold(HoldId),
    /// Lift that.
    Release(HoldId),
    /// Keep the customer's data for so long, what is not due yet included.
    Retention(Retention),
}

impl Act {
    /// The word in commands, receipts and metrics.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Erase(_) => Kind::Erase,
            Self::EraseCustomer => Kind::EraseCustomer,
            Self::Hold(_) => Kind::Hold,
            Self::Release(_) => Kind::Release,
            Self::Retention(_) => Kind::Retention,
        }
    }
}

/// A command that is well formed. What it asks for may still be impossible: [`super::decide()`] says so, in a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Chosen by the sender. It is copied into the receipt, and nowhere else.
    pub id: String,
    pub act: Act,
    pub customer: Result<CustomerId, CustomerError>,
    /// The first hour; a release, a retention and the erasure of a customer have all of them.
    pub from: Hour,
    /// The last hour, itself included.
    pub to: Hour,
    pub terms: Terms,
}

/// By whom, for whom and for how long a command is meant. A signed one says all of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Terms {
    pub issuer: Option<String>,
    /// The id of the key store that it is meant for.
    pub deployment: Option<StoreId>,
    pub not_before: Option<Millis>,
    pub expires: Option<Millis>,
}

impl Terms {
    fn are_complete(&self) -> bool {
        self.issuer.is_some()
            && self.deployment.is_some()
            && self.not_before.is_some()
            && self.expires.is_some()
    }
}

impl Command {
    /// Whether the hours are in order and not too many. A hold may cover any number.
    pub fn range_is_valid(&self) -> bool {
        let more = self.to.0.checked_sub(self.from.0);
        more.is_some_and(|more| more < MAX_HOURS || !matches!(self.act, Act::Erase(_)))
    }
}

/// A control record's value as it came: bytes of which nothing is known yet.
#[derive(Clone, Copy)]
pub struct Unverified<'a>(&'a [u8]);

/// A command as it was sent: who has signed it is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// SHA-256 of the command's own bytes, whoever has signed them: its name from here on.
    pub digest: Digest,
    /// SHA-256 of "hourseal/1 record" ‖ the record's value, signatures included: the name of what was refused for them.
    pub record: Digest,
    pub command: Command,
    /// The command's own bytes.
    pub payload: Vec<u8>,
    /// What stands under them; `None` for a command without an envelope.
    pub signatures: Option<Vec<Signature>>,
}

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

    /// Reads a command, or an envelope (DSSE) with a command in it.
    ///
    /// # Errors
    /// [`NotACommand`], which quotes nothing of it.
    pub fn parse(self) -> Result<Message, NotACommand> {
        let record = sha_256(&[b"hourseal/1 record", self.0].concat());
        let (payload, signatures) = if dsse::is_envelope(self.0) {
            let dsse::Envelope { payload, signatures } = dsse::parse(self.0)?;
            (payload, Some(signatures))
        } else {
            (self.0.to_vec(), None)
        };
        let command = parse(&payload)?;
        if signatures.is_some() && !command.terms.are_complete() {
            return Err(NotACommand::Terms);
        }
        Ok(Message { digest: sha_256(&payload), record, command, payload, signatures })
    }
}

pub(super) fn sha_256(bytes: &[u8]) -> Digest {
    Digest::from_slice(digest(&SHA256, bytes).as_ref()).expect("SHA-256 gives 32 bytes")
}

/// An object's bytes; serde would read an array of the right values as a struct too.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

fn parse(bytes: &[u8]) -> Result<Command, NotACommand> {
    if !is_object(bytes) {
        return Err(NotACommand::NotAnObject);
    }
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| NotACommand::malformed(&error))?;
    raw.into_command()
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
    /// Of a command, a hold or an issuer.
    #[error("an id in it is {0} bytes long, or reserved")]
    Id(usize),
    #[error("it has fields that do not belong to its type, or lacks some")]
    Fields,
    #[error("it is signed and lacks issuer, deployment, not_before or expires")]
    Terms,
    #[error("its envelope holds something else than a command of Hourseal, or no base64")]
    Envelope,
}

impl NotACommand {
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed { line: error.line(), column: error.column() }
    }
}

/// The fields as they stand; serde refuses repeated ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: Text<Type>,
    customer: String,
    #[serde(default, deserialize_with = "some")]
    from_hour: Option<u32>,
    #[serde(default, deserialize_with = "some")]
    to_hour: Option<u32>,
    #[serde(default, deserialize_with = "some")]
    reason: Option<Text<Reason>>,
    #[serde(default, deserialize_with = "some")]
    hold: Option<String>,
    #[serde(default, deserialize_with = "some")]
    retention_hours: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "some")]
    issuer: Option<String>,
    #[serde(default, deserialize_with = "some")]
    deployment: Option<String>,
    #[serde(default, deserialize_with = "some")]
    not_before: Option<String>,
    #[serde(default, deserialize_with = "some")]
    expires: Option<String>,
}

/// What may be missing and may not be null.
fn some<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Type {
    Erase,
    EraseCustomer,
    Hold,
    Release,
    Retention,
}

/// A word of a list. From a string only: serde would take `{"erase": null}` for an enum as well.
#[derive(Deserialize)]
#[serde(try_from = "String", bound(deserialize = "T: serde::de::DeserializeOwned"))]
struct Text<T>(T);

impl<T: serde::de::DeserializeOwned> TryFrom<String> for Text<T> {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let word = serde::de::value::StringDeserializer::<serde::de::value::Error>::new(text);
        T::deserialize(word).map(Text).map_err(|_| "unknown word")
    }
}

impl Raw {
    fn into_command(self) -> Result<Command, NotACommand> {
        let hours = (self.from_hour.map(Hour), self.to_hour.map(Hour));
        let all = (Hour(0), Hour(u32::MAX));
        let retention = self.retention_hours.and_then(|hours| Retention::hours(hours.get()));
        let (act, (from, to)) = match (self.kind.0, self.reason, self.hold, retention, hours) {
            (Type::Erase, Some(reason), None, None, (Some(from), Some(to))) => {
                (Act::Erase(reason.0), (from, to))
            }
            (Type::Hold, None, Some(hold), None, (Some(from), Some(to))) => {
                (Act::Hold(hold_id(&hold)?), (from, to))
            }
            (Type::EraseCustomer, None, None, None, (None, None)) => (Act::EraseCustomer, all),
            (Type::Release, None, Some(hold), None, (None, None)) => (Act::Release(hold_id(&hold)?), all),
            (Type::Retention, None, None, Some(retention), (None, None)) => (Act::Retention(retention), all),
            _ => return Err(NotACommand::Fields),
        };
        let terms = Terms {
            issuer: self.issuer.map(|issuer| id(&issuer).map(|()| issuer)).transpose()?,
            deployment: field(self.deployment, |text| unhex(text).map(StoreId))?,
            not_before: field(self.not_before, |text| text.parse().ok())?,
            expires: field(self.expires, |text| text.parse().ok())?,
        };
        id(&self.id)?;
        Ok(Command { id: self.id, act, customer: CustomerId::parse(&self.customer), from, to, terms })
    }
}

/// 1 to 128 bytes. What begins with `~` is ours.
fn id(text: &str) -> Result<(), NotACommand> {
    let is_one = !text.is_empty() && text.len() <= MAX_ID && !text.starts_with('~');
    is_one.then_some(()).ok_or(NotACommand::Id(text.len()))
}

fn hold_id(text: &str) -> Result<HoldId, NotACommand> {
    id(text).map(|()| HoldId(text.as_bytes().to_vec()))
}

fn field<T>(text: Option<String>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, NotACommand> {
    text.map(|text| read(&text).ok_or(NotACommand::Fields)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERASE: &str =
        r#"{"id":"c-1","type":"erase","customer":"acme","from_hour":7,"to_hour":9,"reason":"retention-end"}"#;
    const HOLD: &str =
        r#"{"id":"c-2","type":"hold","customer":"acme","from_hour":7,"to_hour":9,"hold":"case-17"}"#;
    const RETENTION: &str = r#"{"id":"c-5","type":"retention","customer":"acme","retention_hours":720}"#;
    const TERMS: &str = r#""issuer":"dpo","deployment":"aa000000000000000000000000000000","not_before":"2026-11-25T00:00:00Z","expires":"2026-11-26T00:00:00Z""#;

    fn message(text: &str) -> Result<Message, NotACommand> {
        Unverified::new(Some(text.as_bytes()))?.parse()
    }

    fn parse(text: &str) -> Result<Command, NotACommand> {
        message(text).map(|message| message.command)
    }

    #[test]
    fn a_command_says_whose_hours_and_what_is_to_become_of_them() {
        let command = parse(ERASE).expect("well formed");
        assert_eq!((command.id.as_str(), command.from, command.to), ("c-1", Hour(7), Hour(9)));
        assert_eq!(command.customer.expect("a customer").as_str(), "acme");
        assert_eq!((command.act, command.terms), (Act::Erase(Reason::RetentionEnd), Terms::default()));
        let case = HoldId(b"case-17".to_vec());
        assert_eq!(parse(HOLD).expect("well formed").act, Act::Hold(case.clone()));
        let whole = r#"{"id":"c-4","type":"erase-customer","customer":"acme"}"#;
        let whole = parse(whole).expect("well formed");
        assert_eq!((whole.act.clone(), whole.from, whole.to), (Act::EraseCustomer, Hour(0), Hour(u32::MAX)));
        assert!(whole.range_is_valid());
        let retention = parse(RETENTION).expect("well formed");
        assert_eq!(retention.act, Act::Retention(Retention::hours(720).expect("not zero")));
        let release = r#"{"id":"c-3","type":"release","customer":"acme","hold":"case-17"}"#;
        assert_eq!(parse(release).expect("well formed").act, Act::Release(case));
    }

    #[test]
    fn its_name_is_the_sha_256_of_its_bytes() {
        assert_eq!(
            sha_256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let message = message(ERASE).expect("well formed");
        assert_eq!(message.digest, sha_256(ERASE.as_bytes()));
        assert_ne!(message.record, message.digest);
        assert!(message.signatures.is_none());
    }

    #[test]
    fn an_envelope_names_its_command_by_what_was_signed_not_by_who_signed() {
        let payload = ERASE.replace(r#""id":"c-1""#, &format!(r#""id":"c-1",{TERMS}"#));
        let envelope = |signatures: &[Signature]| {
            let json = dsse::to_envelope(payload.as_bytes(), signatures);
            message(std::str::from_utf8(&json).expect("UTF-8")).expect("well formed")
        };
        let signature = |hint: &str| Signature { hint: hint.to_owned(), bytes: vec![7; 64] };
        let (one, two) = (envelope(&[signature("a")]), envelope(&[signature("a"), signature("b")]));
        assert_eq!((one.digest, one.digest), (sha_256(payload.as_bytes()), two.digest));
        assert_ne!(one.record, two.record);
        let terms = one.command.terms;
        assert_eq!((terms.issuer.as_deref(), terms.deployment.map(|id| id.0[0])), (Some("dpo"), Some(0xaa)));
        assert_eq!(terms.expires.expect("a time").0 - terms.not_before.expect("a time").0, 86_400_000);
        let short = dsse::to_envelope(ERASE.as_bytes(), &[signature("a")]);
        assert_eq!(message(std::str::from_utf8(&short).expect("UTF-8")).err(), Some(NotACommand::Terms));
    }

    #[test]
    fn what_is_not_exactly_a_command_is_none() {
        let with = |from: &str, to: &str| ERASE.replace(from, to);
        for (what, text) in [
            ("nothing", String::new()),
            ("an array of the values", r#"["c-1","erase","acme",7,9,"retention-end"]"#.to_owned()),
            ("an unknown type", with("erase", "forget")),
            ("a type as an object", with(r#""erase""#, r#"{"erase":null}"#)),
            ("another reason", with("retention-end", "because")),
            ("a reason as an object", with(r#""retention-end""#, r#"{"retention-end":null}"#)),
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
            ("an id of ours", with("c-1", "~c-1")),
            ("half a range", with(r#","to_hour":9"#, "")),
            ("a release with hours", HOLD.replace(r#""hold","customer"#, r#""release","customer"#)),
            ("a customer's erasure with hours", ERASE.replace(r#""erase","#, r#""erase-customer","#)),
            (
                "a customer's erasure with a hold",
                HOLD.replace(r#""hold","customer"#, r#""erase-customer","customer"#),
            ),
            ("an erasure with a hold", with(r#""to_hour":9"#, r#""to_hour":9,"hold":"case-17""#)),
            ("a hold with a reason", HOLD.replace(r#""case-17"}"#, r#""case-17","reason":"request"}"#)),
            ("a reason that is null", HOLD.replace(r#""case-17"}"#, r#""case-17","reason":null}"#)),
            ("a hold without an id", HOLD.replace(r#","hold":"case-17""#, "")),
            ("a hold without hours", HOLD.replace(r#""from_hour":7,"to_hour":9,"#, "")),
            ("a retention of no hours", RETENTION.replace(":720", ":0")),
            ("a retention beyond the field", RETENTION.replace(":720", ":65536")),
            ("a retention without one", RETENTION.replace(r#","retention_hours":720"#, "")),
            ("a retention that is null", RETENTION.replace(":720", ":null")),
            ("a retention with hours", RETENTION.replace(":720", r#":720,"from_hour":7,"to_hour":9"#)),
            ("an erasure with a retention", with(r#""to_hour":9"#, r#""to_hour":9,"retention_hours":720"#)),
            ("a time that is none", with(r#""id""#, r#""expires":"tomorrow","id""#)),
            ("a deployment that is none", with(r#""id""#, r#""deployment":"aa","id""#)),
            ("something after it", format!("{ERASE}{ERASE}")),
            ("half a surrogate", with("acme", r"\ud800")),
            ("a thousand arrays", format!(r#"{{"id":{}"#, "[".repeat(1_000))),
        ] {
            assert!(parse(&text).is_err(), "{what}");
        }
        assert_eq!(Unverified::new(None).err(), Some(NotACommand::NoValue));
        let padded = format!("{ERASE}{}", " ".repeat(MAX_COMMAND_BYTES));
        assert_eq!(parse(&padded), Err(NotACommand::TooLarge(padded.len())));
    }

    #[test]
    fn the_schemas_examples_are_commands() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../schemas/control.schema.json")).expect("JSON");
        for example in schema["examples"].as_array().expect("a list") {
            assert!(parse(&example.to_string()).is_ok(), "{example}");
        }
    }

    #[test]
    fn errors_quote_nothing() {
        for text in [ERASE.replace("erase", "acme-secret"), ERASE.replace("reason", "acme-secret")] {
            assert!(!parse(&text).expect_err("malformed").to_string().contains("acme-secret"));
        }
    }

    #[test]
    fn an_impossible_customer_or_range_is_still_a_command() {
        let command = parse(&ERASE.replace("acme", "~quarantine")).expect("well formed");
        assert_eq!(command.customer, Err(CustomerError::Reserved));
        let range = |of: &str, from: &str, to: &str| {
            let text = of.replace(":7", &format!(":{from}")).replace(":9", &format!(":{to}"));
            parse(&text).expect("well formed").range_is_valid()
        };
        assert!(range(ERASE, "7", "7"));
        assert!(!range(ERASE, "8", "7"));
        assert!(range(ERASE, "1", "65535"));
        assert!(!range(ERASE, "1", "65536"));
        assert!(!range(ERASE, "0", "4294967295"));
        assert!(range(HOLD, "0", "4294967295"));
        assert!(!range(HOLD, "8", "7"));
    }
}
