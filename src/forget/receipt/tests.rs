//! Receipts as JSON and as records.

use super::content::{ASSUMPTIONS, NotAReceipt, Receipt, l3_by};
use super::deed::{Deed, Outcome};
use super::key::ErasedKey;
use super::record::{ReceiptBytes, ReceiptRecord};
use super::swept::{SWEPT_HEADER, SweptBatch, SweptHour};
use crate::forget::command::act::{Act, Reason};
use crate::forget::decide::verdict::Why;
use crate::keys::HoldId;
use crate::model::{Digest, Due, Generation, Hour, KekId, KeyId, Millis, Retention, StoreId, Token};
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
    let held = Receipt { deed, outcome: Outcome::HoldPlaced, keys: Vec::new(), key_count: 0, ..receipt() };
    let kek = KekId::parse("day/2026-11-23").expect("a day");
    let destroyed = |held| {
        let (kek, evidence) = (kek.clone(), "the file is gone".to_owned());
        let deed = Deed::DestroyKek { kek, evidence, held };
        Receipt { deed, outcome: Outcome::KekDestroyed, ..swept(&hours()) }
    };
    let whole = Receipt { deed: Deed::Command(Act::EraseCustomer), due: None, ..receipt() };
    let deed = Deed::Command(Act::Retention(Retention::hours(720).expect("not zero")));
    let kept = Receipt { deed, outcome: Outcome::RetentionSet, keys: Vec::new(), key_count: 0, ..receipt() };
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
    let Deed::Sweep(batch) = Receipt::parse(&short.value).expect("a receipt").deed else { panic!("a sweep") };
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
