//! Names of keys, stores, commands and topics, as types, so that code cannot mix them up.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Due, Millis};

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads stored bytes. `None` if their number is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

/// Decodes an id that is shown in hex. `None` for any other text.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).ok()?.try_into().ok()
}

byte_id!(/** A DEK's public name: the first 16 bytes of its commitment. */ KeyId, 16);
byte_id!(/** A key store's own id, generated when the store is created. */ StoreId, 16);
byte_id!(/** A KEK vault's own id, generated when the vault is created. */ VaultId, 16);
byte_id!(/** SHA-256 of a command's verified payload. */ Digest, 32);

/// Kafka's id of a topic (KIP-516), 16 bytes. A topic that is deleted and created again has another id. It is
/// shown as Kafka's tools show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// A KEK's id. `day/YYYY-MM-DD` is the UTC day in which the keys that it wraps fall due.
/// `hold/YYYY-MM-DD/HEX` is for keys of that day that a legal hold kept beyond it. HEX identifies the hold:
/// 32 lower-case digits. A day and a hold meet only once, so no KEK id is needed again when the id of a hold
/// is used again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KekId(String);

impl KekId {
    /// Returns the KEK for the keys that fall due at `due`.
    pub fn of_due(due: Due) -> Self {
        let start = super::Hour(due.0).start();
        let text = Millis::to_string(&start);
        Self(format!("day/{}", text.get(..10).unwrap_or("unreachable")))
    }

    /// Returns the KEK for the keys of this one's day that the hold identified by `hold` keeps.
    pub fn held(&self, hold: [u8; 16]) -> Self {
        Self(format!("hold/{}/{}", self.day(), hex::encode(hold)))
    }

    /// Reads an id from a store. `None` if the text is not an id in its canonical spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let day = match (kind, rest.split_once('/')) {
            ("day", None) => rest,
            ("hold", Some((day, hold)))
                if unhex::<16>(hold).is_some_and(|bytes| hex::encode(bytes) == hold) =>
            {
                day
            }
            _ => return None,
        };
        day.parse::<jiff::civil::Date>().ok().filter(|_| day.len() == 10).map(|_| Self(text.to_owned()))
    }

    /// Whether it wraps keys that a hold keeps.
    pub fn is_of_a_hold(&self) -> bool {
        self.0.starts_with("hold/")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the `YYYY-MM-DD` of the id.
    pub fn day(&self) -> &str {
        let begins = self.0.find('/').map_or(0, |slash| slash + 1);
        &self.0[begins..begins + "YYYY-MM-DD".len()]
    }

    /// Returns the midnight that ends its day. By then, every key that it wraps is due.
    pub fn ends(&self) -> Millis {
        let day: jiff::civil::Date = self.day().parse().expect("an id holds a day");
        let start = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).expect("a day of the calendar");
        Millis(start.as_millisecond()).plus(24 * 3_600_000)
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is that of Kafka's `Uuid.toString` for the halves -2 and 1.
    #[test]
    fn a_topics_id_is_shown_as_kafka_shows_it() {
        let mut id = [0xff; 16];
        id[7] = 0xfe;
        id[8..].copy_from_slice(&1_i64.to_be_bytes());
        assert_eq!(TopicId(id).to_string(), "__________4AAAAAAAAAAQ");
    }

    #[test]
    fn a_kek_is_named_by_the_day_of_due() {
        assert_eq!(KekId::of_due(Due(24)).as_str(), "day/1970-01-02");
        assert_eq!(KekId::of_due(Due(23)).as_str(), "day/1970-01-01");
        assert_eq!(KekId::parse("day/2026-11-24").expect("a day").day(), "2026-11-24");
        assert_eq!(KekId::of_due(Due(24)).ends(), Due(48).at(), "with the next day's first hour");
        assert_eq!(KekId::of_due(Due(47)).ends(), Due(48).at());
        for bad in ["day/2026-13-01", "2026-11-24", "day/../x", "day/2026-11-24x", "day/2026-11-24/00"] {
            assert_eq!(KekId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_hold_keeps_is_named_by_its_day_and_the_hold() {
        let day = KekId::of_due(Due(24));
        let held = day.held([0xab; 16]);
        assert_eq!(held.as_str(), format!("hold/1970-01-02/{}", "ab".repeat(16)));
        assert_eq!(KekId::parse(held.as_str()), Some(held.clone()));
        assert_eq!((held.day(), held.ends()), (day.day(), day.ends()));
        assert!(held.is_of_a_hold() && !day.is_of_a_hold());
        assert_eq!(held.held([0xab; 16]), held, "one for each day and hold");
        for bad in [
            "hold/1970-01-02".to_owned(),
            held.as_str().to_uppercase(),
            held.as_str().replace("ab", "AB"),
            format!("{held}00"),
            held.as_str().replace("-01-", "-13-"),
            held.as_str().replace("hold", "day"),
            format!("hold/../{}", "ab".repeat(16)),
        ] {
            assert_eq!(KekId::parse(&bad), None, "{bad}");
        }
    }
}
