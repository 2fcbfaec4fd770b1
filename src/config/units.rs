//! Values as people write them: durations, sizes, retention. Numbers and flags may also stand as text, because the
//! environment knows nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize as _, Deserializer};

use crate::envelope::StreamName;
use crate::model::Retention;

/// Any value that has a `FromStr`: text, a number or true/false.
pub fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    from_text(deserializer, |text| text.parse().map_err(|why: T::Err| format!("`{text}`: {why}")))
}

/// A duration such as `100ms`, `5m` or `1h 30m`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    from_text(deserializer, parse_duration)
}

/// A number of bytes such as `16MiB`, `64KiB` or `1048576`.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    from_text(deserializer, parse_size)
}

/// A retention such as `30d` or `720h`: whole hours, 1 to 65,535.
pub fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Retention, D::Error> {
    from_text(deserializer, parse_retention)
}

/// Names by retention, as a table whose keys are retentions.
pub fn by_retention<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Retention, String>, D::Error> {
    let written = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut read = BTreeMap::new();
    for (key, name) in written {
        let retention = parse_retention(&key).map_err(de::Error::custom)?;
        if read.insert(retention, name).is_some() {
            return Err(de::Error::custom(format!("`{key}` stands there twice, written in two ways")));
        }
    }
    Ok(read)
}

/// The logical name that is bound into every seal.
pub fn stream<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StreamName, D::Error> {
    from_text(deserializer, |text| StreamName::parse(text).map_err(|why| format!("`{text}`: {why}")))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no duration such as 100ms, 5m or 1h"))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("`{text}` is no size such as 16MiB, 64KiB or 1048576")),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    size.ok_or_else(|| format!("`{text}` is no size such as 16MiB, 64KiB or 1048576"))
}

/// A retention such as `30d` or `720h`: whole hours, 1 to 65,535.
pub fn parse_retention(text: &str) -> Result<Retention, String> {
    let seconds = parse_duration(text)?.as_secs_f64();
    let hours = seconds / 3600.0;
    if hours.fract() != 0.0 || hours > f64::from(u16::MAX) {
        return Err(format!("`{text}` is no retention of whole hours, 1h to 65535h"));
    }
    // Truncation is impossible: the number is whole and fits, as just checked.
    Retention::hours(hours as u16)
        .ok_or_else(|| format!("`{text}` is no retention of whole hours, 1h to 65535h"))
}

fn from_text<'de, D, T, P>(deserializer: D, parse: P) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    P: Fn(&str) -> Result<T, String>,
{
    deserializer.deserialize_any(Text { parse, value: PhantomData })
}

/// Takes any scalar as text and parses it.
struct Text<T, P> {
    parse: P,
    value: PhantomData<T>,
}

impl<T, P: Fn(&str) -> Result<T, String>> Visitor<'_> for Text<T, P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<T, E> {
        self.visit_str(&flag.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_or_bare_bytes() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        assert_eq!(parse_size("64 KiB"), Ok(64 << 10));
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        for bad in ["", "MiB", "1.5MiB", "-1", "16MB", "99999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retention_is_1_to_65535_whole_hours() {
        assert_eq!(parse_retention("30d"), Ok(Retention::hours(720).expect("not zero")));
        assert_eq!(parse_retention("65535h"), Ok(Retention::hours(65_535).expect("not zero")));
        for bad in ["0h", "30m", "90m", "65536h", "100y", "thirty", ""] {
            assert!(parse_retention(bad).is_err(), "{bad}");
        }
    }
}
