//! Admission: any record, read in every way to find its customer and its time. The result for an admitted
//! record is what other code reads, too.

mod reference;

use std::borrow::Cow;
use std::sync::LazyLock;

use hourseal::lane::{Admit, Decision, Limits, MaxMessageBytes, Reason, Skip, TimestampBounds};
use hourseal::model::{CustomerId, Generation, Hour, Millis};
use hourseal::stream::Input;

use crate::fields::{Fields, sized};
use crate::memory::within;
use reference::Source;

/// 2026-11-24T10:00:00Z.
const NOW: Millis = Millis(1_795_514_400_000);
const YEAR_2000: Millis = Millis(946_684_800_000);
/// 9999-12-30T22:00:00Z: the end of the calendar of the crate under test.
const LAST: Millis = Millis(253_402_207_200_000);

const CUSTOMERS: [&str; 11] = [
    "json:/customer_id",
    "json:/a/0/b@string",
    "json:/",
    "json:/a~1b/~0",
    "header:c",
    "header:c@int64",
    "key",
    "key@utf8",
    "key@json:/a",
    "key@confluent",
    "key@confluent-int64",
];
/// Some are at the place of a customer, or above it.
const TIMES: [&str; 9] = [
    "json:/occurred_at",
    "json:/a/0/t@iso8601",
    "json:/a/0/b@epoch-s",
    "json:/a@epoch-ns",
    "json:/occurred_at@epoch-us",
    "header:t",
    "header:t@iso8601",
    "header:t@epoch-ms",
    "timestamp",
];

/// Every pair of a customer and a time, with the default limits and with small ones.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let pairs = CUSTOMERS.iter().flat_map(|customer| TIMES.map(|time| (*customer, time)));
    pairs.flat_map(|(customer, time)| [1 << 20, 64].map(|bytes| Rule::of(customer, time, bytes))).collect()
});

struct Rule {
    admit: Admit,
    customer: Source,
    time: Source,
}

impl Rule {
    fn of(customer: &'static str, time: &'static str, bytes: usize) -> Self {
        let limits = Limits {
            max_future_ms: 300_000,
            grace_ms: 300_000,
            max_event_bytes: bytes,
            output_bytes: MaxMessageBytes::new(2 * bytes + 300),
            quarantine_bytes: MaxMessageBytes::new(4 * bytes),
            timestamps: TimestampBounds::unlimited(),
        };
        let admit = Admit {
            customer: customer.parse().expect("a place"),
            time: time.parse().expect("a place"),
            skip: Skip::None,
            limits,
        };
        Self { admit, customer: Source::of(customer), time: Source::of(time) }
    }
}

/// A record from the input, and the time of its admission.
struct Record<'a> {
    now: Millis,
    timestamp: Option<Millis>,
    key: Option<&'a [u8]>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    value: Option<&'a [u8]>,
}

/// u16 number of the rule ‖ bits ‖ [i64 now] ‖ [i64 timestamp] ‖ [key] ‖ (name ‖ value)* ‖ value.
pub fn run(data: &[u8]) {
    let mut fields = Fields::of(data);
    let rule = &RULES[usize::from(fields.u16()) % RULES.len()];
    let record = Record::read(fields);
    let headers: &[(Vec<u8>, Option<Vec<u8>>)] = &record.headers;
    let input = Input {
        partition: 0,
        offset: 0,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: &headers,
    };
    // Found text with escapes is copied, through a buffer that doubles. A header's value is copied.
    let decision = within(8 * data.len() + 1024, || rule.admit.decision(&input, record.now));
    check(rule, &record, &decision);
    prefixed(rule, &input, record.now);
}

/// A value behind a registry's prefix is read like the value alone, if it can be JSON at all.
fn prefixed(rule: &Rule, input: &Input<'_>, now: Millis) {
    let Some(value) = input.value.filter(|value| value.first().is_some_and(|first| *first > b' ')) else {
        return;
    };
    let skipping = Admit { skip: Skip::Confluent, ..rule.admit.clone() };
    let decided = |value: &[u8]| {
        let decision = skipping.decision(&Input { value: Some(value), ..*input }, now);
        (decision.customer.map(Cow::into_owned), decision.when)
    };
    let framed = [&[0, 0, 0, 0, 7], value].concat();
    assert_eq!(decided(&framed), decided(value));
}

/// Times at the limits of RFC 3339.
const BORDERS: [&str; 16] = [
    "2026-11-24T09:40:00.1234567890123Z",
    "2026-11-24T09:40:00.9995Z",
    "2026-11-24T09:40:00-00:00",
    "2026-11-24T09:40:00+23:59",
    "2026-11-24T09:40:00+24:00",
    "2026-11-24T09:40:00+25:59",
    "2026-11-24T09:40:00+01:60",
    "2026-11-24T09:40:60.5Z",
    "2026-11-24T09:40:61Z",
    "2026-11-24T24:00:00Z",
    "2026-02-29T00:00:00Z",
    "2024-02-29T23:59:59-12:00",
    "2000-01-01T00:00:00+00:01",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "2026-11-24t09:40:00z",
];

