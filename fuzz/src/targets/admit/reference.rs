//! Finds and reads customer and time with other code: a tree of JSON, and a calendar of ten lines.

use std::borrow::Cow;

use hourseal::model::Millis;
use serde_json::Value;

use super::Record;

/// The place of a value.
enum Place {
    Json(&'static str),
    Header(&'static str),
    /// The record's key or timestamp.
    Beside,
}

/// The place of a value, and its form.
pub(super) struct Source {
    place: Place,
    form: &'static str,
}

impl Source {
    pub(super) fn of(setting: &'static str) -> Self {
        let (place, form) = setting.split_once('@').unwrap_or((setting, ""));
        let place = match place.split_once(':') {
            Some(("json", pointer)) => Place::Json(pointer),
            Some((_, name)) => Place::Header(name),
            None => Place::Beside,
        };
        Self { place, form }
    }

    /// Returns the customer's id. It need not be valid.
    pub(super) fn customer<'r>(&self, record: &'r Record<'_>) -> Option<Cow<'r, [u8]>> {
        let bytes = match self.place {
            Place::Json(pointer) => {
                return Some(Cow::Owned(id(json(record.value?)?.pointer(pointer)?, self.form)?));
            }
            Place::Header(name) => header(record, name)?,
            Place::Beside => record.key?,
        };
        let is_control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
        match self.form {
            "" if matches!(bytes.first(), Some(b'"' | b'{' | b'[')) => None,
            "" if bytes.starts_with(BYTE_ORDER_MARK) || bytes.iter().any(is_control) => None,
            "" | "utf8" => Some(Cow::Borrowed(bytes)),
            "int64" => Some(i64::from_be_bytes(bytes.try_into().ok()?).to_string().into_bytes().into()),
            "json:/a" => Some(Cow::Owned(id(json(bytes)?.pointer("/a")?, "")?)),
            "confluent" => behind_its_length(bytes.strip_prefix(b"\0")?.get(4..)?).map(Cow::Borrowed),
            "confluent-int64" => {
                let zigzag = leb128(bytes.strip_prefix(b"\0")?.get(4..)?)?;
                let number = if zigzag % 2 == 0 { zigzag / 2 } else { -(zigzag / 2) - 1 };
                Some(number.to_string().into_bytes().into())
            }
            form => panic!("@{form} has no reference"),
        }
    }

    /// Returns the time. A repeated JSON name counts as its last value, and repeated headers as none.
    pub(super) fn time(&self, record: &Record<'_>) -> Option<Millis> {
        let text = match self.place {
            Place::Json(pointer) => match json(record.value?)?.pointer(pointer)? {
                Value::String(text) => text.clone().into_bytes(),
                Value::Number(number) if self.form.starts_with("epoch") => match number.as_f64() {
                    Some(float) if number.is_f64() => float.to_string().into_bytes(),
                    _ => number.to_string().into_bytes(),
                },
                _ => return None,
            },
            Place::Header(name) => header(record, name)?.to_vec(),
            Place::Beside => return record.timestamp,
        };
        match self.form {
            "" => rfc3339(&text),
            "iso8601" => rfc3339(&strict(&text)?),
            "epoch-s" => epoch(&text, 3),
            "epoch-ms" => epoch(&text, 0),
            "epoch-us" => epoch(&text, -3),
            "epoch-ns" => epoch(&text, -6),
            form => panic!("@{form} has no reference"),
        }
    }
}

/// The last value of a repeated JSON name counts.
fn id(value: &Value, form: &str) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Number(number) if form != "string" && !number.is_f64() => {
            Some(number.to_string().into_bytes())
        }
        _ => None,
    }
}

/// The value of the only header of this name.
fn header<'r>(record: &'r Record<'_>, name: &str) -> Option<&'r [u8]> {
    let mut named = record.headers.iter().filter(|(other, _)| other == name.as_bytes());
    let (Some((_, value)), None) = (named.next(), named.next()) else { return None };
    value.as_deref()
}

/// Returns the bytes behind their own length: a varint of one or two bytes, which is twice the length.
fn behind_its_length(bytes: &[u8]) -> Option<&[u8]> {
    let is_json = bytes.len() > 1 && bytes.starts_with(b"\"") && bytes.ends_with(b"\"");
    let fills = |size: usize| {
        let (length, rest) = bytes.split_at_checked(size)?;
        (leb128(length)? == 2 * rest.len() as i128).then_some(rest)
    };
    [1, 2].into_iter().find_map(fills).filter(|_| !is_json)
}

/// Reads a number of 64 bits in groups of seven, the lowest first. It fills the bytes, and no group is needless.
fn leb128(bytes: &[u8]) -> Option<i128> {
    let (last, others) = bytes.split_last()?;
    let continues = others.iter().all(|byte| *byte >= 0x80) && *last < 0x80;
    let number = bytes.iter().take(11).rev().fold(0, |sum, byte| sum * 128 + i128::from(byte % 128));
    let fits = bytes.len() <= 10 && number <= i128::from(u64::MAX) && (others.is_empty() || *last != 0);
    (continues && fits).then_some(number)
}

/// Writes a near miss of RFC 3339 as RFC 3339.
fn strict(text: &[u8]) -> Option<Vec<u8>> {
    let mut text = text.to_vec();
    if *text.get(10)? == b' ' {
        text[10] = b'T';
    }
    if text.get(19) == Some(&b',') {
        text[19] = b'.';
    }
    if let Some(sign) = text.iter().rposition(|byte| matches!(byte, b'+' | b'-')).filter(|at| *at > 18) {
        match text.len() - sign {
            3 => text.extend(*b":00"),
            5 => text.insert(sign + 3, b':'),
            _ => {}
        }
    }
    Some(text)
}

/// Reads a decimal number with `shift` more decimal places, rounded down for a number that is not negative.
fn epoch(text: &[u8], shift: i32) -> Option<Millis> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.trim_start_matches('-')) || whole.starts_with("--") || !digits(fraction) {
        return None;
    }
    let whole = i128::from(whole.parse::<i64>().ok()?);
    let scaled = match shift {
        3 => whole * 1_000 + i128::from(number(&format!("{fraction}000").as_bytes()[..3])?),
        _ => whole.div_euclid(10_i128.pow(shift.unsigned_abs())),
    };
    i64::try_from(scaled).ok().map(Millis)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn json(value: &[u8]) -> Option<Value> {
    serde_json::from_slice(value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value)).ok()
}

/// JSON that only a reader which keeps everything refuses. Other readers skip everything beside the path,
/// however deep or large it is.
pub(super) fn is_beyond_a_tree(value: &[u8]) -> bool {
    let value = value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value);
    let why = serde_json::from_slice::<Value>(value).err().map(|error| error.to_string()).unwrap_or_default();
    let beyond =
        ["recursion limit", "number out of range", "lone leading surrogate", "unexpected end of hex escape"];
    beyond.iter().any(|beyond| why.contains(beyond))
}

/// Reads a time of RFC 3339 §5.6, rounded down to the millisecond. Second 60 counts as 59.
fn rfc3339(text: &[u8]) -> Option<Millis> {
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
