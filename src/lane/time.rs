//! Event times: RFC 3339, and nothing that merely looks like it.

use crate::model::Millis;

static PARSER: jiff::fmt::temporal::DateTimeParser = jiff::fmt::temporal::DateTimeParser::new();

/// Parses an RFC 3339 date-time to the millisecond below it; a leap second counts as the second before it.
pub(super) fn rfc3339(text: &str) -> Option<Millis> {
    if !has_shape(text.as_bytes()) {
        return None;
    }
    let time = PARSER.parse_timestamp(text).ok()?;
    Some(Millis(time.as_nanosecond().div_euclid(1_000_000) as i64))
}

/// `YYYY-MM-DDThh:mm:ss[.digits](Z|±hh:mm)`: the parser knows more forms than RFC 3339 §5.6 allows.
fn has_shape(text: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| text[range].iter().all(u8::is_ascii_digit);
    if text.len() < 20 || !(digits(0..4) && digits(5..7) && digits(8..10) && digits(11..13) && digits(14..16))
    {
        return false;
    }
    if text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':' || !digits(17..19) {
        return false;
    }
    if !matches!(text[10], b'T' | b't') {
        return false;
    }
    let after_fraction = match text[19] {
        b'.' => 20 + text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 19,
    };
    if after_fraction == 20 {
        return false;
    }
    match &text[after_fraction..] {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_to_the_millisecond_below() {
        let second = rfc3339("2026-11-24T09:40:00Z").expect("a time").0;
        assert_eq!(rfc3339("2026-11-24T09:40:00.9999Z"), Some(Millis(second + 999)));
        assert_eq!(rfc3339("2026-11-24T11:40:00+02:00"), Some(Millis(second)));
        assert_eq!(rfc3339("2026-11-24t09:40:00z"), Some(Millis(second)));
        assert_eq!(rfc3339("1969-12-31T23:59:59.9995Z"), Some(Millis(-1)));
        assert_eq!(rfc3339("2016-12-31T23:59:60Z"), rfc3339("2016-12-31T23:59:59Z"), "a leap second");
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
