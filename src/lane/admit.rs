//! Decides about a record: its customer and time, or the reason for its quarantine. Pure.

use std::borrow::Cow;

use super::extract::{self, Found};
use super::max_message_bytes::MaxMessageBytes;
use super::quarantine::Reason;
use super::settings::{CustomerFrom, TimeFrom};
use super::time::rfc3339;
use super::timestamp_bounds::TimestampBounds;
use crate::envelope::OVERHEAD;
use crate::model::{CustomerId, Generation, Hour, Millis};
use crate::stream::{Headers, Input};

/// 2000-01-01T00:00Z. An earlier event time is a mistake.
const YEAR_2000: Millis = Millis(946_684_800_000);
/// Most bytes that Kafka adds to one record: 61 for the batch header, 40 for record fields and varints.
const RECORD_OVERHEAD: usize = 61 + 40;

/// Bounds of an event.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest time that an event may be ahead of now, in milliseconds.
    pub max_future_ms: i64,
    /// Time after the end of its hour during which an event is still on time, in milliseconds.
    pub grace_ms: i64,
    /// Largest key + headers + payload, in bytes.
    pub max_event_bytes: usize,
    /// `max.message.bytes` of the output topic. A larger record goes to quarantine.
    pub output_bytes: MaxMessageBytes,
    /// `max.message.bytes` of the quarantine topic. A larger record loses its content, so its largest value
    /// counts: after it became smaller, only the broker decides which records are too large.
    pub quarantine_bytes: MaxMessageBytes,
    /// The timestamps that the output topics accept. A sealed record's timestamp is the time of its event.
    pub timestamps: TimestampBounds,
}

/// The rules by which records are admitted.
#[derive(Clone, Debug)]
pub struct Admit {
    pub customer: CustomerFrom,
    pub time: TimeFrom,
    pub limits: Limits,
}

/// A record after admission.
pub(super) struct Admitted<'v> {
    /// Its customer, if known and valid.
    pub(super) customer: Option<Cow<'v, str>>,
    /// Its hour and time, if known and within the limits.
    pub(super) when: Option<(Hour, Millis)>,
    /// Reason for its quarantine; `None` = it is sealed as asked.
    pub(super) reason: Option<Reason>,
    /// Bytes of key + headers + payload.
    pub(super) size: usize,
    /// Whether the quarantine topic takes its content.
    pub(super) fits_quarantine: bool,
}

/// The decision of [`Admit`] about a record, for the fuzzer.
#[cfg(feature = "testkit")]
pub struct Decision<'v> {
    pub customer: Option<Cow<'v, str>>,
    pub when: Option<(Hour, Millis)>,
    pub reason: Option<Reason>,
    pub size: usize,
    pub fits_quarantine: bool,
}

#[cfg(feature = "testkit")]
impl Admit {
    /// The decision about a record that is read at `now`.
    pub fn decision<'v>(&self, input: &Input<'v>, now: Millis) -> Decision<'v> {
        let Admitted { customer, when, reason, size, fits_quarantine } = self.decide(input, now);
        Decision { customer, when, reason, size, fits_quarantine }
    }
}

