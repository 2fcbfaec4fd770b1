//! Parses event times: RFC 3339 only, no similar formats.

use crate::model::Millis;

static PARSER: jiff::fmt::temporal::DateTimeParser = jiff::fmt::temporal::DateTimeParser::new();

/// Index of the first digit of a fraction.
const FRACTION: usize = 20;
/// Most digits of a fraction that the parser accepts. RFC 3339 has no limit.
const NANOSECONDS: usize = 9;

/// Parses an RFC 3339 date-time, rounded down to a millisecond. A leap second counts as the second before it.
pub(super) fn rfc3339(text: &str) -> Option<Millis> {
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
}
