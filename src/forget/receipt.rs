//! Receipts: the record of what was done (`schemas/receipt.schema.json`).

use std::ffi::CStr;

use serde::{Deserialize, Serialize};

use super::assumption::STORE_COPIES;
use super::log::Hash;
use super::{Act, NotSwept, Reason, SWEPT_HEADER, SweptBatch, SweptHour, Why};
use crate::keys::{HoldId, KeyRow};
use crate::model::{Digest, Due, Generation, Hour, KekId, KeyId, Millis, Retention, StoreId, Token, unhex};
use crate::stream::{Outgoing, Publish, TopicIndex};

/// The version that this program writes; it reads no newer one.
const VERSION: u32 = 1;
/// Who answers for a command that does not say.
const UNSIGNED: &str = "unsigned";
/// Who answers for what was due.
const CLOCK: &str = "clock";

/// What every receipt of level L1 rests on, whatever the store and the vault are: numbers of SECURITY.md.
pub const ASSUMPTIONS: &[&str] = &[STORE_COPIES.code];

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every hour of the range is fenced, and this command erased at least one key.
    Erased,
    /// Every hour of the range is fenced; there was no key to erase.
    NothingToErase,
    /// Nothing was done.
    Refused,
    /// Something was in the way: what could be fenced and erased, is.
    Incomplete,
    /// No hour of the range is erased while the hold is in force.
    HoldPlaced,
    /// The hold is lifted.
    HoldReleased,
    /// The customer's retention is changed, and what was not due has new terms.
    RetentionSet,
    /// Level L3: what it wrapped opens from no copy of the key store any more.
    KekDestroyed,
}

impl Outcome {
    /// The word in receipts, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::NothingToErase => "nothing-to-erase",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::HoldPlaced => "hold-placed",
            Self::HoldReleased => "hold-released",
            Self::RetentionSet => "retention-set",
            Self::KekDestroyed => "kek-destroyed",
        }
    }
}

/// A key that the command erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasedKey {
    pub hour: Hour,
    pub generation: Generation,
    pub key_id: KeyId,
    pub kek: KekId,
}

impl ErasedKey {
    pub(super) fn of(hour: Hour, key: &KeyRow) -> Self {
        Self { hour, generation: key.generation, key_id: key.key_id, kek: key.kek.clone() }
    }
}

/// What a receipt tells of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// What a command asked for.
    Command(Act),
    /// The clock forgot what was due.
    Sweep(SweptBatch),
    /// The KEK of a day that has ended was destroyed.
    DestroyKek {
        kek: KekId,
        /// What was done to it, in the vault's words.
        evidence: String,
        /// Live keys of its day that holds keep, wrapped by KEKs of their own.
        held: u64,
    },
}

impl Deed {
    /// The word in receipts and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Command(act) => act.code(),
            Self::Sweep(_) => "sweep",
            Self::DestroyKek { .. } => "destroy-kek",
        }
    }

    /// Whether cached keys of its hours say no more when they are due, or are no more.
    pub fn evicts(&self) -> bool {
        self.erases() || matches!(self, Self::Command(Act::Retention(_)))
    }

    /// Whether it erases DEKs.
    pub fn erases(&self) -> bool {
        matches!(self, Self::Command(Act::Erase(_) | Act::EraseCustomer) | Self::Sweep(_))
    }
}

/// The record of what was done on one command, or on a call to sweep. It names tokens, never a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The command's digest, or the call's.
    pub id: Digest,
    /// The command's own id, or the call's.
    pub command: String,
    pub deed: Deed,
    /// Who answers for it, as it says itself.
    pub issuer: Option<String>,
    /// Names of the keys that had signed it, as the trust store calls them.
    pub signers: Vec<String>,
    pub outcome: Outcome,
    /// Why it was refused or is incomplete.
    pub why: Option<Why>,
    /// `None` where the command named no valid customer, and of what the clock does.
    pub token: Option<Token>,
    /// Of a KEK, the hours of its day: the first and last due of what it wrapped.
    pub from: Hour,
    pub to: Hour,
    /// The keys erased, or none of them where the list would be too long for a record. A sweep's are in its header.
    pub keys: Vec<ErasedKey>,
    pub key_count: u64,
    /// The control record's timestamp.
    pub requested_at: Option<Millis>,
    /// The hour number from which the last hour of the range is due. Of a retention: what was due then keeps its terms.
    pub due: Option<Due>,
    pub done_at: Millis,
    /// When what wrapped the last of the keys is due to be destroyed.
    pub l3_by: Option<Millis>,
    /// From then on no process uses a cached copy of the keys.
    pub unusable_after: Option<Millis>,
    pub assumptions: Vec<String>,
    pub store: StoreId,
}

