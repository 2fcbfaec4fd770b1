//! Finds settings that would take refused records: another form of the same places, or a prefix to skip.
//! Pure.
//!
//! Promise: each suggestion was tried on the records that it counts.

use super::admit::Admit;
use super::settings::Pointer;
use super::sources::{CustomerFrom, Decoding, IdForm, Skip, Sources, TimeForm, TimeFrom, Unit};
use crate::model::Millis;
use crate::stream::Input;

/// A setting with another value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Such as `event.time`.
    pub setting: &'static str,
    /// Its value: one text, or a list of several.
    pub value: Vec<String>,
}

/// Changed settings, and the number of refused records that they would take.
struct Variant {
    changes: Vec<Change>,
    admit: Admit,
    takes: u64,
}

/// Other settings, and their numbers of records so far.
pub struct Suggestions {
    /// By number of changes.
    variants: Vec<Variant>,
}

impl Suggestions {
    /// For records that these rules refuse.
    pub fn of(admit: &Admit) -> Self {
        let mut variants = Vec::new();
        for (skip, skipped) in skips(admit) {
            for (customer, renamed) in customers(admit) {
                for (time, retimed) in times(admit) {
                    let changes: Vec<_> =
                        [skipped.clone(), renamed.clone(), retimed].into_iter().flatten().collect();
                    let admit = Admit { customer: customer.clone(), time, skip, ..admit.clone() };
                    variants.push(Variant { changes, admit, takes: 0 });
                }
            }
        }
        variants.retain(|variant| !variant.changes.is_empty());
        variants.sort_by_key(|variant| variant.changes.len());
        Self { variants }
    }

    /// Counts a record that the rules refuse at `now`, for each variant that takes it with the fewest
    /// changes.
    pub fn note(&mut self, input: &Input<'_>, now: Millis) {
        let mut fewest = None;
        for variant in &mut self.variants {
            if fewest.is_some_and(|fewest| variant.changes.len() > fewest) {
                return;
            }
            if variant.admit.decision(input, now).reason.is_none() {
                variant.takes += 1;
                fewest = Some(variant.changes.len());
            }
        }
    }

    /// The changes that take at least one record, with their number of records. Those that take most are
    /// first.
    pub fn found(&self) -> Vec<(&[Change], u64)> {
        let taking = self.variants.iter().filter(|variant| variant.takes > 0);
        let mut found: Vec<_> = taking.map(|variant| (&variant.changes[..], variant.takes)).collect();
        found.sort_by_key(|(_, takes)| std::cmp::Reverse(*takes));
        found
    }
}

/// A value of a setting, with the change if it is not the present value.
type Choice<T> = (T, Option<Change>);

fn skips(admit: &Admit) -> Vec<Choice<Skip>> {
    let change = || Change { setting: "event.skip", value: vec!["confluent".to_owned()] };
    match admit.skip {
        Skip::None => vec![(Skip::None, None), (Skip::Confluent, Some(change()))],
        Skip::Confluent => vec![(Skip::Confluent, None)],
    }
}

fn customers(admit: &Admit) -> Vec<Choice<Sources<CustomerFrom>>> {
    choices("event.customer", &admit.customer, |place| {
        let decodings = || {
            [
                Decoding::Json(Pointer::ROOT),
                Decoding::Int64,
                Decoding::ConfluentString,
                Decoding::ConfluentInt64,
                Decoding::ConfluentJson(Pointer::ROOT),
            ]
            .into_iter()
        };
        match place {
            CustomerFrom::Json(pointer, _) => {
                vec![CustomerFrom::Json(pointer.clone(), IdForm::StringOrInteger)]
            }
            CustomerFrom::Key(_) => decodings().map(CustomerFrom::Key).collect(),
            CustomerFrom::Header(name, _) => {
                decodings().map(|decoding| CustomerFrom::Header(name.clone(), decoding)).collect()
            }
        }
    })
}

fn times(admit: &Admit) -> Vec<Choice<Sources<TimeFrom>>> {
    const FORMS: [TimeForm; 6] = [
        TimeForm::Rfc3339,
        TimeForm::Iso8601,
        TimeForm::Epoch(Unit::Seconds),
        TimeForm::Epoch(Unit::Milliseconds),
        TimeForm::Epoch(Unit::Microseconds),
        TimeForm::Epoch(Unit::Nanoseconds),
    ];
    choices("event.time", &admit.time, |place| match place {
        TimeFrom::Json(pointer, _) => FORMS.map(|form| TimeFrom::Json(pointer.clone(), form)).to_vec(),
        TimeFrom::Header(name, _) => FORMS.map(|form| TimeFrom::Header(name.clone(), form)).to_vec(),
        TimeFrom::Timestamp => Vec::new(),
    })
}

