//! Parses values as people write them on a command line.

use std::time::Duration;

use crate::config::parse_retention;
use crate::model::{CustomerId, Hour, Millis, Retention, StoreId, unhex};

/// Parses a customer's id; for clap.
pub fn customer(text: &str) -> Result<CustomerId, String> {
    CustomerId::parse(text).map_err(|error| error.to_string())
}

/// Parses an RFC 3339 time; for clap.
pub fn time(text: &str) -> Result<Millis, String> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| Millis(time.as_millisecond()))
        .map_err(|_| "not a time such as 2026-10-24T00:00:00Z".to_owned())
}

/// Parses an hour: its number since the epoch, or any RFC 3339 time within it; for clap.
pub fn hour(text: &str) -> Result<Hour, String> {
    if let Ok(number) = text.parse() {
        return Ok(Hour(number));
    }
    let hour = text.parse::<Millis>().ok().and_then(Hour::containing);
    hour.ok_or_else(|| {
        "neither an hour number such as 498000 nor a time such as 2026-10-24T00:00:00Z".to_owned()
    })
}

/// Parses a duration such as `90s` or `2h 30m`; for clap.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// The begin of a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    At(Millis),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    pub fn at(self, now: Millis) -> Millis {
        match self {
            Self::At(time) => time,
            Self::Ago(time) => now.plus(-i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// Parses an RFC 3339 time, or a duration before now such as `2h`; for clap.
pub fn since(text: &str) -> Result<Since, String> {
    let ago = || duration(text).map(Since::Ago);
    time(text)
        .map(Since::At)
        .or_else(|_| ago())
        .map_err(|_| "neither a time such as 2026-10-24T00:00:00Z nor a duration such as 2h".to_owned())
}

/// Parses a retention such as `30d` or `720h`; for clap.
pub fn retention(text: &str) -> Result<Retention, String> {
    parse_retention(text)
}

/// Parses a fraction; for clap.
pub fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| "not a number from 0 to 1, such as 0.5".to_owned())
}

/// Parses a key store's id; for clap.
pub fn store(text: &str) -> Result<StoreId, String> {
    unhex(text).map(StoreId).ok_or_else(|| "not an id of 32 hex digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_at_a_time_or_so_long_ago() {
        let now = Millis(10_000_000);
        assert_eq!(since("1970-01-01T00:00:05Z").map(|since| since.at(now)), Ok(Millis(5_000)));
        assert_eq!(since("2h").map(|since| since.at(now)), Ok(Millis(2_800_000)));
        assert!(since("yesterday").is_err() && since("2").is_err());
    }

    #[test]
    fn an_hour_is_a_number_or_a_time_within_it() {
        assert_eq!(hour("498000"), Ok(Hour(498_000)));
        assert_eq!(hour("1970-01-01T05:59:59.999Z"), Ok(Hour(5)));
        assert_eq!(hour("1970-01-01T05:30:00+02:00"), Ok(Hour(3)));
        for bad in ["-1", "yesterday", "1969-12-31T23:00:00Z", "2026-11-24"] {
            assert!(hour(bad).is_err(), "{bad}");
        }
    }
}
