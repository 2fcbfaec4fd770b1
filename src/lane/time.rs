//! Parses event times, in the form that the settings name and in no similar one.

use super::extract::{Found, Number};
use super::quarantine::Reason;
use super::sources::{TimeForm, Unit};
use crate::model::Millis;

static PARSER: jiff::fmt::temporal::DateTimeParser = jiff::fmt::temporal::DateTimeParser::new();

/// Index of the first digit of a fraction.
const FRACTION: usize = 20;
/// Most digits of a fraction that the parser accepts. RFC 3339 has no limit.
const NANOSECONDS: usize = 9;

/// The time that a JSON value holds; `None` = there is no value.
pub(super) fn in_json(found: &Found<'_>, form: TimeForm) -> Option<Result<Millis, Reason>> {
    let time = match (found, form) {
        (Found::Absent, _) => return None,
        (Found::Ambiguous, _) => return Some(Err(Reason::Ambiguous)),
        (Found::Text(text), _) => in_text(text, form),
        (Found::Number(number), TimeForm::Epoch(unit)) => match *number {
            Number::Signed(number) => epoch(number, "", unit),
            Number::Unsigned(number) => i64::try_from(number).ok().and_then(|number| epoch(number, "", unit)),
            // Its shortest text has the digits that the producer wrote, so that it is rounded like a text.
            Number::Float(number) => epoch_text(&number.to_string(), unit),
        },
        (Found::Number(_) | Found::Other, _) => None,
    };
    Some(time.ok_or(Reason::BadTime))
}

/// Parses a time in this form, rounded down to a millisecond.
pub(super) fn in_text(text: &str, form: TimeForm) -> Option<Millis> {
    match form {
        TimeForm::Rfc3339 => rfc3339(text),
        TimeForm::Iso8601 => iso8601(text),
        TimeForm::Epoch(unit) => epoch_text(text, unit),
    }
}

/// A number in decimal digits, perhaps with a fraction.
fn epoch_text(text: &str, unit: Unit) -> Option<Millis> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !digits(fraction) {
        return None;
    }
    epoch(whole.parse().ok()?, fraction, unit)
}

/// `fraction`: the digits after the point. With units below a second they do not change the millisecond.
fn epoch(whole: i64, fraction: &str, unit: Unit) -> Option<Millis> {
    let milliseconds = match unit {
        Unit::Seconds => {
            let thousandths = fraction.bytes().chain(*b"000").take(3);
            let fraction = thousandths.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
            whole.checked_mul(1_000)?.checked_add(fraction)?
        }
        Unit::Milliseconds => whole,
        Unit::Microseconds => whole.div_euclid(1_000),
        Unit::Nanoseconds => whole.div_euclid(1_000_000),
    };
    Some(Millis(milliseconds))
}

/// Parses RFC 3339 and its near misses: a space for the `T`, a comma for the point, an offset without a colon
/// or without minutes.
fn iso8601(text: &str) -> Option<Millis> {
    /// Length of `YYYY-MM-DD` and of `YYYY-MM-DDThh:mm:ss`.
    const DATE: usize = 10;
    const SECOND: usize = 19;
    if !text.is_ascii() || text.len() <= SECOND {
        return None;
    }
    let (date, time, rest) = (&text[..DATE], &text[DATE + 1..SECOND], &text[SECOND..]);
    let separator = if text.as_bytes()[DATE] == b' ' { "T" } else { &text[DATE..=DATE] };
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(digits) => {
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            (&digits[..end], &digits[end..])
        }
        None => ("0", rest),
    };
    let zone = match zone.as_bytes() {
        [b'+' | b'-', _, _] => format!("{zone}:00"),
        [b'+' | b'-', _, _, _, _] => format!("{}:{}", &zone[..3], &zone[3..]),
        _ => zone.to_owned(),
    };
    rfc3339(&format!("{date}{separator}{time}.{fraction}{zone}"))
}

