//! Finds and reads customer and time with other code: a tree of JSON, and a calendar of ten lines.

use std::borrow::Cow;

use hourseal::model::Millis;
use serde_json::Value;

use super::Record;

/// The place of a value.
pub(super) enum Place {
    Json(&'static str),
    Header(&'static str),
    /// The record's key or timestamp.
    Beside,
}

impl Place {
    pub(super) fn of(setting: &'static str) -> Self {
        match setting.split_once(':') {
            Some(("json", pointer)) => Self::Json(pointer),
            Some((_, name)) => Self::Header(name),
            None => Self::Beside,
        }
    }

    /// Returns the text at the place. The last value of a repeated JSON name counts, and none of
    /// repeated headers.
    pub(super) fn text<'r>(&self, record: &'r Record<'_>) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Json(pointer) => {
                let text = json(record.value?)?.pointer(pointer)?.as_str()?.to_owned();
                Some(Cow::Owned(text.into_bytes()))
            }
            Self::Header(name) => {
                let mut named = record.headers.iter().filter(|(other, _)| other == name.as_bytes());
                let (Some((_, value)), None) = (named.next(), named.next()) else { return None };
                value.as_deref().map(Cow::Borrowed)
            }
            Self::Beside => record.key.map(Cow::Borrowed),
        }
    }
}

pub(super) fn json(value: &[u8]) -> Option<Value> {
    serde_json::from_slice(value).ok()
}

/// JSON that only a reader which keeps everything refuses. Other readers skip everything beside the path,
/// however deep or large it is.
pub(super) fn is_beyond_a_tree(value: &[u8]) -> bool {
    let why = serde_json::from_slice::<Value>(value).err().map(|error| error.to_string()).unwrap_or_default();
    let beyond =
        ["recursion limit", "number out of range", "lone leading surrogate", "unexpected end of hex escape"];
    beyond.iter().any(|beyond| why.contains(beyond))
}

/// Reads a time of RFC 3339 §5.6, rounded down to the millisecond. Second 60 counts as 59.
pub(super) fn rfc3339(text: &[u8]) -> Option<Millis> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let shape: Vec<u8> =
        date_time.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }).collect();
    if !shape.eq_ignore_ascii_case(b"0000-00-00T00:00:00") {
        return None;
    }
    let [year, month, day] = [number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?];
    let [hour, minute, second] = [11, 14, 17].map(|at| number(&text[at..at + 2]));
    let (hour, minute, second) = (hour.filter(|hour| *hour < 24)?, minute?, second?.min(60));
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || minute > 59
        || number(&text[17..19])? > 60
    {
        return None;
    }
    let (milliseconds, zone) = fraction(rest)?;
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    Some(Millis((seconds - offset(zone)?) * 1000 + milliseconds))
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns the milliseconds, and the text after them.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else { return Some((0, rest)) };
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = rest.split_at(len);
    let padded: Vec<u8> = digits.iter().copied().chain(*b"00").take(3).collect();
    (len > 0).then(|| (number(&padded).expect("three digits"), zone))
}

/// Returns the seconds by which a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 5 && digits[2] == b':' => {
            if !digits.iter().enumerate().all(|(at, byte)| at == 2 || byte.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes) = (number(&digits[..2])?, number(&digits[3..])?);
            let seconds = hours * 3600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days since 1970-01-01, counted year by year and month by month.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = 365 * (year - 1970) + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1
}
