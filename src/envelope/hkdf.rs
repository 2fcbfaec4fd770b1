//! HKDF-SHA256 (RFC 5869).

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

use super::tidily;

/// out = HKDF-SHA256(ikm, salt = "", info, |out|), where info is the concatenation of its parts.
///
/// The empty salt means 32 zero bytes (RFC 5869 §2.2). Every ikm here is 32 uniform bytes and needs no salt.
/// No byte of ikm or `out` stays on the stack.
///
/// # Panics
/// If `out` is longer than 8,160 bytes, RFC 5869's limit of 255 blocks. Callers ask for 32 or 64.
pub fn hkdf(ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
    tidily(|| hkdf_with_salt(&[], ikm, info, out));
}

/// out = HKDF-Expand(HKDF-Extract(salt, ikm), info, |out|). Only the published test sets use a salt.
///
/// # Panics
/// As [`hkdf`].
pub fn hkdf_with_salt(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
    Salt::new(HKDF_SHA256, salt)
        .extract(ikm)
        .expand(info, Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("callers ask for 32 or 64 bytes, RFC 5869 allows 8,160");
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(salt: &[u8], ikm: &[u8], info: &[&[u8]], okm: &str) {
        let mut out = vec![0; okm.len() / 2];
        hkdf_with_salt(salt, ikm, info, &mut out);
        assert_eq!(hex::encode(&out), okm);
        if salt.is_empty() {
            out.fill(0);
            hkdf(ikm, info, &mut out);
            assert_eq!(hex::encode(&out), okm);
        }
    }

    /// RFC 5869, A.1 to A.3, the parts of info given one by one.
    #[test]
    fn the_rfcs_examples_hold() {
        let span = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
        check(
            &span(0x00, 0x0c),
            &[0x0b; 22],
            &[&span(0xf0, 0xf4), &[], &span(0xf5, 0xf9)],
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        );
        check(
            &span(0x60, 0xaf),
            &span(0x00, 0x4f),
            &[&span(0xb0, 0xff)],
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
             da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        );
        check(
            &[],
            &[0x0b; 22],
            &[],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        );
    }
}
