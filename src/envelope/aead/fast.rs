//! HChaCha20 of RustCrypto, because `ring` does not export it. `ring`'s assembly does the rest, which
//! processes all bytes of an event.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroize;

use super::{NONCE_LEN, TAG_LEN, Unauthentic};

/// Encrypts `buf` in place and returns the 16-byte tag over it and `aad`.
///
/// A nonce must never be used twice with the same key. 24 random bytes never repeat
/// (draft-irtf-cfrg-xchacha-03 §2.1).
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
/// [`Unauthentic`]. `buf` is then wiped, so that no caller reads bytes that were not authenticated.
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

/// Returns the ChaCha20-Poly1305 key and nonce for an XChaCha20-Poly1305 key and nonce.
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
