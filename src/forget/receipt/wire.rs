//! A receipt as JSON (`schemas/receipt.schema.json`).

use serde::{Deserialize, Serialize};

use super::content::{NotAReceipt, Receipt};
use super::deed::{Deed, Outcome};
use super::key::ErasedKey;
use super::swept::SweptBatch;
use crate::forget::command::act::{Act, Reason};
use crate::forget::decide::verdict::Why;
use crate::forget::merkle::Hash;
use crate::keys::HoldId;
use crate::model::{Digest, Due, Generation, Hour, KekId, KeyId, Millis, Retention, StoreId, Token, unhex};
use crate::telemetry::Label as _;

/// The version that this program writes. The program does not read a newer one.
const VERSION: u32 = 1;
/// The issuer of a command that names none.
const UNSIGNED: &str = "unsigned";
/// The issuer of sweeps and of the destruction of KEKs.
const CLOCK: &str = "clock";

impl Receipt {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Wire::from(self)).expect("strings and numbers become JSON")
    }

    /// # Errors
    /// [`NotAReceipt`]. Unknown fields of this version are ignored.
    pub fn parse(json: &[u8]) -> Result<Self, NotAReceipt> {
        let Version { version } = serde_json::from_slice(json).map_err(|_| NotAReceipt::Malformed)?;
        match version {
            0 => Err(NotAReceipt::Malformed),
            VERSION => {
                let wire: Wire = serde_json::from_slice(json).map_err(|_| NotAReceipt::Malformed)?;
                wire.into_receipt().ok_or(NotAReceipt::Malformed)
            }
            newer => Err(NotAReceipt::Newer(newer)),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The fields as they are in JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    id: String,
    command: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention_hours: Option<u16>,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swept: Option<WireSwept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kek: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    held_keys: u64,
    from_hour: u32,
    to_hour: u32,
    keys: Vec<WireKey>,
    key_count: u64,
    issuer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u32>,
    done_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l3_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unusable_after: Option<String>,
    assumptions: Vec<String>,
    store: String,
}

#[derive(Serialize, Deserialize)]
struct WireSwept {
    hours: u32,
    root: String,
}

#[derive(Serialize, Deserialize)]
struct WireKey {
    hour: u32,
    generation: u16,
    key_id: String,
    kek: String,
}

impl From<&Receipt> for Wire {
    fn from(receipt: &Receipt) -> Self {
        let (mut reason, mut hold, mut swept, mut kek, mut evidence) = (None, None, None, None, None);
        let (mut held_keys, mut retention) = (0, None);
        match &receipt.deed {
            Deed::Command(Act::Erase(why)) => reason = Some(*why),
            Deed::Command(Act::EraseCustomer) => {}
            Deed::Command(Act::Hold(id) | Act::Release(id)) => hold = Some(id.to_string()),
            Deed::Command(Act::Retention(hours)) => retention = Some(hours.as_hours()),
            Deed::Sweep(SweptBatch { hours, root }) => {
                swept = Some(WireSwept { hours: *hours, root: hex::encode(root.0) });
            }
            Deed::DestroyKek { kek: id, evidence: words, held } => {
                (kek, evidence, held_keys) = (Some(id.to_string()), Some(words.clone()), *held);
            }
        }
        let level = match &receipt.deed {
            _ if receipt.outcome == Outcome::Refused => None,
            Deed::Command(Act::Erase(_) | Act::EraseCustomer) | Deed::Sweep(_) => Some("L1".to_owned()),
            Deed::DestroyKek { .. } => Some("L3".to_owned()),
            Deed::Command(Act::Hold(_) | Act::Release(_) | Act::Retention(_)) => None,
        };
        Self {
            version: VERSION,
            id: receipt.id.to_string(),
            command: receipt.command.clone(),
            kind: receipt.deed.kind().value().to_owned(),
            reason,
            hold,
            retention_hours: retention,
            outcome: receipt.outcome,
            why: receipt.why,
            token: receipt.token.map(|token| token.to_string()),
            swept,
            kek,
            evidence,
            held_keys,
            from_hour: receipt.from.0,
            to_hour: receipt.to.0,
            keys: receipt.keys.iter().map(WireKey::from).collect(),
            key_count: receipt.key_count,
            issuer: receipt.issuer.clone().unwrap_or_else(|| nobody(&receipt.deed).to_owned()),
            signers: receipt.signers.clone(),
            requested_at: receipt.requested_at.and_then(calendar),
            due: receipt.due.map(|due| due.0),
            done_at: receipt.done_at.to_string(),
            level,
            l3_by: receipt.l3_by.and_then(calendar),
            unusable_after: receipt.unusable_after.and_then(calendar),
            assumptions: receipt.assumptions.clone(),
            store: receipt.store.to_string(),
        }
    }
}

impl Wire {
    /// `None` if a field is malformed, or if the fields do not fit each other.
    fn into_receipt(self) -> Option<Receipt> {
        let (from, to) = (Hour(self.from_hour), Hour(self.to_hour));
        let token = match self.token {
            Some(token) => Some(Token(unhex(&token)?)),
            None => None,
        };
        let hold = self.hold.map(|hold| HoldId(hold.into_bytes()));
        let swept = match self.swept {
            Some(WireSwept { hours, root }) => Some(SweptBatch { hours, root: Hash(unhex(&root)?) }),
            None => None,
        };
        let kek = match (self.kek, self.evidence) {
            (Some(kek), Some(evidence)) => Some((KekId::parse(&kek)?, evidence)),
            (None, None) if self.held_keys == 0 => None,
            _ => return None,
        };
        let retention = match self.retention_hours {
            Some(hours) => Some(Retention::hours(hours)?),
            None => None,
        };
        let deed = match (self.kind.as_str(), self.reason, hold, retention, swept, kek) {
            ("erase", Some(reason), None, None, None, None) => Deed::Command(Act::Erase(reason)),
            ("erase-customer", None, None, None, None, None) => Deed::Command(Act::EraseCustomer),
            ("hold", None, Some(hold), None, None, None) => Deed::Command(Act::Hold(hold)),
            ("release", None, Some(hold), None, None, None) => Deed::Command(Act::Release(hold)),
            ("retention", None, None, Some(hours), None, None) => Deed::Command(Act::Retention(hours)),
            ("sweep", None, None, None, Some(batch), None) => Deed::Sweep(batch),
            ("destroy-kek", None, None, None, None, Some((kek, evidence))) => {
                Deed::DestroyKek { kek, evidence, held: self.held_keys }
            }
            _ => return None,
        };
        let is_done = self.outcome != Outcome::Refused;
        let is_whole = match deed {
            Deed::Command(_) => !is_done || (token.is_some() && from <= to),
            // An action of the clock is never refused, and never belongs to a single customer.
            Deed::Sweep(_) | Deed::DestroyKek { .. } => is_done && token.is_none() && from <= to,
        };
        if !is_whole {
            return None;
        }
        Some(Receipt {
            id: Digest(unhex(&self.id)?),
            command: self.command,
            issuer: Some(self.issuer).filter(|issuer| issuer != nobody(&deed)),
            deed,
            signers: self.signers,
            outcome: self.outcome,
            why: self.why,
            token,
            from,
            to,
            keys: self.keys.iter().map(WireKey::to_key).collect::<Option<_>>()?,
            key_count: self.key_count,
            requested_at: time(self.requested_at)?,
            due: self.due.map(Due),
            done_at: time(Some(self.done_at))??,
            l3_by: time(self.l3_by)?,
            unusable_after: time(self.unusable_after)?,
            assumptions: self.assumptions,
            store: StoreId(unhex(&self.store)?),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The issuer in a receipt that names none.
fn nobody(deed: &Deed) -> &'static str {
    match deed {
        Deed::Command(_) => UNSIGNED,
        Deed::Sweep(_) | Deed::DestroyKek { .. } => CLOCK,
    }
}

impl From<&ErasedKey> for WireKey {
    fn from(key: &ErasedKey) -> Self {
        Self {
            hour: key.hour.0,
            generation: key.generation.0,
            key_id: key.key_id.to_string(),
            kek: key.kek.to_string(),
        }
    }
}

impl WireKey {
    fn to_key(&self) -> Option<ErasedKey> {
        Some(ErasedKey {
            hour: Hour(self.hour),
            generation: Generation(self.generation),
            key_id: KeyId(unhex(&self.key_id)?),
            kek: KekId::parse(&self.kek)?,
        })
    }
}

/// Returns the time in RFC 3339, or nothing if it is outside the calendar's range. The sender sets a control
/// record's timestamp, so it can be any number.
fn calendar(time: Millis) -> Option<String> {
    jiff::Timestamp::from_millisecond(time.0).ok().map(|_| time.to_string())
}

/// Reads a time. The outer `None` means that the text is not a time, the inner one that there is no text.
fn time(text: Option<String>) -> Option<Option<Millis>> {
    let Some(text) = text else { return Some(None) };
    text.parse().ok().map(Some)
}
