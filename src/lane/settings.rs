//! Settings of a lane: JSON pointers, and the destination of sealed records. Invalid values cannot be
//! constructed.

use std::fmt;
use std::str::FromStr;

use super::placement::Placement;
use crate::model::{ClassId, Due, Hour, Retention};

/// A JSON pointer (RFC 6901) to one place in an event's value: its reference tokens, unescaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The whole value.
    pub const ROOT: Self = Self(Vec::new());

    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let path = text.strip_prefix('/').ok_or_else(|| SettingError::Pointer(text.to_owned()))?;
        path.split('/')
            .map(unescape)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| SettingError::Pointer(text.to_owned()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// `~1` is `/`, `~0` is `~`; any other use of `~` is not allowed in a pointer.
fn unescape(token: &str) -> Option<String> {
    let mut plain = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(plain)
}

/// Key of the sealed record, in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputKey {
    /// The customer's id.
    Customer,
    /// The input record's key.
    Input,
    /// No key. The customer id is in the header `hourseal-customer`.
    None,
}

/// Rule for the output partition of a sealed record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partitioner {
    /// By customer: murmur2 of the customer's id.
    Customer,
    /// By customer and hour: one key's ciphertext is in one partition until the placement changes.
    CustomerHour,
    /// The number of the input partition.
    Input,
}

/// The output topics and their placements.
#[derive(Clone, Debug)]
pub struct Outputs {
    pub output: Placement,
    /// Retention classes, shortest first: the longest retention of each, and the placement of its topic.
    pub classes: Vec<(Retention, Placement)>,
}

impl Outputs {
    /// The class of the shortest retention that an hour with this due fits; `None` = the output topic.
    pub(super) fn class_of(&self, hour: Hour, due: Due) -> Option<ClassId> {
        self.classes.iter().position(|(longest, _)| due <= Due::of(hour, *longest)).map(ClassId)
    }

    /// The placement of the output topic, or of a class's topic.
    pub fn placement(&self, class: Option<ClassId>) -> &Placement {
        class.map_or(&self.output, |ClassId(class)| &self.classes[class].1)
    }

    /// The placements of all topics.
    pub fn placements(&self) -> impl Iterator<Item = &Placement> {
        [&self.output].into_iter().chain(self.classes.iter().map(|(_, placement)| placement))
    }
}

/// Reason why a text is not a valid setting.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingError {
    #[error("`{0}` is not a source of customer ids: write json:/pointer, header:name or key")]
    Customer(String),
    #[error(
        "`@{0}` is not a decoding: write @utf8, @json, @json:/pointer, @int64, @confluent, @confluent-json, \
         @confluent-json:/pointer or @confluent-int64"
    )]
    Decoding(String),
    #[error("`@{0}` is not a form of ids: write @string, or nothing for strings and integers")]
    IdForm(String),
    #[error("`{0}` is not an output key: write customer, none or input")]
    OutputKey(String),
    #[error("`{0}` is not a partitioner: write customer-hour, customer or input")]
    Partitioner(String),
    #[error("{0} places: write 1 to 4")]
    Places(usize),
    #[error("`{0}` is not a JSON pointer (RFC 6901): it must start with /, and escape ~ as ~0 and / as ~1")]
    Pointer(String),
    #[error("`{0}` is not a prefix to skip: write none or confluent")]
    Skip(String),
    #[error("`{0}` is not a source of event times: write json:/pointer, header:name or timestamp")]
    Time(String),
    #[error(
        "`@{0}` is not a form of times: write @rfc3339, @iso8601, @epoch-s, @epoch-ms, @epoch-us or @epoch-ns"
    )]
    TimeForm(String),
}

impl FromStr for OutputKey {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "customer" => Ok(Self::Customer),
            "input" => Ok(Self::Input),
            "none" => Ok(Self::None),
            _ => Err(SettingError::OutputKey(text.to_owned())),
        }
    }
}

impl FromStr for Partitioner {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "customer" => Ok(Self::Customer),
            "customer-hour" => Ok(Self::CustomerHour),
            "input" => Ok(Self::Input),
            _ => Err(SettingError::Partitioner(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_rfc_6901_says_and_written_back() {
        let pointer: Pointer = "/a~1b/m~0n//0".parse().expect("a pointer");
        assert_eq!(pointer.tokens(), ["a/b", "m~n", "", "0"]);
        assert_eq!(pointer.to_string(), "/a~1b/m~0n//0");
        for bad in ["", "a", "/~", "/~2"] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_hour_goes_to_the_shortest_class_that_it_fits_to_the_hour() {
        let hours = |hours| Retention::hours(hours).expect("not zero");
        let classes = [(24, 2), (168, 4)].map(|(longest, count)| (hours(longest), Placement::new(count)));
        let outputs = Outputs { output: Placement::new(8), classes: classes.into() };
        let of = |kept| {
            let class = outputs.class_of(Hour(1_000), Due::of(Hour(1_000), hours(kept)));
            (class, outputs.placement(class).now())
        };
        assert_eq!([1, 24].map(of), [(Some(ClassId(0)), 2); 2]);
        assert_eq!([25, 168].map(of), [(Some(ClassId(1)), 4); 2]);
        assert_eq!([169, 65_535].map(of), [(None, 8); 2]);
        assert_eq!(Outputs { classes: Vec::new(), ..outputs.clone() }.class_of(Hour(1_000), Due(1)), None);
    }
}
