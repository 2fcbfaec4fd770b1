//! Calls: records of the control topic. A worker writes one when the clock has made something due, and the
//! executor carries it out.
//!
//! They ask for nothing that a worker would not do by itself, so they are not signed. Their outcome is
//! decided when they are executed.

use super::digest::sha_256;
use super::kind::Kind;
use crate::model::{Digest, Due, KekId};
use crate::telemetry::Label as _;

/// The action that a call asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wants {
    /// Forget hours that are due. The value is the earliest due that the writer saw. The executor looks from
    /// there on first, because thousands of hours with an earlier due may be gone. It may choose other hours.
    Sweep(Due),
    /// Destroy the KEK of a day that has ended.
    DestroyKek(KekId),
}

impl Wants {
    /// The word in calls, receipts and metrics.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sweep(_) => Kind::Sweep,
            Self::DestroyKek(_) => Kind::DestroyKek,
        }
    }
}

/// A record that asks the executor to do what is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// `~sweep/<due>/<nonce>` or `~destroy-kek/<KEK id>/<nonce>`. The nonce has 16 hex digits. Ids of
    /// commands never begin with `~`.
    pub id: String,
    pub wants: Wants,
    /// SHA-256 of the record's value.
    pub digest: Digest,
}

impl Call {
    /// The record's value: JSON in exactly one spelling.
    pub fn record(wants: &Wants, nonce: u64) -> Vec<u8> {
        let kind = wants.kind().value();
        let text = match wants {
            Wants::Sweep(Due(due)) => {
                format!(r#"{{"id":"~{kind}/{due}/{nonce:016x}","type":"{kind}","due":{due}}}"#)
            }
            Wants::DestroyKek(kek) => {
                format!(r#"{{"id":"~{kind}/{kek}/{nonce:016x}","type":"{kind}","kek":"{kek}"}}"#)
            }
        };
        text.into_bytes()
    }

    /// Reads what [`Call::record`] writes, and nothing else.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok()?;
        let id = text.strip_prefix(r#"{"id":""#)?.split('"').next()?;
        let (what, nonce) = id.strip_prefix('~')?.rsplit_once('/')?;
        let (kind, of) = what.split_once('/')?;
        let wants = match kind {
            "sweep" => Wants::Sweep(Due(of.parse().ok()?)),
            "destroy-kek" => Wants::DestroyKek(KekId::parse(of)?),
            _ => return None,
        };
        let nonce = u64::from_str_radix(nonce, 16).ok()?;
        let digest = sha_256(value);
        (Self::record(&wants, nonce) == value).then(|| Self { id: id.to_owned(), wants, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_spelling() {
        let sweep = Wants::Sweep(Due(498_721));
        let text = r#"{"id":"~sweep/498721/00000000000000ab","type":"sweep","due":498721}"#;
        assert_eq!(str::from_utf8(&Call::record(&sweep, 0xab)), Ok(text));
        let call = Call::parse(text.as_bytes()).expect("a call");
        assert_eq!((call.id.as_str(), call.wants), ("~sweep/498721/00000000000000ab", sweep));
        for other in [
            text.replace("ab\"", "AB\""),
            text.replace(":498721", ":498722"),
            text.replace(":498721", ": 498721"),
            text.replace("/498721", "/+498721"),
            text.replace("~sweep", "sweep"),
            text.replace("sweep\",", "erase\","),
            text.replace("sweep", "reap"),
            text.replace('}', r#","customer":"acme"}"#),
            text.replace("00000000000000ab", "ab"),
            String::new(),
            "{}".to_owned(),
        ] {
            assert_eq!(Call::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_kek_is_named_by_its_id() {
        let kek = KekId::parse("day/2026-11-28").expect("a day");
        let text = concat!(
            r#"{"id":"~destroy-kek/day/2026-11-28/0000000000000001","#,
            r#""type":"destroy-kek","kek":"day/2026-11-28"}"#
        );
        assert_eq!(str::from_utf8(&Call::record(&Wants::DestroyKek(kek.clone()), 1)), Ok(text));
        assert_eq!(Call::parse(text.as_bytes()).map(|call| call.wants), Some(Wants::DestroyKek(kek)));
        for other in [text.replace("-28", "-31"), text.replace("day/", "hold/"), text.replace("-28/", "-27/")]
        {
            assert_eq!(Call::parse(other.as_bytes()), None, "{other}");
        }
    }
}
