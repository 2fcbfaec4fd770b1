//! Receipts: the record of what was done (`schemas/receipt.schema.json`).

mod record;
mod wire;

use serde::{Deserialize, Serialize};

use super::assumption::STORE_COPIES;
use super::{Act, Kind, NotSwept, SweptBatch, SweptHour, Why};
use crate::keys::KeyRow;
use crate::model::{Digest, Due, Generation, Hour, KekId, KeyId, Millis, StoreId, Token};
pub use record::{ReceiptBytes, ReceiptRecord};

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
    pub fn kind(&self) -> Kind {
        match self {
            Self::Command(act) => act.kind(),
            Self::Sweep(_) => Kind::Sweep,
            Self::DestroyKek { .. } => Kind::DestroyKek,
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
        wire::write(self)
    }

    /// # Errors
    /// [`NotAReceipt`]; unknown fields of this version are left alone.
    pub fn parse(json: &[u8]) -> Result<Self, NotAReceipt> {
        wire::read(json)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::{Reason, SWEPT_HEADER};
    use crate::keys::HoldId;
    use crate::model::Retention;
    use crate::stream::{Outgoing, Publish as _};

    const SCHEMA: &str = include_str!("../../../schemas/receipt.schema.json");

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
