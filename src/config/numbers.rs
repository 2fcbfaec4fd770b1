//! Settings that are flags, numbers, durations, sizes and retentions. In the environment all of them are
//! text, so text is legal in a file, too.

use std::marker::PhantomData;
use std::time::Duration;

use humantime::format_duration;
use serde_json::{Value as Json, json};

use super::kind::{Scalar, Shape};
use crate::model::Retention;

const DURATION: &str = "^([0-9]+ *[a-zA-Zµ]+ *)+$";

/// `true` or `false`.
pub(super) struct Flag;

impl Scalar for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| format!("`{text}` is not true or false"))
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }

    fn shape(&self) -> Shape {
        Shape::Flag
    }
}

/// A whole number within bounds.
pub(super) struct Whole<T> {
    least: u64,
    most: u64,
    value: PhantomData<T>,
}

impl<T: TryFrom<u64>> Whole<T> {
    pub(super) fn within(least: u64, most: u64) -> Self {
        Self { least, most, value: PhantomData }
    }
}

impl<T: TryFrom<u64>> Scalar for Whole<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let Self { least, most, .. } = self;
        let number: u64 = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
        let legal = Some(number).filter(|number| (*least..=*most).contains(number));
        let value = legal.and_then(|number| T::try_from(number).ok());
        value.ok_or_else(|| format!("{number} is not {least} to {most}"))
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.least, "maximum": self.most })
    }

    fn shape(&self) -> Shape {
        Shape::Whole
    }
}

/// A duration such as `100ms`, `5m` or `1h 30m`, within bounds.
pub(super) struct Time {
    least: Duration,
    most: Duration,
    /// True if zero is also legal and means never.
    or_never: bool,
}

impl Time {
    pub(super) fn within(least: Duration, most: Duration) -> Self {
        Self { least, most, or_never: false }
    }

    pub(super) fn at_most(most: Duration) -> Self {
        Self::within(Duration::ZERO, most)
    }

    /// The interval of a repeated job: at least one second, or zero for never.
    pub(super) fn every(most: Duration) -> Self {
        Self { least: Duration::from_secs(1), most, or_never: true }
    }
}

impl Scalar for Time {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let time = parse_duration(text)?;
        let [is, least, most] = [time, self.least, self.most].map(format_duration);
        match time {
            _ if time > self.most => Err(format!("{is} is more than {most}")),
            _ if time.is_zero() && self.or_never => Ok(time),
            _ if time < self.least && self.or_never => {
                Err(format!("{is} is less than {least} and not 0s (never)"))
            }
            _ if time < self.least => Err(format!("{is} is less than {least}")),
            _ => Ok(time),
        }
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": DURATION })
    }
}

/// A number of bytes such as `16MiB`, `64KiB` or `1048576`, within bounds.
pub(super) struct Size {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Scalar for Size {
    type Value = u64;

    fn parse(&self, text: &str) -> Result<u64, String> {
        let Self { least, most } = self;
        let size = parse_size(text)?;
        let legal = Some(size).filter(|size| (*least..=*most).contains(size));
        legal.ok_or_else(|| format!("{size} bytes are not {least} to {most}"))
    }

    fn schema(&self) -> Json {
        let Self { least, most } = self;
        let pattern = "^[0-9]+ *(B|KiB|MiB|GiB)?$";
        json!({ "type": ["string", "integer"], "pattern": pattern, "minimum": least, "maximum": most })
    }
}

/// A retention such as `30d` or `720h`: whole hours, 1 to 65,535.
pub(super) struct Hours;

impl Scalar for Hours {
    type Value = Retention;

    fn parse(&self, text: &str) -> Result<Retention, String> {
        parse_retention(text)
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": DURATION })
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is not a duration such as 100ms, 5m or 1h"))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale: Option<u64> = match unit.trim_start() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale?));
    size.ok_or_else(|| format!("`{text}` is not a size such as 16MiB, 64KiB or 1048576"))
}

/// A retention such as `30d` or `720h`: whole hours, 1 to 65,535.
///
/// # Errors
/// Says in words which rule the text breaks.
pub fn parse_retention(text: &str) -> Result<Retention, String> {
    let seconds = parse_duration(text)?.as_secs_f64();
    let hours = seconds / 3600.0;
    let whole = hours.fract() == 0.0 && hours <= f64::from(u16::MAX);
    // Truncation is impossible: the number is whole and fits.
    let retention = whole.then_some(hours as u16).and_then(Retention::hours);
    retention.ok_or_else(|| format!("`{text}` is not a retention of whole hours, 1h to 65535h"))
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