impl Receipt {
    /// The same, done at `now`: the leases that it must outlive are counted from when it is published.
    pub fn stamped(mut self, now: Millis) -> Self {
        let later = now.0.saturating_sub(self.done_at.0).max(0);
        self.unusable_after = self.unusable_after.map(|after| after.plus(later));
        self.done_at = self.done_at.plus(later);
        self
    }

    /// The hours of a sweep from its record's header; none of anything else.
    ///
    /// # Errors
    /// [`NotAReceipt::Hours`]: without them it is not known what was forgotten.
    pub fn swept(&self, header: Option<&[u8]>) -> Result<Vec<SweptHour>, NotAReceipt> {
        match self.deed {
            Deed::Command(_) | Deed::DestroyKek { .. } => Ok(Vec::new()),
            Deed::Sweep(batch) => batch.read(header).map_err(NotAReceipt::Hours),
        }
    }

    /// The same without the list of keys; their number stays.
    pub fn without_keys(mut self) -> Self {
        self.keys = Vec::new();
        self
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Wire::from(self)).expect("strings and numbers become JSON")
    }

    /// # Errors
    /// [`NotAReceipt`]; unknown fields of this version are left alone.
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

/// Why a record of the receipts topic cannot be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAReceipt {
    #[error("it is no receipt")]
    Malformed,
    #[error("it is a receipt of version {0}, which this program does not know")]
    Newer(u32),
    #[error(transparent)]
    Hours(NotSwept),
}

/// When what wrapped these keys is due to be destroyed: the end of the latest KEK's day.
pub(super) fn l3_by<'a>(keks: impl Iterator<Item = &'a KekId>) -> Option<Millis> {
    keks.map(KekId::ends).max_by_key(|ends| ends.0)
}

/// A receipt as the bytes of a record.
pub struct ReceiptBytes {
    key: Option<String>,
    value: Vec<u8>,
    /// The hours of a sweep.
    swept: Option<Vec<u8>>,
    at: Millis,
}

impl ReceiptBytes {
    /// The receipt as a record of at most `limit` bytes, without its list of keys where that makes it longer.
    pub fn new(receipt: Receipt, limit: usize) -> Self {
        let key = receipt.token.map(|token| token.to_string());
        let (mut value, at) = (receipt.to_json(), receipt.done_at);
        if value.len() > limit {
            value = receipt.without_keys().to_json();
        }
        Self { key, value, swept: None, at }
    }

    /// The receipt of a sweep with its hours. Where they make the record longer than `limit`, none of them lists its keys.
    pub fn of_sweep(receipt: Receipt, hours: Vec<SweptHour>, limit: usize) -> Self {
        let (value, swept) = (receipt.to_json(), SweptBatch::header(&hours));
        let is_short = value.len() + swept.len() <= limit;
        if is_short || hours.iter().all(|hour| hour.keys.is_empty()) {
            return Self { key: None, value, swept: Some(swept), at: receipt.done_at };
        }
        let hours: Vec<SweptHour> = hours.into_iter().map(SweptHour::without_keys).collect();
        Self::of_sweep(Receipt { deed: Deed::Sweep(SweptBatch::of(&hours)), ..receipt }, hours, limit)
    }
}

/// A receipt on its way to the receipts topic, which has one partition: readers assign that and no other.
pub struct ReceiptRecord<'a> {
    bytes: &'a ReceiptBytes,
    swept: Option<(&'static CStr, &'a [u8])>,
}

impl<'a> ReceiptRecord<'a> {
    pub fn of(bytes: &'a ReceiptBytes) -> Self {
        Self { bytes, swept: bytes.swept.as_deref().map(|swept| (SWEPT_HEADER, swept)) }
    }
}

impl Publish for ReceiptRecord<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: TopicIndex(0),
            partition: Some(0),
            timestamp: self.bytes.at,
            key: self.bytes.key.as_deref().map(str::as_bytes),
            value: Some(&self.bytes.value),
            headers: self.swept.as_slice(),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The fields as they stand in JSON.
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
            kind: receipt.deed.code().to_owned(),
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
    /// `None` where an id, a time or the range is not what it must be.
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
            // What the clock does is never refused and is nobody's alone.
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

/// Who answers where nobody says so.
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

/// RFC 3339, or nothing where no calendar reaches: a control record's timestamp is the sender's and may be anything.
fn calendar(time: Millis) -> Option<String> {
    jiff::Timestamp::from_millisecond(time.0).ok().map(|_| time.to_string())
}

