//! Receipts, which every process follows: a receipt that was read can be written and read again, with
//! the same result.

use hourseal::forget::{NotAReceipt, Receipt};

use crate::memory::within;

pub fn run(data: &[u8]) {
    // A list of keys needs the most memory for its text: an empty key has 2 bytes of JSON, and the
    // capacity doubles.
    match within(64 * data.len() + 1024, || Receipt::parse(data)) {
        Ok(receipt) => assert_eq!(Receipt::parse(&receipt.to_json()).as_ref(), Ok(&receipt)),
        Err(NotAReceipt::Newer(version)) => assert!(version > 1),
        Err(NotAReceipt::Malformed) => {}
        Err(NotAReceipt::Hours(_)) => panic!("hours are looked at where the header is"),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let schema = include_str!("../../../schemas/receipt.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    let examples = schema["examples"].as_array().expect("the schema has examples");
    let seeds: Vec<_> = examples.iter().map(|example| example.to_string().into_bytes()).collect();
    assert!(seeds.iter().any(|seed| Receipt::parse(seed).is_ok()), "an example is a receipt");
    seeds
}
