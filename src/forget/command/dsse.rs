//! DSSE 1.0.2 (secure-systems-lab/dsse): a command with the signatures on it.
//!
//! ```text
//! {"payloadType": "application/vnd.hourseal.command+json", "payload": base64,
//!  "signatures": [{"keyid": .., "sig": base64}, ..]}
//! signed = PAE = "DSSEv1" ‖ SP ‖ len(type) ‖ SP ‖ type ‖ SP ‖ len(payload) ‖ SP ‖ payload
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::NotACommand;
use super::json::is_object;

const TYPE: &str = "application/vnd.hourseal.command+json";

/// Maximum number of signatures of one command.
const MOST: usize = 16;

/// A signature as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// The key that it claims to be from. This is only a hint: every key of the trust store is tried.
    pub hint: String,
    pub bytes: Vec<u8>,
}

pub(super) struct Envelope {
    pub payload: Vec<u8>,
    pub signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "payloadType")]
    kind: String,
    payload: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Only the name of this field matters: a command has no field with this name.
#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "payloadType")]
    kind: Option<serde::de::IgnoredAny>,
}

/// Whether the JSON is meant to be an envelope.
pub(super) fn is_envelope(json: &[u8]) -> bool {
    is_object(json) && serde_json::from_slice::<Peek>(json).is_ok_and(|peek| peek.kind.is_some())
}

pub(super) fn parse(json: &[u8]) -> Result<Envelope, NotACommand> {
    let raw: Raw = serde_json::from_slice(json).map_err(|error| NotACommand::malformed(&error))?;
    if raw.kind != TYPE || raw.signatures.len() > MOST {
        return Err(NotACommand::Envelope);
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| NotACommand::Envelope);
    let signature = |raw: RawSignature| Ok(Signature { bytes: decode(&raw.sig)?, hint: raw.keyid });
    Ok(Envelope {
        payload: decode(&raw.payload)?,
        signatures: raw.signatures.into_iter().map(signature).collect::<Result<_, _>>()?,
    })
}

/// Returns the bytes that are signed.
pub fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Returns the record's value: the command in its envelope.
pub fn to_envelope(payload: &[u8], signatures: &[Signature]) -> Vec<u8> {
    let signature = |signature: &Signature| RawSignature {
        keyid: signature.hint.clone(),
        sig: STANDARD.encode(&signature.bytes),
    };
    let raw = Raw {
        kind: TYPE.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: signatures.iter().map(signature).collect(),
    };
    serde_json::to_vec(&raw).expect("strings become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_says_type_and_lengths() {
        assert_eq!(pae(b"{}"), b"DSSEv1 37 application/vnd.hourseal.command+json 2 {}");
    }

    #[test]
    fn an_envelope_comes_back() {
        let signature = Signature { hint: "dpo".to_owned(), bytes: vec![1, 2, 3] };
        let json = to_envelope(b"{}", std::slice::from_ref(&signature));
        assert!(is_envelope(&json));
        let envelope = parse(&json).expect("as it was written");
        assert_eq!((envelope.payload.as_slice(), envelope.signatures), (&b"{}"[..], vec![signature]));
    }

    #[test]
    fn what_is_no_envelope_of_ours_is_refused() {
        let good = String::from_utf8(to_envelope(b"{}", &[])).expect("UTF-8");
        let signature = r#"{"keyid":"a","sig":"AAAA"}"#;
        for (what, text) in [
            ("another type", good.replace("command", "receipt")),
            ("no base64", good.replace("e30=", "e30*")),
            ("base64 without its padding", good.replace("e30=", "e30")),
            ("base64 with bits to spare", good.replace("e30=", "e31=")),
            ("a field more", good.replace('{', r#"{"more":1,"#)),
            (
                "too many signatures",
                good.replace("[]", &format!("[{}{signature}]", format!("{signature},").repeat(16))),
            ),
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{what}");
        }
        assert!(!is_envelope(br#"{"id":"c-1"}"#) && !is_envelope(b"[]") && !is_envelope(b""));
    }
}
