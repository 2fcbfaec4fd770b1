//! The JSON line of `hourseal open`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{Outcome, Reading};
use crate::envelope::frame::EventHeader;
use crate::envelope::{Frame, Header};
use crate::model::{CustomerId, Millis};

/// The place of a record.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// The record's own timestamp, if it has one.
    pub timestamp: Option<Millis>,
}

/// One JSON object without a line break.
///
/// | field | when | value |
/// |---|---|---|
/// | `outcome` | always | [`Outcome::name`] |
/// | `topic`, `partition`, `offset` | always | the place of the record |
/// | `timestamp` | always | the record's own, RFC 3339 with milliseconds, or null |
/// | `event_time` | opened | the event's, RFC 3339 with milliseconds |
/// | `customer` | always | the id, or null if the record names none |
/// | `hour`, `hour_start`, `generation`, `key_id` | an envelope of suite 1 | number, RFC 3339, number, hex |
/// | `key` | opened | string, or null if the event had none |
/// | `headers` | opened | list of \[name, value\], the value null if it was null |
/// | `payload` | opened | string, or null |
/// | `receipt` | erased | hex of the erasing command's digest, which its receipt carries |
///
/// Bytes that are not UTF-8 are base64 (RFC 4648 §4). A key is then `key_base64` instead of `key`, a payload
/// is `payload_base64` instead of `payload`, and a header's name or value is `{"base64": ".."}` in its own
/// place. If the record did not open, customer, hour, generation and key_id are only its claims.
pub fn line(place: &Place<'_>, reading: &Reading) -> String {
    let opened = match &reading.outcome {
        Outcome::Opened(opened) => Some(opened),
        _ => None,
    };
    let line = Line {
        outcome: reading.outcome.name(),
        topic: place.topic,
        partition: place.partition,
        offset: place.offset,
        timestamp: place.timestamp.map(|time| time.to_string()),
        event_time: opened.map(|opened| opened.event_time().to_string()),
        customer: reading.customer.as_ref().map(CustomerId::as_str),
        claim: reading.header.as_ref().map(Claim::of),
        event: opened.map(|opened| Event::of(&opened.frame())),
        receipt: match &reading.outcome {
            Outcome::Erased { receipt } => Some(receipt.to_string()),
            _ => None,
        },
    };
    serde_json::to_string(&line).expect("strings, numbers and lists are JSON")
}

#[derive(Serialize)]
struct Line<'a> {
    outcome: &'static str,
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<String>,
    customer: Option<&'a str>,
    #[serde(flatten)]
    claim: Option<Claim>,
    #[serde(flatten)]
    event: Option<Event<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// The fields of an envelope that are in the clear.
#[derive(Serialize)]
struct Claim {
    hour: u32,
    hour_start: String,
    generation: u16,
    key_id: String,
}

impl Claim {
    fn of(header: &Header) -> Self {
        Self {
            hour: header.hour.0,
            hour_start: header.hour.to_string(),
            generation: header.generation.0,
            key_id: header.key_id.to_string(),
        }
    }
}

/// The content of a frame.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(flatten)]
    key: Key<'a>,
    headers: Vec<(Text<'a>, Option<Text<'a>>)>,
    #[serde(flatten)]
    payload: Payload<'a>,
}