/// Parses an RFC 3339 date-time, rounded down to a millisecond. A leap second counts as the second before it.
fn rfc3339(text: &str) -> Option<Millis> {
    let zone = zone(text.as_bytes())?;
    let time = if zone <= FRACTION + NANOSECONDS {
        PARSER.parse_timestamp(text)
    } else {
        PARSER.parse_timestamp(format!("{}{}", &text[..FRACTION + NANOSECONDS], &text[zone..]))
    };
    Some(Millis(time.ok()?.as_nanosecond().div_euclid(1_000_000) as i64))
}

/// Index of the zone in `YYYY-MM-DDThh:mm:ss[.digits](Z|±hh:mm)`. `None` if the text has another form:
/// the parser accepts more forms than RFC 3339 §5.6 allows.
fn zone(text: &[u8]) -> Option<usize> {
    let digits = |range: std::ops::Range<usize>| text[range].iter().all(u8::is_ascii_digit);
    if text.len() < 20 || !(digits(0..4) && digits(5..7) && digits(8..10) && digits(11..13) && digits(14..16))
    {
        return None;
    }
    if text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':' || !digits(17..19) {
        return None;
    }
    if !matches!(text[10], b'T' | b't') {
        return None;
    }
    let zone = match text[19] {
        b'.' => FRACTION + text[FRACTION..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 19,
    };
    let is_zone = match &text[zone..] {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()) && [*h1, *h2] < *b"24"
        }
        _ => false,
    };
    (is_zone && zone != FRACTION).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_to_the_millisecond_below() {
        let second = rfc3339("2026-11-24T09:40:00Z").expect("a time").0;
        assert_eq!(rfc3339("2026-11-24T09:40:00.9999Z"), Some(Millis(second + 999)));
        assert_eq!(rfc3339("2026-11-24T11:40:00+02:00"), Some(Millis(second)));
        assert_eq!(rfc3339("2026-11-24T09:40:00+23:59"), Some(Millis(second - (23 * 60 + 59) * 60_000)));
        assert_eq!(rfc3339("2026-11-24t09:40:00z"), Some(Millis(second)));
        assert_eq!(rfc3339("1969-12-31T23:59:59.9995Z"), Some(Millis(-1)));
        assert_eq!(rfc3339("2016-12-31T23:59:60Z"), rfc3339("2016-12-31T23:59:59Z"), "a leap second");
    }

    /// Found by the fuzzer: the parser stops at nanoseconds.
    #[test]
    fn a_fraction_may_have_any_number_of_digits() {
        let second = rfc3339("2026-11-24T09:40:00Z").expect("a time").0;
        for more in ["", "7", "78", "789", &"9".repeat(100)] {
            assert_eq!(
                rfc3339(&format!("2026-11-24T09:40:00.123999{more}Z")),
                Some(Millis(second + 123)),
                "{more}"
            );
            assert_eq!(
                rfc3339(&format!("2026-11-24T11:40:00.123999{more}+02:00")),
                Some(Millis(second + 123))
            );
        }
        assert_eq!(rfc3339(&format!("2026-11-24T09:40:00.{}x", "9".repeat(100))), None);
    }

    #[test]
    fn other_forms_are_no_event_times() {
        for bad in [
            "",
            "2026-11-24",
            "2026-11-24 09:40:00Z",
            "2026-11-24T09:40:00",
            "2026-11-24T09:40Z",
            "2026-11-24T09:40:00,5Z",
            "2026-11-24T09:40:00.Z",
            "2026-11-24T09:40:00+0200",
            "2026-11-24T09:40:00+24:00", // found by the fuzzer: the parser accepts up to 25:59
            "2026-11-24T09:40:00-25:59",
            "2026-11-24T09:40:00+23:60",
            "2026-11-24T09:40:00Z[UTC]",
            "2026-13-24T09:40:00Z",
            "2026-11-24T25:40:00Z",
            "+292277-01-09T04:00:54Z",
            "1764000000000",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn iso_8601_has_near_misses_of_rfc_3339() {
        let second = rfc3339("2026-11-24T09:40:00Z");
        let read = |text: &str| in_text(text, TimeForm::Iso8601);
        for same in [
            "2026-11-24T09:40:00Z",
            "2026-11-24t09:40:00z",
            "2026-11-24 09:40:00Z",
            "2026-11-24T09:40:00,0Z",
            "2026-11-24T09:40:00+0000",
            "2026-11-24T11:40:00.000+0200",
            "2026-11-24T09:40:00+00",
            "2026-11-24 06:40:00.000999-03",
            "2026-11-24 04:10:00,000-05:30",
        ] {
            assert_eq!(read(same), second, "{same}");
        }
        assert_eq!(read("2026-11-24T09:40:00,1239Z"), second.map(|second| Millis(second.0 + 123)));
        for bad in [
            "",
            "2026-11-24",
            "2026-11-24T09:40:00",
            "2026-11-24T09:40Z",
            "2026-11-24T09:40:00 Z",
            "2026-11-24T09:40:00,Z",
            "2026-11-24T09:40:00GMT",
            "2026-11-24T09:40:00+0",
            "2026-11-24T09:40:00+2400",
            "2026-11-24T09:40:00+000",
            "2026-11-24T09:40:00+00:00[UTC]",
            "2026-11-24_09:40:00Z",
            "2026-11-24T09:40:0é",
            "20261124T094000Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_epoch_time_is_a_number_or_its_text() {
        let second = Millis(1_795_514_400_000);
        for (unit, text) in [
            (Unit::Seconds, "1795514400"),
            (Unit::Milliseconds, "1795514400000"),
            (Unit::Microseconds, "1795514400000000"),
            (Unit::Nanoseconds, "1795514400000000000"),
        ] {
            let form = TimeForm::Epoch(unit);
            let number = Found::Number(Number::Unsigned(text.parse().expect("a number")));
            assert_eq!(in_json(&number, form), Some(Ok(second)), "{text}");
            assert_eq!(in_json(&Found::Text(text.into()), form), Some(Ok(second)), "{text}");
            assert_eq!(in_text(&format!("{text}.0"), form), Some(second), "{text}");
            let before = format!("-{text}");
            assert_eq!(in_text(&before, form), Some(Millis(-second.0)), "{before}");
        }
    }

    #[test]
    fn an_epoch_time_may_have_a_fraction() {
        let form = TimeForm::Epoch(Unit::Seconds);
        for (text, milliseconds) in
            [("1795514400.5", 500), ("1795514400.123999", 123), ("1795514400.000005", 0)]
        {
            let time = Millis(1_795_514_400_000 + milliseconds);
            assert_eq!(in_text(text, form), Some(time), "{text}");
            let number = Number::Float(text.parse().expect("a number"));
            assert_eq!(in_json(&Found::Number(number), form), Some(Ok(time)), "{text}");
        }
        let exponent = Found::Number(Number::Float(1.795_514_4e9));
        assert_eq!(in_json(&exponent, form), Some(Ok(Millis(1_795_514_400_000))));
    }

    #[test]
    fn other_forms_are_no_epoch_times() {
        let form = TimeForm::Epoch(Unit::Seconds);
        for bad in [
            "",
            "-",
            "+1",
            " 1",
            "1e9",
            "1.",
            ".5",
            "1,5",
            "0x1",
            "99999999999999999999",
            "9223372036854775807",
        ] {
            assert_eq!(in_text(bad, form), None, "{bad}");
        }
        let bad = Some(Err(Reason::BadTime));
        assert_eq!(in_json(&Found::Number(Number::Float(1e300)), form), bad);
        assert_eq!(in_json(&Found::Number(Number::Unsigned(u64::MAX)), form), bad);
        assert_eq!(in_json(&Found::Other, form), bad);
        assert_eq!(in_json(&Found::Number(Number::Unsigned(1_795_514_400)), TimeForm::Rfc3339), bad);
        assert_eq!(in_json(&Found::Absent, form), None);
    }
}
