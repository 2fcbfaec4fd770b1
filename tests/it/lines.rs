//! The Rust side of `tests/vectors/agree`. It answers vectors like `schemas/readers`, from file to file, and
//! seals random ones for them. Each test does nothing unless its environment contains an order.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use hourseal::envelope::{Context, Dek, Plain, Sealer, StreamName, derive};
use hourseal::model::{CustomerId, Generation, Hour};
use hourseal::reader::CUSTOMER_HEADER;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// `<in file>,<out file>`.
const ANSWER: &str = "HOURSEAL_TEST_LINES";

/// `<count>,<seed>,<out file>`.
const SEAL: &str = "HOURSEAL_TEST_SEAL";

#[test]
fn answers_its_lines() {
    let Ok(order) = std::env::var(ANSWER) else { return };
    let (from, to) = order.split_once(',').expect("two files");
    let answer = |line: std::io::Result<String>| {
        super::vectors::answer(&serde_json::from_str(&line.expect("text")).expect("JSON"))
    };
    write(to, BufReader::new(File::open(from).expect("a file")).lines().map(answer));
}

#[test]
fn seals_its_lines() {
    let Ok(order) = std::env::var(SEAL) else { return };
    let [count, seed, to] =
        order.splitn(3, ',').collect::<Vec<_>>().try_into().expect("count, seed and file");
    let count: usize = count.parse().expect("a count");
    let mut runner = runner(seed.parse().expect("a seed"));
    let random = std::iter::repeat_with(|| event().new_tree(&mut runner).expect("an event").current());
    let events = largest().into_iter().chain(random).take(count);
    write(to, events.enumerate().map(|(at, event)| vector(at, &event)));
}

fn write(to: &str, lines: impl Iterator<Item = Value>) {
    let mut out = BufWriter::new(File::create(to).expect("a file"));
    lines.for_each(|line| writeln!(out, "{line}").expect("a disk"));
    out.flush().expect("a disk");
}

fn runner(seed: u64) -> TestRunner {
    let seed = [seed.to_be_bytes(); 4].concat();
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

// --- the events to seal

type Header = (Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug)]
struct Event {
    customer: String,
    stream: StreamName,
    hour: u32,
    generation: u16,
    milliseconds: u32,
    key: Option<Vec<u8>>,
    headers: Vec<Header>,
    payload: Option<Vec<u8>>,
    dek: [u8; 32],
    nonce: [u8; 24],
}

fn event() -> impl Strategy<Value = Event> {
    let secrets = (any::<[u8; 32]>(), any::<[u8; 24]>());
    let place = (customer(), stream(), any::<u32>(), any::<u16>(), 0u32..3_600_000);
    let content = (proptest::option::of(bytes()), headers(), proptest::option::weighted(0.9, bytes()));
    (place, content, secrets).prop_map(|(place, (key, headers, payload), (dek, nonce))| {
        let (customer, stream, hour, generation, milliseconds) = place;
        Event { customer, stream, hour, generation, milliseconds, key, headers, payload, dek, nonce }
    })
}

/// 1 to 256 bytes. A character can have up to four bytes.
fn customer() -> impl Strategy<Value = String> {
    let fits = |id: &String| CustomerId::check(id).is_ok();
    prop_oneof!["[a-z0-9-]{1,40}", text().prop_filter("1 to 256 bytes without ~", fits), "[a-z]{256}"]
}

fn stream() -> impl Strategy<Value = StreamName> {
    let name = prop_oneof!["[a-z.]{1,20}", text()];
    let stream = name.prop_filter_map("1 to 244 bytes", |name| StreamName::parse(&name).ok());
    (stream, proptest::bool::weighted(0.1))
        .prop_map(|(stream, quarantine)| if quarantine { stream.quarantine() } else { stream })
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..64).prop_map(|chars| chars.into_iter().collect())
}

/// Mostly a few bytes, and up to 64 KiB.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![90 => 0usize..40, 9 => 0usize..2_000, 1 => 0usize..=65_536], any::<u64>()).prop_map(
        |(len, seed)| (0..len as u64).map(|at| (seed.wrapping_mul(2 * at + 1) >> 40) as u8).collect(),
    )
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    prop_oneof![3 => Just(vec![]), 6 => vec(header(), 1..4), 1 => vec(header(), 4..12)]
}

fn header() -> impl Strategy<Value = Header> {
    let name = bytes().prop_map(|mut name| {
        name.truncate(65_535);
        name
    });
    (name, proptest::option::weighted(0.8, bytes()))
}

/// Events at the largest values of the length fields, and beyond those of a shorter field.
fn largest() -> [Event; 3] {
    let event = Event {
        customer: "acme".to_owned(),
        stream: StreamName::parse("jobs").expect("a valid name"),
        hour: u32::MAX,
        generation: u16::MAX,
        milliseconds: 3_599_999,
        key: None,
        headers: vec![],
        payload: Some(vec![]),
        dek: [1; 32],
        nonce: [2; 24],
    };
    [
        Event { headers: vec![(vec![], None); 65_535], ..event.clone() },
        Event { headers: vec![(vec![b'n'; 65_535], Some(vec![b'v'; 65_536]))], ..event.clone() },
        Event { key: Some(vec![b'k'; 65_536]), payload: Some(vec![b'p'; 65_536]), ..event },
    ]
}

// --- the vectors

/// Seals the event, alternately as an envelope and as a record whose key or header names the customer.
fn vector(at: usize, event: &Event) -> Value {
    let customer = CustomerId::parse(&event.customer).expect("a valid id");
    let (hour, generation) = (Hour(event.hour), Generation(event.generation));
    let key = derive(&Dek::take(&mut event.dek.clone()), &customer, hour, generation);
    let context = Context::new(&customer, &event.stream);
    let plain = Plain {
        milliseconds: event.milliseconds,
        key: event.key.as_deref(),
        payload: event.payload.as_deref(),
    };
    let headers = event.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref()));
    let mut envelope = Vec::new();
    Sealer { key: &key, context: &context, hour, generation }
        .append(&mut envelope, &event.nonce, &plain, headers)
        .expect("it fits");
    let mut vector = json!({
        "name": format!("random {at}"),
        "expect": "opened",
        "stream": event.stream.as_str(),
        "dek": hex::encode(event.dek),
        "commitment": hex::encode(key.commitment()),
        "hour": event.hour,
        "generation": event.generation,
        "milliseconds": event.milliseconds,
        "key": event.key.as_ref().map(hex::encode),
        "headers": listed(&event.headers),
        "payload": event.payload.as_ref().map(hex::encode),
    });
    let customer = Some(event.customer.clone().into_bytes());
    match at % 3 {
        0 => vector["customer"] = json!(event.customer),
        1 => name(&mut vector, customer, &[]),
        _ => name(&mut vector, event.key.clone(), &[(CUSTOMER_HEADER.to_vec(), customer)]),
    }
    vector[if at.is_multiple_of(3) { "envelope" } else { "record_value" }] = json!(hex::encode(envelope));
    vector
}

fn name(vector: &mut Value, key: Option<Vec<u8>>, headers: &[Header]) {
    vector["record_key"] = json!(key.map(hex::encode));
    vector["record_headers"] = listed(headers);
}

fn listed(headers: &[Header]) -> Value {
    headers.iter().map(|(name, value)| json!([hex::encode(name), value.as_ref().map(hex::encode)])).collect()
}
