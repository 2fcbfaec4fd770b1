//! A call to sweep: the record of the control topic that the clock's keeper writes.

use ring::digest::{SHA256, digest};

use crate::model::{Digest, Due};

/// Ids of commands never begin so.
const PREFIX: &str = "~sweep/";

/// Asks for what is due to be forgotten, by whoever executes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SweepCall {
    /// `~sweep/<due>/<nonce>`, the nonce 16 hex digits: the receipt's command.
    pub id: String,
    /// The due of the soonest hours that its writer saw. It binds nobody: what is swept is decided when it is executed.
    pub due: Due,
    /// SHA-256 of the record's value.
    pub digest: Digest,
}

impl SweepCall {
    /// The record's value: JSON in this one spelling.
    pub fn record(due: Due, nonce: u64) -> Vec<u8> {
        let Due(due) = due;
        format!(r#"{{"id":"{PREFIX}{due}/{nonce:016x}","type":"sweep","due":{due}}}"#).into_bytes()
    }

    /// Reads what [`SweepCall::record`] writes, and nothing else.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok()?;
        let id = text.strip_prefix(r#"{"id":""#)?.split('"').next()?;
        let (due, nonce) = id.strip_prefix(PREFIX)?.split_once('/')?;
        let due = Due(due.parse().ok()?);
        let nonce = u64::from_str_radix(nonce, 16).ok()?;
        let digest = Digest::from_slice(digest(&SHA256, value).as_ref())?;
        (Self::record(due, nonce) == value).then(|| Self { id: id.to_owned(), due, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_spelling() {
        let record = SweepCall::record(Due(498_721), 0xab);
        let text = r#"{"id":"~sweep/498721/00000000000000ab","type":"sweep","due":498721}"#;
        assert_eq!(str::from_utf8(&record), Ok(text));
        let call = SweepCall::parse(&record).expect("a call");
        assert_eq!((call.id.as_str(), call.due), ("~sweep/498721/00000000000000ab", Due(498_721)));
        for other in [
            text.replace("ab\"", "AB\""),
            text.replace(":498721", ":498722"),
            text.replace(":498721", ": 498721"),
            text.replace("/498721", "/+498721"),
            text.replace("~sweep", "sweep"),
            text.replace("sweep\",", "erase\","),
            text.replace('}', r#","customer":"acme"}"#),
            text.replace("00000000000000ab", "ab"),
            String::new(),
            "{}".to_owned(),
        ] {
            assert_eq!(SweepCall::parse(other.as_bytes()), None, "{other}");
        }
    }
}
