//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 §2), in place and without heap.
//!
//! ```text
//! subkey = HChaCha20(key, nonce[0..16])
//! seal   = ChaCha20-Poly1305(subkey, 0x00000000 ‖ nonce[16..24], aad, plaintext)        (RFC 8439)
//! ```
//!
//! HChaCha20 is RustCrypto's, because `ring` does not export one; the rest, where the bytes are, is `ring`'s.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroize;

/// Bytes of an XChaCha20 nonce.
pub const NONCE_LEN: usize = 24;

/// Bytes of a Poly1305 tag.
pub const TAG_LEN: usize = 16;

/// The tag does not fit: another key, nonce or AAD, or altered bytes. Which of them, nobody can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the tag does not authenticate these bytes")]
pub struct Unauthentic;

/// Encrypts `buf` in place and returns the 16-byte tag over it and `aad`.
///
/// A nonce must never meet the same key twice: 24 random bytes never do (draft-irtf-cfrg-xchacha-03 §2.1).
pub fn aead_seal(key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], buf: &mut [u8]) -> [u8; TAG_LEN] {
    let (cipher, nonce) = for_nonce(key, nonce);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(aad), buf)
        .expect("ring refuses only beyond RFC 8439's 256 GiB, and a Kafka record is shorter");
    tag.as_ref().try_into().expect("a Poly1305 tag is 16 bytes")
}

/// Decrypts `buf` in place after checking `tag` over it and `aad`.
///
/// # Errors
/// [`Unauthentic`]; `buf` is then wiped, so that nobody reads what was not authenticated.
pub fn aead_open(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Unauthentic> {
    let (cipher, nonce) = for_nonce(key, nonce);
    match cipher.open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), buf, 0..) {
        Ok(_) => Ok(()),
        Err(_) => {
            buf.zeroize();
            Err(Unauthentic)
        }
    }
}

/// The ChaCha20-Poly1305 key and nonce that an XChaCha20-Poly1305 key and nonce stand for.
fn for_nonce(key: &[u8; 32], nonce: &[u8; NONCE_LEN]) -> (LessSafeKey, Nonce) {
    let (prefix, suffix) = nonce.split_at(16);
    let prefix: &[u8; 16] = prefix.try_into().expect("24 bytes split at 16");
    let mut subkey = hchacha::<R20>(key.into(), prefix.into());
    let cipher = UnboundKey::new(&CHACHA20_POLY1305, &subkey).expect("HChaCha20 gives 32 bytes");
    subkey.as_mut_slice().zeroize();
    let mut short = [0; 12];
    short[4..].copy_from_slice(suffix);
    (LessSafeKey::new(cipher), Nonce::assume_unique_for_key(short))
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{AeadInOut, KeyInit};
    use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
    use proptest::prelude::*;

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("the right length")
    }

    /// What RustCrypto's implementation makes of the same input.
    fn reference(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut buf = plain.to_vec();
        let tag = XChaCha20Poly1305::new(&Key::from(*key))
            .encrypt_inout_detached(&XNonce::from(*nonce), aad, buf.as_mut_slice().into())
            .expect("a short message");
        (buf, tag.to_vec())
    }

    /// draft-irtf-cfrg-xchacha-03, A.3.1.
    #[test]
    fn the_drafts_example_seals_and_opens() {
        let key = bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        let nonce = bytes("404142434445464748494a4b4c4d4e4f5051525354555657");
        let aad = bytes::<12>("50515253c0c1c2c3c4c5c6c7");
        let plain =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let mut buf = plain.to_vec();
        let tag = aead_seal(&key, &nonce, &aad, &mut buf);
        assert_eq!(
            hex::encode(&buf),
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39\
             ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
             21f9664c97637da9768812f615c68b13b52e"
        );
        assert_eq!(hex::encode(tag), "c0875924c1c7987947deafd8780acf49");
        aead_open(&key, &nonce, &aad, &mut buf, &tag).expect("its own tag");
        assert_eq!(buf, plain);
    }

    #[test]
    fn what_is_not_authentic_is_wiped() {
        let (key, nonce) = ([7; 32], [9; 24]);
        let mut buf = b"for acme only".to_vec();
        let tag = aead_seal(&key, &nonce, b"acme", &mut buf);
        assert_eq!(aead_open(&key, &nonce, b"ajax", &mut buf, &tag), Err(Unauthentic));
        assert_eq!(buf, [0; 13]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_equals_rustcryptos_on_any_input(
            key: [u8; 32],
            nonce: [u8; 24],
            aad in proptest::collection::vec(any::<u8>(), 0..600),
            seed: u8,
            len in prop_oneof![0usize..300, 0usize..=65_536],
        ) {
            let plain: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let mut buf = plain.clone();
            let tag = aead_seal(&key, &nonce, &aad, &mut buf);
            prop_assert_eq!((buf.clone(), tag.to_vec()), reference(&key, &nonce, &aad, &plain));
            prop_assert_eq!(aead_open(&key, &nonce, &aad, &mut buf, &tag), Ok(()));
            prop_assert_eq!(buf, plain);
        }

        #[test]
        fn any_flipped_bit_is_unauthentic(
            key: [u8; 32],
            nonce: [u8; 24],
            plain in proptest::collection::vec(any::<u8>(), 1..200),
            at: proptest::sample::Index,
        ) {
            let mut buf = plain;
            let mut tag = aead_seal(&key, &nonce, b"aad", &mut buf);
            let bit = at.index((buf.len() + TAG_LEN) * 8);
            match bit / 8 {
                i if i < buf.len() => buf[i] ^= 1 << (bit % 8),
                i => tag[i - buf.len()] ^= 1 << (bit % 8),
            }
            prop_assert_eq!(aead_open(&key, &nonce, b"aad", &mut buf, &tag), Err(Unauthentic));
        }
    }
}