impl Admit {
    /// Decides about a record that is read at `now`.
    pub(super) fn decide<'v>(&self, input: &Input<'v>, now: Millis) -> Admitted<'v> {
        let (size, clear) = measure(input);
        let (customer, time) = self.look_up(input);
        let when = time.and_then(|time| self.plausible(time, now));
        let reason = match (&customer, &when) {
            (Err(reason), _) | (_, Err(reason)) => Some(*reason),
            (Ok(customer), Ok((_, time))) => self
                .oversized(size, clear + customer.len())
                .or_else(|| self.limits.timestamps.exclude(*time, now).then_some(Reason::Refused)),
        };
        Admitted {
            fits_quarantine: size + clear + self.room(customer.as_ref().map_or(0, |c| c.len()))
                <= self.limits.quarantine_bytes.largest(),
            customer: customer.ok(),
            when: when.ok(),
            reason,
            size,
        }
    }

    fn oversized(&self, size: usize, clear: usize) -> Option<Reason> {
        let sealed = size + clear + OVERHEAD + RECORD_OVERHEAD;
        let large = size > self.limits.max_event_bytes || sealed > self.limits.output_bytes.now();
        large.then_some(Reason::TooLarge)
    }

    /// Bytes of a quarantine record besides its content.
    fn room(&self, customer: usize) -> usize {
        /// Reason, origin with a topic name of up to 249 bytes, size, digest, timestamp.
        const LABEL: usize = 600;
        OVERHEAD + RECORD_OVERHEAD + LABEL + customer
    }

    fn look_up<'v>(&self, input: &Input<'v>) -> (Result<Cow<'v, str>, Reason>, Result<Millis, Reason>) {
        let pointers = (
            match &self.customer {
                CustomerFrom::Json(pointer) => Some(pointer.tokens()),
                CustomerFrom::Header(_) | CustomerFrom::Key => None,
            },
            match &self.time {
                TimeFrom::Json(pointer) => Some(pointer.tokens()),
                TimeFrom::Header(_) | TimeFrom::Timestamp => None,
            },
        );
        let from_value = match (pointers, input.value) {
            ((None, None), _) => Ok([Found::Absent, Found::Absent]),
            (_, None) => Err(Reason::NoValue),
            ((customer, time), Some(value)) => {
                extract::two(value, customer, time).map_err(|_| Reason::NotJson)
            }
        };
        let [customer, time] = match from_value {
            Ok(found) => found,
            Err(reason) => {
                let customer = match pointers.0 {
                    Some(_) => Err(reason),
                    None => self.customer_beside(input),
                };
                return (customer, Err(reason));
            }
        };
        let customer = match pointers.0 {
            Some(_) => text(customer, Reason::NoCustomer, Reason::BadCustomer).and_then(checked),
            None => self.customer_beside(input),
        };
        let time = match &self.time {
            TimeFrom::Json(_) => text(time, Reason::NoTime, Reason::BadTime).and_then(|time| parsed(&time)),
            TimeFrom::Header(name) => header(input.headers, name, Reason::NoTime)
                .and_then(|value| std::str::from_utf8(&value).map_err(|_| Reason::BadTime).and_then(parsed)),
            TimeFrom::Timestamp => input.timestamp.ok_or(Reason::NoTime),
        };
        (customer, time)
    }

    /// The customer from the record's key or a header.
    fn customer_beside<'v>(&self, input: &Input<'v>) -> Result<Cow<'v, str>, Reason> {
        match &self.customer {
            CustomerFrom::Json(_) => Err(Reason::NoCustomer),
            CustomerFrom::Key => {
                let key = input.key.ok_or(Reason::NoCustomer)?;
                std::str::from_utf8(key).map_err(|_| Reason::BadCustomer).map(Cow::Borrowed).and_then(checked)
            }
            CustomerFrom::Header(name) => {
                let value = header(input.headers, name, Reason::NoCustomer)?;
                let text = String::from_utf8(value).map_err(|_| Reason::BadCustomer)?;
                checked(Cow::Owned(text))
            }
        }
    }

    fn plausible(&self, time: Millis, now: Millis) -> Result<(Hour, Millis), Reason> {
        if time > now.plus(self.limits.max_future_ms) {
            return Err(Reason::Future);
        }
        let hour = Hour::containing(time).filter(|_| time >= YEAR_2000).ok_or(Reason::Implausible)?;
        match Generation::at(hour, now, self.limits.grace_ms) {
            Some(_) => Ok((hour, time)),
            None => Err(Reason::Implausible),
        }
    }
}

/// Bytes of key + headers + payload, plus 6 per header; and bytes of the key, which may also go in the clear.
fn measure(input: &Input<'_>) -> (usize, usize) {
    let key = input.key.map_or(0, <[u8]>::len);
    let mut size = key + input.value.map_or(0, <[u8]>::len);
    for index in 0..input.headers.count() {
        let (name, value) = input.headers.at(index);
        size += name.len() + value.map_or(0, <[u8]>::len) + 6;
    }
    (size, key)
}

fn text<'v>(found: Found<'v>, absent: Reason, wrong: Reason) -> Result<Cow<'v, str>, Reason> {
    match found {
        Found::Text(text) => Ok(text),
        Found::Absent => Err(absent),
        Found::NotText => Err(wrong),
        Found::Ambiguous => Err(Reason::Ambiguous),
    }
}

fn checked(customer: Cow<'_, str>) -> Result<Cow<'_, str>, Reason> {
    CustomerId::check(&customer).map_err(|_| Reason::BadCustomer)?;
    Ok(customer)
}

fn parsed(time: &str) -> Result<Millis, Reason> {
    rfc3339(time).ok_or(Reason::BadTime)
}

/// The value of the only header of this name. A null value counts as absent.
fn header(headers: &dyn Headers, name: &str, absent: Reason) -> Result<Vec<u8>, Reason> {
    let mut matching =
        (0..headers.count()).map(|index| headers.at(index)).filter(|(n, _)| *n == name.as_bytes());
    let value = matching.next().and_then(|(_, value)| value).ok_or(absent)?;
    match matching.next() {
        Some(_) => Err(Reason::Ambiguous),
        None => Ok(value.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::NoHeaders;

    const NOW: Millis = Millis(1_795_514_400_000); // 2026-11-24T10:00:00Z

    fn admit(customer: &str, time: &str) -> Admit {
        Admit {
            customer: customer.parse().expect("a place"),
            time: time.parse().expect("a place"),
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
            ("7", Reason::BadCustomer),
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
        let decide = || admit.decide(&input(Some(b"acme"), Some(b"{}"), &NoHeaders), NOW);
        admit.limits.timestamps.set(1_000, 1_000);
        assert!(decide().reason.is_none());
        let later = NOW.plus(120_000);
        let late = admit.decide(&input(Some(b"acme"), Some(b"{}"), &NoHeaders), later);
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
}