pub fn seeds() -> Vec<Vec<u8>> {
    let border = |time: &str| {
        let value = format!(r#"{{"customer_id":"acme","occurred_at":"{time}"}}"#);
        [&[0, 0, 0][..], value.as_bytes()].concat()
    };
    let value = br#"{"customer_id":"acme","occurred_at":"2026-11-24T09:40:12.345Z","job_id":"job-000017","payload":{"n":[1,2.5e3,null]}}"#;
    let deep = br#"{"a":[{"b":"acme","t":"2026-11-24T11:40:00+02:00"}],"":"acme","a/b":{"~":"\u0061jax"},"a":"2016-12-31T23:59:60Z"}"#;
    let twice = br#"{"customer_id":"acme","customer_id":"ajax","occurred_at":"1999-12-31T23:59:59Z"}"#;
    let numbers = br#"{"customer_id":7,"occurred_at":1795514400000000.5,"a":[{"b":1795514400.25,"t":"2026-11-24 09:40:00,5+00"}]}"#;
    let marked =
        b"\xef\xbb\xbf{\"\\ud800\":1,\"customer_id\":\"acme\",\"occurred_at\":\"2026-11-24T09:40:12Z\"}";
    let seed = |rule: usize| {
        let headers = [sized(b"c"), sized(b"acme"), sized(b"t"), sized(b"2026-11-24T09:40:00Z")].concat();
        let rule = (rule as u16).to_be_bytes();
        let head = |key| [&rule, &[0b0010_1110][..], &NOW.0.to_be_bytes(), &sized(key), &headers].concat();
        let keys = [&b"acme"[..], b"\"acme\"", b"{\"a\":7}", b"\0\0\0\0\x07\x08acme", b"\0\0\0\0\x07\x08"];
        let values = [&value[..], deep, twice, numbers, marked].map(|value| [&head(b"acme"), value].concat());
        values.into_iter().chain(keys.map(|key| [&head(key), &value[..]].concat())).collect::<Vec<_>>()
    };
    (0..RULES.len()).flat_map(seed).chain(BORDERS.map(border)).collect()
}

impl<'a> Record<'a> {
    fn read(mut fields: Fields<'a>) -> Self {
        let bits = fields.byte();
        let now = if bits & 1 == 0 { NOW } else { Millis(fields.i64()) };
        let timestamp = (bits & 2 != 0).then(|| Millis(fields.i64()));
        let key = (bits & 4 != 0).then(|| fields.sized());
        let mut header = |_| (fields.sized().to_vec(), (bits & 8 != 0).then(|| fields.sized().to_vec()));
        let headers = (0..bits >> 4 & 3).map(&mut header).collect();
        let value = (bits & 64 == 0).then(|| fields.rest());
        Self { now, timestamp, key, headers, value }
    }

    fn size(&self) -> usize {
        let len = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| 6 + name.len() + len(value.as_deref()));
        len(self.key) + len(self.value) + headers.sum::<usize>()
    }
}

fn check(rule: &Rule, record: &Record<'_>, decision: &Decision<'_>) {
    assert_eq!(decision.size, record.size());
    if [record.value, record.key].into_iter().flatten().any(reference::is_beyond_a_tree) {
        return;
    }
    if let Some(customer) = &decision.customer {
        assert!(CustomerId::check(customer).is_ok());
        assert_eq!(rule.customer.customer(record).as_deref(), Some(customer.as_bytes()));
    }
    if let Some((hour, time)) = decision.when {
        may_be_sealed(&rule.admit.limits, record.now, hour, time);
        assert_eq!(rule.time.time(record), Some(time));
    }
    match decision.reason {
        None => {
            assert!(decision.customer.is_some() && decision.when.is_some());
            assert!(decision.size <= rule.admit.limits.max_event_bytes);
        }
        Some(reason) => is_right(reason, rule, record, decision),
    }
}

fn may_be_sealed(limits: &Limits, now: Millis, hour: Hour, time: Millis) {
    assert_eq!(Hour::containing(time), Some(hour));
    assert!(hour.offset_of(time) < 3_600_000);
    assert!(time >= YEAR_2000 && time <= now.plus(limits.max_future_ms));
    assert!(Generation::at(hour, now, limits.grace_ms).is_some());
}

/// Checks that a refused record could not have been admitted.
fn is_right(reason: Reason, rule: &Rule, record: &Record<'_>, decision: &Decision<'_>) {
    let customer = || rule.customer.customer(record);
    let time = || rule.time.time(record);
    let is_id = |id: Cow<'_, [u8]>| std::str::from_utf8(&id).is_ok_and(|id| CustomerId::check(id).is_ok());
    match reason {
        Reason::BadCustomer => assert!(!customer().is_some_and(is_id)),
        Reason::EncodedCustomer | Reason::NoCustomer => assert!(customer().is_none()),
        Reason::BadTime | Reason::NoTime => assert!(time().is_none_or(|time| time > LAST)),
        Reason::Future | Reason::Implausible => assert!(time().is_some()),
        Reason::NoValue => assert!(record.value.is_none()),
        Reason::NotJson => assert!(record.value.is_some_and(|value| reference::json(value).is_none())),
        Reason::TooLarge => assert!(decision.size > 64),
        Reason::Ambiguous => {}
        Reason::Erased
        | Reason::Expired
        | Reason::Refused
        | Reason::TooManyHeaders
        | Reason::TooManySlots => {
            panic!("{reason} is not decided here")
        }
    }
}
