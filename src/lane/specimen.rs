//! A synthetic event of the worker, in the form that the settings expect. Pure.

use serde_json::{Map, Value};

use super::settings::Pointer;
use super::sources::{CustomerFrom, Decoding, Sources, TimeForm, TimeFrom, Unit};
use crate::model::{CustomerId, Millis};

/// Key of the note in the value.
const NOTE: &str = "hourseal_canary";

/// A record for the input topic.
#[derive(PartialEq, Eq)]
pub struct Specimen {
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// A JSON object.
    pub value: Vec<u8>,
    pub timestamp: Millis,
}

impl Specimen {
    /// An event of `customer` at `time`, with a note to recognize it. Each is at the first place of its
    /// setting. `None` if the two places exclude each other or the note, or if the customer must be a number.
    pub fn new(
        (whose, when): (&Sources<CustomerFrom>, &Sources<TimeFrom>),
        customer: &CustomerId,
        time: Millis,
        note: &str,
    ) -> Option<Self> {
        let mut value = Map::new();
        value.insert(NOTE.to_owned(), note.into());
        let (mut key, mut headers) = (None, Vec::new());
        match whose.first() {
            CustomerFrom::Key(decoding) => key = Some(encoded(customer, decoding)?),
            CustomerFrom::Header(name, decoding) => {
                headers.push((name.clone(), encoded(customer, decoding)?));
            }
            CustomerFrom::Json(pointer, _) => put(&mut value, pointer, customer.as_str())?,
        }
        match when.first() {
            TimeFrom::Timestamp => {}
            // The same header twice would be ambiguous.
            TimeFrom::Header(name, _) if headers.iter().any(|(there, _)| there == name) => return None,
            TimeFrom::Header(name, form) => headers.push((name.clone(), written(time, *form).into_bytes())),
            TimeFrom::Json(pointer, form) => put(&mut value, pointer, &written(time, *form))?,
        }
        Some(Self { key, headers, value: Value::Object(value).to_string().into_bytes(), timestamp: time })
    }

    /// Whether a record's payload has this note.
    pub fn has_note(payload: &[u8], note: &str) -> bool {
        let value: Option<Value> = serde_json::from_slice(payload).ok();
        value.as_ref().and_then(|value| value.get(NOTE)).and_then(Value::as_str) == Some(note)
    }
}

/// The bytes of a key or a header that holds this customer. A schema id in them is 0.
fn encoded(customer: &CustomerId, decoding: &Decoding) -> Option<Vec<u8>> {
    const PREFIX: [u8; 5] = [0; 5];
    match decoding {
        Decoding::Undeclared | Decoding::Utf8 => Some(customer.as_bytes().to_vec()),
        Decoding::Json(pointer) => json(customer, pointer),
        Decoding::ConfluentJson(pointer) => Some([&PREFIX[..], &json(customer, pointer)?].concat()),
        Decoding::ConfluentString => {
            let length = u8::try_from(customer.as_bytes().len()).ok().filter(|length| *length < 64)?;
            Some([&PREFIX, &[2 * length][..], customer.as_bytes()].concat())
        }
        Decoding::Int64 | Decoding::ConfluentInt64 => None,
    }
}

fn json(customer: &CustomerId, pointer: &Pointer) -> Option<Vec<u8>> {
    if pointer.tokens().is_empty() {
        return Some(Value::from(customer.as_str()).to_string().into_bytes());
    }
    let mut value = Map::new();
    put(&mut value, pointer, customer.as_str())?;
    Some(Value::Object(value).to_string().into_bytes())
}

/// A time in this form. A number is written as its text, which every place takes.
fn written(time: Millis, form: TimeForm) -> String {
    match form {
        TimeForm::Rfc3339 | TimeForm::Iso8601 => time.to_string(),
        TimeForm::Epoch(unit) => match unit {
            Unit::Seconds => format!("{}.{:03}", time.0.div_euclid(1_000), time.0.rem_euclid(1_000)),
            Unit::Milliseconds => time.0.to_string(),
            Unit::Microseconds => format!("{}000", time.0),
            Unit::Nanoseconds => format!("{}000000", time.0),
        },
    }
}

/// Puts a text at a pointer. `None` if there is already a value, or one on the way that is not an object.
fn put(value: &mut Map<String, Value>, pointer: &Pointer, text: &str) -> Option<()> {
    let (last, way) = pointer.tokens().split_last()?;
    let object = way.iter().try_fold(value, |object, token| {
        object.entry(token.clone()).or_insert_with(|| Map::new().into()).as_object_mut()
    })?;
    object.insert(last.clone(), text.into()).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::admit::{Admit, Limits};
    use crate::lane::{MaxMessageBytes, Skip, TimestampBounds};
    use crate::model::Hour;
    use crate::stream::{Headers, Input};

    const TIME: Millis = Millis(1_795_895_591_391);

    fn of(whose: &str, when: &str) -> Option<(Specimen, Admit)> {
        let limits = Limits {
            max_future_ms: 0,
            grace_ms: 0,
            max_event_bytes: 10_000,
            output_bytes: MaxMessageBytes::new(20_000),
            quarantine_bytes: MaxMessageBytes::new(90_000),
            timestamps: TimestampBounds::unlimited(),
        };
        let (customer, time) = (whose.parse().expect("a place"), when.parse().expect("a place"));
        let admit = Admit { customer, time, skip: Skip::Confluent, limits };
        let customer = CustomerId::parse("hourseal-canary").expect("an id");
        let specimen = Specimen::new((&admit.customer, &admit.time), &customer, TIME, "n-1")?;
        Some((specimen, admit))
    }

    #[test]
    fn the_lane_admits_it_as_what_it_is_wherever_events_say_it() {
        for whose in [
            "json:/customer_id@string",
            "json:/a/b/c",
            "json:/a~1b/0",
            "header:who",
            "key",
            "key@json",
            "header:who@json:/a/b",
            "key@confluent",
            "key@confluent-json",
        ] {
            for when in [
                "json:/occurred_at",
                "json:/a/b/t@epoch-s",
                "json:/t@epoch-us",
                "header:when@iso8601",
                "header:when@epoch-ms",
                "header:when@epoch-ns",
                "timestamp",
            ] {
                let (specimen, admit) = of(whose, when).expect("they do not exclude each other");
                let headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = specimen
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone().into_bytes(), Some(value.clone())))
                    .collect();
                let headers: &[_] = &headers;
                let input = Input {
                    partition: 0,
                    offset: 0,
                    timestamp: Some(specimen.timestamp),
                    key: specimen.key.as_deref(),
                    value: Some(&specimen.value),
                    headers: &headers as &dyn Headers,
                };
                let admitted = admit.decide(&input, TIME);
                assert_eq!(admitted.customer.as_deref(), Some("hourseal-canary"), "{whose} {when}");
                let hour = Hour::containing(TIME).expect("an hour");
                assert_eq!((admitted.when, admitted.reason), (Some((hour, TIME)), None), "{whose} {when}");
                assert!(
                    Specimen::has_note(&specimen.value, "n-1") && !Specimen::has_note(&specimen.value, "n-2")
                );
            }
        }
    }

    #[test]
    fn places_that_exclude_each_other_have_no_specimen() {
        for (whose, when) in [
            ("json:/a", "json:/a/b"),
            ("json:/a/b", "json:/a"),
            ("header:x", "header:x"),
            ("json:/hourseal_canary", "timestamp"),
            ("key@int64", "timestamp"),
            ("header:x@confluent-int64", "timestamp"),
        ] {
            assert!(of(whose, when).is_none(), "{whose} {when}");
        }
    }
}
