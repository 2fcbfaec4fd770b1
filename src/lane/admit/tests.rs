use super::*;
use crate::stream::NoHeaders;

const NOW: Millis = Millis(1_795_514_400_000); // 2026-11-24T10:00:00Z

fn admit(customer: &str, time: &str) -> Admit {
    Admit {
        customer: customer.parse().expect("a place"),
        time: time.parse().expect("a place"),
        skip: Skip::None,
        limits: Limits {
            max_future_ms: 300_000,
            grace_ms: 300_000,
            max_event_bytes: 1_000,
            output_bytes: MaxMessageBytes::new(2_000),
            quarantine_bytes: MaxMessageBytes::new(4_000),
            timestamps: TimestampBounds::unlimited(),
        },
    }
}

fn input<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: &'a dyn Headers) -> Input<'a> {
    Input { partition: 0, offset: 0, timestamp: Some(NOW), key, value, headers }
}

#[track_caller]
fn check_value(value: &str, reason: Option<Reason>) {
    let admit = admit("json:/customer_id", "json:/occurred_at");
    let input = input(None, Some(value.as_bytes()), &NoHeaders);
    assert_eq!(admit.decide(&input, NOW).reason, reason, "{value}");
}

fn event(customer: &str, time: &str) -> String {
    format!(r#"{{"customer_id":{customer},"occurred_at":{time}}}"#)
}

#[test]
fn an_event_is_admitted_with_its_customer_and_its_own_time() {
    let admit = admit("json:/customer_id", "json:/occurred_at");
    let value = event(r#""acme""#, r#""2026-11-24T08:59:59.999Z""#);
    let admitted = admit.decide(&input(None, Some(value.as_bytes()), &NoHeaders), NOW);
    assert_eq!(admitted.customer.as_deref(), Some("acme"));
    let (hour, time) = admitted.when.expect("a time");
    assert_eq!((hour.to_string().as_str(), hour.offset_of(time)), ("2026-11-24T08:00:00Z", 3_599_999));
    assert_eq!(admitted.reason, None);
}

#[test]
fn every_broken_rule_has_its_reason() {
    let time = r#""2026-11-24T09:00:00Z""#;
    for (customer, reason) in [
        (r#""""#, Reason::BadCustomer),
        ("7.0", Reason::BadCustomer),
        ("null", Reason::BadCustomer),
        (r#"["acme"]"#, Reason::BadCustomer),
        (r#""~quarantine""#, Reason::BadCustomer),
        (r#""a","customer_id":"a""#, Reason::Ambiguous),
    ] {
        check_value(&event(customer, time), Some(reason));
    }
    for (time, reason) in [
        (r#""yesterday""#, Reason::BadTime),
        ("1764000000", Reason::BadTime),
        (r#""2026-11-24T10:05:01Z""#, Reason::Future),
        (r#""9998-12-31T23:59:59Z""#, Reason::Future),
        (r#""1999-12-31T23:59:59Z""#, Reason::Implausible),
        (r#""1736-01-01T00:00:00Z""#, Reason::Implausible),
        (r#""2019-01-01T00:00:00Z""#, Reason::Implausible),
    ] {
        check_value(&event(r#""acme""#, time), Some(reason));
    }
    check_value(&event(r#""acme""#, r#""2026-11-24T10:05:00Z""#), None);
    check_value(&event(r#""acme""#, r#""2016-12-31T23:59:60Z""#), Some(Reason::Implausible));
    check_value(r#"{"occurred_at":"2026-11-24T09:00:00Z"}"#, Some(Reason::NoCustomer));
    check_value(r#"{"customer_id":"acme"}"#, Some(Reason::NoTime));
    check_value("", Some(Reason::NotJson));
    check_value("{", Some(Reason::NotJson));
}

#[test]
fn a_null_value_is_a_reason_only_where_it_is_needed() {
    let from_value = admit("json:/customer_id", "json:/occurred_at");
    assert_eq!(from_value.decide(&input(None, None, &NoHeaders), NOW).reason, Some(Reason::NoValue));
    let beside = admit("key", "timestamp");
    assert_eq!(beside.decide(&input(Some(b"acme"), None, &NoHeaders), NOW).reason, None);
    let mixed = admit("key", "json:/t");
    let admitted = mixed.decide(&input(Some(b"acme"), None, &NoHeaders), NOW);
    assert_eq!((admitted.reason, admitted.customer.as_deref()), (Some(Reason::NoValue), Some("acme")));
}

#[test]
fn a_header_names_the_customer_once() {
    let admit = admit("header:c", "timestamp");
    let header = |value: Option<&[u8]>| (b"c".to_vec(), value.map(<[u8]>::to_vec));
    for (headers, reason) in [
        (vec![header(Some(b"acme"))], None),
        (vec![], Some(Reason::NoCustomer)),
        (vec![header(None)], Some(Reason::NoCustomer)),
        (vec![header(Some(b"acme")), header(Some(b"acme"))], Some(Reason::Ambiguous)),
        (vec![header(Some(b"\xff"))], Some(Reason::BadCustomer)),
    ] {
        let headers: &[(Vec<u8>, Option<Vec<u8>>)] = &headers;
        assert_eq!(admit.decide(&input(None, Some(b""), &headers), NOW).reason, reason);
    }
}

#[test]
fn sizes_are_bounded_and_what_fits_the_quarantine_is_kept() {
    let admit = admit("key", "timestamp");
    let decide = |len: usize| {
        let value = vec![b'x'; len];
        let admitted = admit.decide(&input(Some(b"acme"), Some(&value), &NoHeaders), NOW);
        (admitted.reason, admitted.fits_quarantine)
    };
    assert_eq!(decide(996), (None, true));
    assert_eq!(decide(997), (Some(Reason::TooLarge), true));
    assert_eq!(decide(4_000), (Some(Reason::TooLarge), false));
}

#[test]
fn a_smaller_output_quarantines_and_gives_up_no_content() {
    let admit = admit("key", "timestamp");
    let value = vec![b'x'; 900];
    let decide = || {
        let admitted = admit.decide(&input(Some(b"acme"), Some(&value), &NoHeaders), NOW);
        (admitted.reason, admitted.fits_quarantine)
    };
    assert_eq!(decide(), (None, true));
    admit.limits.output_bytes.set(1_000);
    assert_eq!(decide(), (Some(Reason::TooLarge), true));
    admit.limits.quarantine_bytes.set(1_000);
    assert_eq!(decide(), (Some(Reason::TooLarge), true), "the broker decides");
    admit.limits.output_bytes.set(2_000);
    assert_eq!(decide(), (None, true));
}

#[test]
fn a_time_that_no_output_accepts_is_refused_before_the_broker_does() {
    let admit = admit("key", "timestamp");
    let decide = |now| admit.decide(&input(Some(b"acme"), Some(b"{}"), &NoHeaders), now);
    admit.limits.timestamps.set(1_000, 1_000);
    assert!(decide(NOW).reason.is_none());
    let late = decide(NOW.plus(120_000));
    assert_eq!((late.reason, late.customer.as_deref()), (Some(Reason::Refused), Some("acme")));
}

#[test]
fn a_larger_quarantine_keeps_more_content() {
    let admit = admit("key", "timestamp");
    let value = vec![b'x'; 4_000];
    let fits = || admit.decide(&input(Some(b"acme"), Some(&value), &NoHeaders), NOW).fits_quarantine;
    assert!(!fits());
    admit.limits.quarantine_bytes.set(8_000);
    assert!(fits());
}

/// The outcome of a record with the settings of [`admit_as`].
#[derive(PartialEq, Debug)]
struct Outcome {
    customer: Option<String>,
    time: Option<Millis>,
    reason: Option<Reason>,
}

fn sealed(customer: &str, time: i64) -> Outcome {
    Outcome { customer: Some(customer.to_owned()), time: Some(Millis(time)), reason: None }
}

/// The settings of `customer` and `time`, each one or more places that a blank separates.
fn admit_as(customer: &str, time: &str) -> Admit {
    fn sources<T: std::str::FromStr<Err: std::fmt::Debug>>(places: &str) -> Sources<T> {
        let places = places.split(' ').map(|place| place.parse().expect("a place"));
        Sources::new(places.collect()).expect("one to four")
    }
    Admit { customer: sources(customer), time: sources(time), ..admit("key", "timestamp") }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn outcome(admit: &Admit, key: Option<&[u8]>, headers: Pairs<'_>, value: Option<&[u8]>) -> Outcome {
    let pair = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), Some(value.as_bytes().to_vec()));
    let headers: Vec<_> = headers.iter().map(pair).collect();
    let headers: &[(Vec<u8>, Option<Vec<u8>>)] = &headers;
    let admitted = admit.decide(&input(key, value, &headers), NOW);
    let customer = admitted.customer.map(Cow::into_owned);
    Outcome { customer, time: admitted.when.map(|(_, time)| time), reason: admitted.reason }
}

#[test]
fn the_first_place_that_holds_a_customer_counts() {
    let admit = admit_as("json:/a json:/b header:tenant key", "timestamp");
    let of = |key: Option<&str>, headers, value: Option<&str>| {
        outcome(&admit, key.map(str::as_bytes), headers, value.map(str::as_bytes))
    };
    let now = NOW.0;
    assert_eq!(of(Some("k"), &[("tenant", "h")], Some(r#"{"b":"2","a":"1"}"#)), sealed("1", now));
    assert_eq!(of(Some("k"), &[("tenant", "h")], Some(r#"{"b":"2"}"#)), sealed("2", now));
    assert_eq!(of(Some("k"), &[("tenant", "h")], Some("{}")), sealed("h", now));
    assert_eq!(of(Some("k"), &[], Some("{}")), sealed("k", now));
    assert_eq!(of(Some("k"), &[], None), sealed("k", now), "there is nothing in a null value");
    assert_eq!(of(None, &[], Some("{}")).reason, Some(Reason::NoCustomer));
    assert_eq!(of(None, &[], None).reason, Some(Reason::NoValue));
}

#[test]
fn an_invalid_customer_makes_no_way_for_the_next_place() {
    let admit = admit_as("json:/a json:/b header:tenant key", "timestamp");
    let reason = |headers, value: &str| outcome(&admit, Some(b"k"), headers, Some(value.as_bytes())).reason;
    for (value, expected) in [
        (r#"{"a":null,"b":"2"}"#, Reason::BadCustomer),
        (r#"{"a":"","b":"2"}"#, Reason::BadCustomer),
        (r#"{"a":1.5,"b":"2"}"#, Reason::BadCustomer),
        (r#"{"a":"1","a":"1","b":"2"}"#, Reason::Ambiguous),
        ("not JSON", Reason::NotJson),
    ] {
        assert_eq!(reason(&[("tenant", "h")], value), Some(expected), "{value}");
    }
    assert_eq!(reason(&[("tenant", "\"h\"")], "{}"), Some(Reason::EncodedCustomer));
    assert_eq!(reason(&[("tenant", "h"), ("tenant", "h")], "{}"), Some(Reason::Ambiguous));
}

#[test]
fn the_first_place_that_holds_a_time_counts() {
    let admit = admit_as("key", "header:t@epoch-s json:/ms@epoch-ms json:/t timestamp");
    let of = |headers, value: &str| outcome(&admit, Some(b"k"), headers, Some(value.as_bytes()));
    let time = NOW.0 - 5_000;
    assert_eq!(of(&[("t", "1795514395")], "not JSON"), sealed("k", time), "the value is not needed");
    assert_eq!(of(&[], r#"{"t":"yesterday","ms":1795514395000}"#), sealed("k", time));
    assert_eq!(of(&[], r#"{"t":"2026-11-24T09:59:55Z"}"#), sealed("k", time));
    assert_eq!(of(&[], "{}"), sealed("k", NOW.0));
    assert_eq!(of(&[], r#"{"ms":"soon","t":"2026-11-24T09:59:55Z"}"#).reason, Some(Reason::BadTime));
    assert_eq!(of(&[], "not JSON").reason, Some(Reason::NotJson));
}

#[test]
fn a_value_that_is_no_json_is_sealed_if_its_places_are_beside_it() {
    let avro = b"\0\0\0\0\x07\x08acme";
    let admit = admit_as("key@confluent", "header:t@iso8601");
    let headers = [("t", "2026-11-24 10:59:55.000+0100")];
    assert_eq!(outcome(&admit, Some(avro), &headers, Some(avro)), sealed("acme", NOW.0 - 5_000));
}

#[test]
fn pointers_look_behind_a_registrys_prefix_if_told_so() {
    let json = r#"{"customer_id":7,"occurred_at":"2026-11-24T09:59:55Z"}"#;
    let framed = [b"\0\0\0\0\x07", json.as_bytes()].concat();
    let strict = admit("json:/customer_id", "json:/occurred_at");
    assert_eq!(outcome(&strict, None, &[], Some(&framed)).reason, Some(Reason::NotJson));
    let skipping = Admit { skip: Skip::Confluent, ..strict };
    for value in [&framed, json.as_bytes()] {
        assert_eq!(outcome(&skipping, None, &[], Some(value)), sealed("7", NOW.0 - 5_000));
    }
}