/// `None` = there is a text that is no time.
fn time(text: Option<String>) -> Option<Option<Millis>> {
    let Some(text) = text else { return Some(None) };
    text.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = include_str!("../../schemas/receipt.schema.json");

    fn receipt() -> Receipt {
        let key = |hour, day: &str| ErasedKey {
            hour: Hour(hour),
            generation: Generation(2),
            key_id: KeyId([9; 16]),
            kek: KekId::parse(day).expect("a day"),
        };
        Receipt {
            id: Digest([1; 32]),
            command: "c-1".to_owned(),
            deed: Deed::Command(Act::Erase(Reason::RetentionEnd)),
            issuer: Some("dpo".to_owned()),
            signers: vec!["key-1".to_owned()],
            outcome: Outcome::Erased,
            why: None,
            token: Some(Token([2; 16])),
            from: Hour(498_000),
            to: Hour(498_001),
            keys: vec![key(498_000, "day/2026-11-23"), key(498_001, "day/2026-11-24")],
            key_count: 2,
            requested_at: Some(Millis(1_795_500_000_000)),
            due: Some(Due(498_722)),
            done_at: Millis(1_795_500_001_234),
            l3_by: Some(Millis(1_795_564_800_000)),
            unusable_after: Some(Millis(1_795_500_061_234)),
            assumptions: ASSUMPTIONS.iter().map(ToString::to_string).collect(),
            store: StoreId([3; 16]),
        }
    }

    fn hours() -> Vec<SweptHour> {
        let key = receipt().keys.remove(0);
        let hour = SweptHour { token: Token([2; 16]), hour: key.hour, key_count: 1, keys: vec![key] };
        vec![hour.clone(), SweptHour { token: Token([3; 16]), ..hour }]
    }

    fn swept(hours: &[SweptHour]) -> Receipt {
        Receipt {
            command: "~sweep/498722/0000000000000001".to_owned(),
            deed: Deed::Sweep(SweptBatch::of(hours)),
            issuer: None,
            signers: Vec::new(),
            token: None,
            keys: Vec::new(),
            ..receipt()
        }
    }

    #[test]
    fn a_receipt_is_read_back_as_it_was_written() {
        let refused = Receipt {
            outcome: Outcome::Refused,
            why: Some(Why::InvalidCustomer),
            token: None,
            from: Hour(9),
            to: Hour(3),
            keys: Vec::new(),
            key_count: 0,
            requested_at: None,
            due: None,
            l3_by: None,
            unusable_after: None,
            assumptions: Vec::new(),
            ..receipt()
        };
        let unsigned = Receipt { issuer: None, signers: Vec::new(), ..receipt() };
        let deed = Deed::Command(Act::Hold(HoldId(b"case-17".to_vec())));
        let held =
            Receipt { deed, outcome: Outcome::HoldPlaced, keys: Vec::new(), key_count: 0, ..receipt() };
        let kek = KekId::parse("day/2026-11-23").expect("a day");
        let destroyed = |held| {
            let (kek, evidence) = (kek.clone(), "the file is gone".to_owned());
            let deed = Deed::DestroyKek { kek, evidence, held };
            Receipt { deed, outcome: Outcome::KekDestroyed, ..swept(&hours()) }
        };
        let whole = Receipt { deed: Deed::Command(Act::EraseCustomer), due: None, ..receipt() };
        let deed = Deed::Command(Act::Retention(Retention::hours(720).expect("not zero")));
        let kept =
            Receipt { deed, outcome: Outcome::RetentionSet, keys: Vec::new(), key_count: 0, ..receipt() };
        for receipt in
            [receipt(), refused, unsigned, held, swept(&hours()), destroyed(0), destroyed(2), whole, kept]
        {
            assert_eq!(Receipt::parse(&receipt.to_json()), Ok(receipt));
        }
    }

    #[test]
    fn the_schemas_examples_are_receipts_to_the_letter() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let known = schema["properties"].as_object().expect("properties");
        let examples = schema["examples"].as_array().expect("examples");
        assert_eq!(examples.len(), 3, "of a command, of a sweep, of a KEK");
        for example in examples {
            let receipt = Receipt::parse(example.to_string().as_bytes()).expect("a receipt");
            let written: serde_json::Value = serde_json::from_slice(&receipt.to_json()).expect("JSON");
            assert_eq!(&written, example);
            for field in written.as_object().expect("an object").keys() {
                assert!(known.contains_key(field), "{field} is in the schema");
            }
        }
    }

    #[test]
    fn a_sweeps_receipt_carries_its_hours_and_drops_their_keys_where_they_are_too_many() {
        let receipt = swept(&hours());
        let (value, header) = (receipt.to_json(), SweptBatch::header(&hours()));
        let whole = ReceiptBytes::of_sweep(receipt.clone(), hours(), value.len() + header.len());
        assert_eq!(ReceiptRecord::of(&whole).outgoing().headers, [(SWEPT_HEADER, header.as_slice())]);
        assert_eq!((ReceiptRecord::of(&whole).outgoing().key, &whole.value), (None, &value));

        let short = ReceiptBytes::of_sweep(receipt, hours(), value.len() + header.len() - 1);
        let Deed::Sweep(batch) = Receipt::parse(&short.value).expect("a receipt").deed else {
            panic!("a sweep")
        };
        let read = batch.read(short.swept.as_deref()).expect("its own hours");
        assert_eq!(read, hours().into_iter().map(SweptHour::without_keys).collect::<Vec<_>>());
    }

    #[test]
    fn a_sweep_names_no_customer_and_is_never_refused() {
        let json = String::from_utf8(swept(&hours()).to_json()).expect("UTF-8");
        let with = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            Receipt::parse(json.replace(from, to).as_bytes())
        };
        let named = format!(r#""token":"{}","swept":{{"#, "02".repeat(16));
        for (from, to) in [
            (r#""outcome":"erased""#, r#""outcome":"refused""#),
            (r#""swept":{"#, named.as_str()),
            (r#""type":"sweep""#, r#""type":"erase","reason":"request""#),
            (r#""root":""#, r#""root":"0"#),
        ] {
            assert_eq!(with(from, to), Err(NotAReceipt::Malformed), "{to}");
        }
    }

    #[test]
    fn a_receipt_counts_leases_from_when_it_is_published() {
        let stamped = receipt().stamped(Millis(1_795_500_011_234));
        assert_eq!(stamped.done_at, Millis(1_795_500_011_234));
        assert_eq!(stamped.unusable_after, Some(Millis(1_795_500_071_234)));
        assert_eq!(receipt().stamped(Millis(0)), receipt(), "a clock that goes back shortens nothing");
    }

    #[test]
    fn a_receipt_too_long_for_a_record_keeps_its_counts() {
        let (whole, limit) = (receipt().to_json(), receipt().to_json().len());
        let short = Receipt::parse(&ReceiptBytes::new(receipt(), limit - 1).value).expect("a receipt");
        assert_eq!((short.keys.len(), short.key_count), (0, 2));
        let bytes = ReceiptBytes::new(receipt(), limit);
        let record = ReceiptRecord::of(&bytes);
        let Outgoing { key, value, partition, headers, .. } = record.outgoing();
        assert_eq!((value, partition, headers.len()), (Some(whole.as_slice()), Some(0), 0));
        assert_eq!(key, Some("02".repeat(16).as_bytes()));
    }

    #[test]
    fn what_wrapped_the_keys_goes_at_the_end_of_the_latest_day() {
        let keks: Vec<KekId> = receipt().keys.into_iter().map(|key| key.kek).collect();
        assert_eq!(l3_by(keks.iter()).expect("a day").to_string(), "2026-11-25T00:00:00.000Z");
        assert_eq!(l3_by(std::iter::empty()), None);
    }

    #[test]
    fn what_cannot_be_followed_is_told_apart() {
        let json = String::from_utf8(receipt().to_json()).expect("UTF-8");
        let parse = |from: &str, to: &str| Receipt::parse(json.replace(from, to).as_bytes());
        assert_eq!(parse(r#""version":1"#, r#""version":2"#), Err(NotAReceipt::Newer(2)));
        assert!(parse(r#""version":1"#, r#""version":1,"added":true"#).is_ok());
        for (from, to) in [
            (r#""version":1,"#, ""),
            (r#""version":1"#, r#""version":0"#),
            (r#""to_hour":498001"#, r#""to_hour":3"#),
            (&"02".repeat(16), "02"),
            (r#""done_at":"2026"#, r#""done_at":"then"#),
            (r#""outcome":"erased""#, r#""outcome":"gone""#),
        ] {
            assert_eq!(parse(from, to), Err(NotAReceipt::Malformed), "{to}");
        }
    }

    #[test]
    fn a_senders_impossible_timestamp_is_left_out() {
        let receipt = Receipt { requested_at: Some(Millis(i64::MAX)), ..receipt() };
        assert_eq!(Receipt::parse(&receipt.to_json()).expect("a receipt").requested_at, None);
    }
}
