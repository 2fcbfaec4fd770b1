//! The hours that a sweep has chosen, in the form in which the store keeps them: a sweep's verdict.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::keys::DueHour;
use crate::model::{Due, Hour, Token};

/// Bytes of an hour: due (4) ‖ token (16) ‖ hour (4).
const HOUR: usize = 24;

/// What a sweep is to forget, and the offset of the call on which that was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::forget) struct SweepRuling {
    pub offset: i64,
    pub hours: Vec<DueHour>,
}

/// Version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    offset: i64,
    sweep: String,
}

impl SweepRuling {
    pub fn to_json(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.hours.iter().flat_map(to_bytes).collect();
        let stored = Stored { version: 1, offset: self.offset, sweep: STANDARD_NO_PAD.encode(bytes) };
        serde_json::to_vec(&stored).expect("strings and numbers become JSON")
    }

    /// `None` for what this version has not written: nothing may be done then.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(json).ok()?;
        let bytes = STANDARD_NO_PAD.decode(stored.sweep).ok().filter(|_| stored.version == 1)?;
        let (hours, rest) = bytes.as_chunks::<HOUR>();
        rest.is_empty().then(|| Self { offset: stored.offset, hours: hours.iter().map(from_bytes).collect() })
    }
}

fn to_bytes(hour: &DueHour) -> Vec<u8> {
    [&hour.due.0.to_be_bytes()[..], &hour.token.0, &hour.hour.0.to_be_bytes()].concat()
}

fn from_bytes(bytes: &[u8; HOUR]) -> DueHour {
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let token = Token(bytes[4..20].try_into().expect("16 bytes"));
    DueHour::new(Due(number(0)), token, Hour(number(20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_stable() {
        let hours = vec![DueHour::new(Due(1), Token([2; 16]), Hour(0x0001_0203))];
        let ruling = SweepRuling { offset: 12, hours };
        let json = r#"{"version":1,"offset":12,"sweep":"AAAAAQICAgICAgICAgICAgICAgIAAQID"}"#;
        assert_eq!(String::from_utf8(ruling.to_json()).expect("UTF-8"), json);
        assert_eq!(SweepRuling::parse(json.as_bytes()), Some(ruling));
        for other in [
            json.replace("\"version\":1", "\"version\":2"),
            json.replace("AQID", "AQI"),
            json.replace("12,", "12,\"verdict\":\"erase\","),
            r#"{"version":1,"offset":12,"verdict":"hold"}"#.to_owned(),
        ] {
            assert_eq!(SweepRuling::parse(other.as_bytes()), None, "{other}");
        }
    }
}