impl<'a> Event<'a> {
    fn of(frame: &Frame<'a>) -> Self {
        let header = |(name, value): EventHeader<'a>| (Text::of(name), value.map(Text::of));
        Self {
            key: match frame.key().map(Text::of) {
                None => Key::Text { key: None },
                Some(Text::Utf8(key)) => Key::Text { key: Some(key) },
                Some(Text::Bytes { base64 }) => Key::Bytes { key_base64: base64 },
            },
            headers: frame.headers().map(header).collect(),
            payload: match frame.payload().map(Text::of) {
                None => Payload::Text { payload: None },
                Some(Text::Utf8(payload)) => Payload::Text { payload: Some(payload) },
                Some(Text::Bytes { base64 }) => Payload::Bytes { payload_base64: base64 },
            },
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Key<'a> {
    Text { key: Option<&'a str> },
    Bytes { key_base64: String },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Text { payload: Option<&'a str> },
    Bytes { payload_base64: String },
}

/// A string, or bytes that are not UTF-8.
#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Utf8(&'a str),
    Bytes { base64: String },
}

impl<'a> Text<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text),
            Err(_) => Self::Bytes { base64: STANDARD.encode(bytes) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Context, Dek, Opened, Plain, Sealer, StreamName, derive, open};
    use crate::model::{CustomerId, Digest, Generation, Hour};

    const PLACE: Place<'_> =
        Place { topic: "jobs.sealed", partition: 3, offset: 42, timestamp: Some(Millis(3_600_017)) };

    fn opened(plain: &Plain<'_>, headers: &[EventHeader<'_>]) -> Opened {
        let customer = CustomerId::parse("acme").expect("a valid id");
        let context = Context::new(&customer, &StreamName::parse("jobs").expect("a valid name"));
        let key = derive(&Dek::take(&mut [7; 32]), &customer, Hour(1), Generation(2));
        let sealer = Sealer { key: &key, context: &context, hour: Hour(1), generation: Generation(2) };
        let mut arena = Vec::new();
        sealer.append(&mut arena, &[9; 24], plain, headers.iter().copied()).expect("it fits");
        open(&arena, &key, &context).expect("its own key")
    }

    fn reading(outcome: Outcome, header: Option<Header>) -> Reading {
        Reading { customer: CustomerId::parse("acme").ok(), header, outcome }
    }

    fn line_of(plain: &Plain<'_>, headers: &[EventHeader<'_>]) -> String {
        let opened = opened(plain, headers);
        let header = *opened.header();
        line(&PLACE, &reading(Outcome::Opened(opened), Some(header)))
    }

    #[test]
    fn an_opened_record_says_everything_in_the_designs_order() {
        let plain = Plain { milliseconds: 17, key: Some(b"job-1"), payload: Some(b"{\"a\":\"\n\"}") };
        assert_eq!(
            line_of(&plain, &[(b"trace", Some(b"t1")), (b"gone", None)]),
            r#"{"outcome":"opened","topic":"jobs.sealed","partition":3,"offset":42,"#.to_owned()
                + r#""timestamp":"1970-01-01T01:00:00.017Z","event_time":"1970-01-01T01:00:00.017Z","#
                + r#""customer":"acme","hour":1,"hour_start":"1970-01-01T01:00:00Z","generation":2,"#
                + r#""key_id":"70c746046631d57b64b5d0619ad53536","key":"job-1","#
                + r#""headers":[["trace","t1"],["gone",null]],"payload":"{\"a\":\"\n\"}"}"#
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let plain = Plain { milliseconds: 17, key: Some(b"\xff"), payload: Some(b"\xfe\xff") };
        let line = line_of(&plain, &[(b"\xc3", Some(b"\x80"))]);
        let end = concat!(
            r#""key_base64":"/w==","headers":[[{"base64":"ww=="},{"base64":"gA=="}]],"#,
            r#""payload_base64":"/v8="}"#
        );
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn absent_is_null_and_empty_is_not() {
        let absent = line_of(&Plain { milliseconds: 17, key: None, payload: None }, &[]);
        assert!(absent.ends_with(r#""key":null,"headers":[],"payload":null}"#), "{absent}");
        let empty = line_of(&Plain { milliseconds: 17, key: Some(b""), payload: Some(b"") }, &[]);
        assert!(empty.ends_with(r#""key":"","headers":[],"payload":""}"#), "{empty}");
    }

    #[test]
    fn an_erased_record_names_its_receipt_and_shows_nothing() {
        let header = *opened(&Plain { milliseconds: 17, key: None, payload: None }, &[]).header();
        let erased = reading(Outcome::Erased { receipt: Digest([0xcd; 32]) }, Some(header));
        let line = line(&PLACE, &erased);
        assert!(line.contains(r#""customer":"acme","hour":1,"#), "{line}");
        assert!(line.ends_with(&format!(r#""receipt":"{}"}}"#, "cd".repeat(32))), "{line}");
        assert!(!line.contains("event_time") && !line.contains("payload"), "{line}");
    }

    #[test]
    fn what_is_no_envelope_says_where_it_stood() {
        let place = Place { timestamp: None, ..PLACE };
        let nobodys = Reading { customer: None, header: None, outcome: Outcome::NotAnEnvelope };
        assert_eq!(
            line(&place, &nobodys),
            r#"{"outcome":"not-an-envelope","topic":"jobs.sealed","partition":3,"offset":42,"#.to_owned()
                + r#""timestamp":null,"customer":null}"#
        );
    }
}