/// The present places, and the same places with one of them in each of its other forms.
fn choices<T: Clone + PartialEq + ToString>(
    setting: &'static str,
    present: &Sources<T>,
    forms: impl Fn(&T) -> Vec<T>,
) -> Vec<Choice<Sources<T>>> {
    let mut choices = vec![(present.clone(), None)];
    for (at, place) in present.iter().enumerate() {
        for form in forms(place).into_iter().filter(|form| form != place) {
            let places = present.with(at, form);
            let value = places.iter().map(T::to_string).collect();
            choices.push((places, Some(Change { setting, value })));
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::{Limits, MaxMessageBytes, TimestampBounds};
    use crate::stream::NoHeaders;

    const NOW: Millis = Millis(1_795_514_400_000); // 2026-11-24T10:00:00Z

    /// The suggestions for records with a key and a value, as `setting=value` and the number of records.
    fn found(customer: &str, time: &str, records: &[(&[u8], &[u8])]) -> Vec<(String, u64)> {
        let limits = Limits {
            max_future_ms: 300_000,
            grace_ms: 300_000,
            max_event_bytes: 1_000,
            output_bytes: MaxMessageBytes::new(9_000),
            quarantine_bytes: MaxMessageBytes::new(9_000),
            timestamps: TimestampBounds::unlimited(),
        };
        let (customer, time) = (customer.parse().expect("a place"), time.parse().expect("a place"));
        let mut suggestions = Suggestions::of(&Admit { customer, time, skip: Skip::None, limits });
        for (key, value) in records {
            let (key, value) = (Some(*key), Some(*value));
            let input =
                Input { partition: 0, offset: 0, timestamp: Some(NOW), key, value, headers: &NoHeaders };
            suggestions.note(&input, NOW);
        }
        let text = |change: &Change| format!("{}={}", change.setting, change.value.join(","));
        let all = |changes: &[Change]| changes.iter().map(text).collect::<Vec<_>>().join(" ");
        suggestions.found().into_iter().map(|(changes, takes)| (all(changes), takes)).collect()
    }

    #[test]
    fn a_time_in_another_form_is_recognized_with_its_unit() {
        for (time, form) in [
            ("1795514400", "epoch-s"),
            ("\"1795514400.5\"", "epoch-s"),
            ("1795514400000", "epoch-ms"),
            ("1795514400000000", "epoch-us"),
            ("1795514400000000000", "epoch-ns"),
            ("\"2026-11-24 10:00:00+0000\"", "iso8601"),
        ] {
            let value = format!("{{\"c\":\"acme\",\"t\":{time}}}");
            let expected = vec![(format!("event.time=json:/t@{form}"), 1)];
            assert_eq!(found("json:/c", "json:/t", &[(b"k", value.as_bytes())]), expected, "{time}");
        }
    }

    #[test]
    fn a_prefix_is_found_also_together_with_another_form() {
        let rfc3339 = b"\0\0\0\0\x07{\"c\":\"acme\",\"t\":\"2026-11-24T10:00:00Z\"}";
        let seconds = b"\0\0\0\0\x07{\"c\":\"acme\",\"t\":1795514400}";
        assert_eq!(
            found("json:/c", "json:/t", &[(b"k", rfc3339), (b"k", rfc3339), (b"k", seconds)]),
            [
                ("event.skip=confluent".to_owned(), 2),
                ("event.skip=confluent event.time=json:/t@epoch-s".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn the_decoding_of_a_key_is_recognized() {
        for (key, decoding) in [
            (&b"\"acme\""[..], "json"),
            (b"\0\0\0\0\x07\x08acme", "confluent"),
            (b"\0\0\0\0\x07\"acme\"", "confluent-json"),
            (&42_i64.to_be_bytes(), "int64"),
        ] {
            let expected = vec![(format!("event.customer=key@{decoding}"), 1)];
            assert_eq!(found("key", "timestamp", &[(key, b"")]), expected, "{decoding}");
        }
        assert_eq!(
            found("json:/c@string", "timestamp", &[(b"k", b"{\"c\":7}")]),
            [("event.customer=json:/c".to_owned(), 1)]
        );
    }

    #[test]
    fn no_setting_is_made_up_for_a_record_without_customer_or_time() {
        assert_eq!(
            found("json:/c", "json:/t", &[(b"k", b"{}"), (b"k", b"no JSON"), (b"", b"{\"c\":{}}")]),
            []
        );
    }
}
