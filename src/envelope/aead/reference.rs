//! RustCrypto's implementation, in Rust only: to wrap keys, where speed does not matter, and to compare.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use zeroize::Zeroize;

use super::{NONCE_LEN, TAG_LEN, Unauthentic};

/// As [`aead_seal`](super::aead_seal): encrypts `buf` in place and returns the 16-byte tag over it and `aad`.
pub fn reference_seal(key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], buf: &mut [u8]) -> [u8; TAG_LEN] {
    XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(nonce.into(), aad, buf.into())
        .expect("refused only beyond RFC 8439's 256 GiB, and a Kafka record is shorter")
        .into()
}

/// As [`aead_open`](super::aead_open): decrypts `buf` in place after checking `tag` over it and `aad`.
///
/// # Errors
/// [`Unauthentic`]. `buf` is then wiped.
pub fn reference_open(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Unauthentic> {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), aad, (&mut *buf).into(), tag.into()).map_err(|_| {
        buf.zeroize();
        Unauthentic
    })
}
