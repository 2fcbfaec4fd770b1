//! A command's JSON (`schemas/control.schema.json`): its fields, and the combinations that are allowed.

use std::num::NonZeroU16;

use serde::Deserialize;

use super::act::{Act, Command, Reason, Terms};
use super::error::NotACommand;
use super::json::is_object;
use crate::keys::HoldId;
use crate::model::{CustomerId, Hour, Retention, StoreId, unhex};

/// Maximum length of the id of a command, of a hold or of an issuer, in bytes.
const MAX_ID: usize = 128;

pub(super) fn parse(bytes: &[u8]) -> Result<Command, NotACommand> {
    if !is_object(bytes) {
        return Err(NotACommand::NotAnObject);
    }
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| NotACommand::malformed(&error))?;
    raw.into_command()
}

/// The fields as the JSON has them. serde refuses repeated fields.
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

/// Reads a field that may be missing but must not be null.
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

/// A word of a list, read from a string only: serde would also read `{"erase": null}` as an enum.
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

/// Checks that an id has 1 to 128 bytes and does not begin with `~`. Ids with `~` are our own.
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
