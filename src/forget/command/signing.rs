//! Ed25519 keys (RFC 8032): of people who sign commands, and of the log that signs its checkpoints.
//!
//! A signing key is a PKCS#8 file in PEM (RFC 8410), as `openssl genpkey -algorithm ed25519` also writes it.
//! A public key is the base64 of its 32 bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::{Zeroize, Zeroizing};

use crate::envelope::random;

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// PKCS#8 version 1 of Ed25519 (RFC 8410 §7): the bytes before the 32 bytes of the seed.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A key that signs. It has no `Clone` and no `Debug`. `ring` keeps its own copy of the seed and does not
/// wipe it.
pub struct SigningKey(Ed25519KeyPair);

/// The error for a text that is not a signing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is not an Ed25519 key: expected a PKCS#8 file in PEM, as `hourseal keygen` writes it")]
pub struct NotASigningKey;

impl SigningKey {
    /// Generates a key, and returns the text of its file.
    pub fn generate() -> Zeroizing<String> {
        let mut der = Zeroizing::new([0; PKCS8.len() + 32]);
        der[..PKCS8.len()].copy_from_slice(&PKCS8);
        random(&mut der[PKCS8.len()..]);
        let mut body = STANDARD.encode(der.as_slice());
        let pem = Zeroizing::new(format!("{BEGIN}\n{body}\n{END}\n"));
        body.zeroize();
        pem
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`NotASigningKey`], which quotes nothing of the text.
    pub fn from_pem(text: &str) -> Result<Self, NotASigningKey> {
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body: Zeroizing<String> =
            Zeroizing::new(body.ok_or(NotASigningKey)?.split_ascii_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(&*body).map_err(|_| NotASigningKey)?);
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self).map_err(|_| NotASigningKey)
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("an Ed25519 key is 32 bytes"))
    }

    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).as_ref().try_into().expect("an Ed25519 signature is 64 bytes")
    }
}

/// A key that verifies signatures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads the base64 of 32 bytes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// The base64 of the 32 bytes.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `openssl genpkey -algorithm ed25519`, its public key by `openssl pkey -pubout`.
    const OF_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIOxWSVGH8WQSIBgdWxflXZ9+tEtjacfcKvzCxS7cK3Kh\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn a_drawn_key_signs_and_another_key_has_not_signed() {
        let [one, two] =
            [(); 2].map(|()| SigningKey::from_pem(&SigningKey::generate()).expect("as it was generated"));
        let signature = one.sign(b"forget");
        assert!(one.public().has_signed(b"forget", &signature));
        assert!(!one.public().has_signed(b"forgot", &signature));
        assert!(!one.public().has_signed(b"forget", &signature[..63]));
        assert!(!two.public().has_signed(b"forget", &signature));
        assert_eq!(PublicKey::parse(&one.public().to_string()), Some(one.public()));
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        let key = SigningKey::from_pem(OF_OPENSSL).expect("PKCS#8");
        assert_eq!(key.public().to_string(), "zmboYjuv0gmLPwMRzOWZWITpUkpaP2/KDmgILqZwoIg=");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = SigningKey::generate();
        for bad in [
            String::new(),
            good.replace("PRIVATE", "PUBLIC"),
            good.replace("MC4C", "MC4D"),
            good.replace(END, ""),
            good.replace('\n', "\n!"),
        ] {
            assert!(SigningKey::from_pem(&bad).is_err());
        }
        assert_eq!(PublicKey::parse("AAAA"), None);
        assert_eq!(PublicKey::parse("no base64"), None);
    }
}
