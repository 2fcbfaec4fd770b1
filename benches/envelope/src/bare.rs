//! The bare backends: HChaCha20 and ChaCha20-Poly1305 in place on a buffer. They include the copy of the
//! plaintext and an AAD of the same length, but no frame and no header. An envelope on a backend cannot be
//! faster than this.

use chacha20::{R20, hchacha};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hourseal::envelope::{HEADER_LEN, NONCE_LEN, Nonces, random};

use crate::payload::Payload;

const KEY: [u8; 32] = [7; 32];
const AAD: [u8; 69] = [3; 69];

pub struct Buffers {
    nonces: Nonces,
    payload: Payload,
    record: Vec<u8>,
}

impl Buffers {
    pub fn new(size: usize) -> Self {
        let record = vec![0; HEADER_LEN + 4 + size];
        Self { nonces: Nonces::new(), payload: Payload::beside(&record, size + 4), record }
    }

    /// Returns a nonce, and the plaintext at the place where it is to be encrypted.
    fn next(&mut self) -> ([u8; NONCE_LEN], &mut [u8]) {
        let frame = &mut self.record[HEADER_LEN..];
        frame.copy_from_slice(self.payload.bytes());
        (self.nonces.take(), frame)
    }
}

/// Returns the key and nonce of RFC 8439 that are derived from an XChaCha20-Poly1305 key and nonce.
pub fn inner(nonce: &[u8; NONCE_LEN]) -> ([u8; 32], [u8; 12]) {
    let prefix: &[u8; 16] = nonce.first_chunk().expect("24 bytes");
    let mut short = [0; 12];
    short[4..].copy_from_slice(&nonce[16..]);
    (hchacha::<R20>(&KEY.into(), prefix.into()).into(), short)
}

/// Seals the next record with a backend that has `ring`'s interface.
macro_rules! backend {
    ($name:ident, $library:ident) => {
        pub fn $name(buffers: &mut Buffers) -> [u8; 16] {
            use $library::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
            let (nonce, frame) = buffers.next();
            let (key, nonce) = inner(&nonce);
            let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("32 bytes"));
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from(AAD), frame).expect("short");
            tag.as_ref().try_into().expect("16 bytes")
        }
    };
}

backend!(ring, ring);
backend!(aws_lc, aws_lc_rs);

pub fn rustcrypto(buffers: &mut Buffers) -> [u8; 16] {
    let (nonce, frame) = buffers.next();
    let cipher = XChaCha20Poly1305::new(&KEY.into());
    cipher.encrypt_inout_detached(&XNonce::from(nonce), &AAD, frame.into()).expect("short").into()
}

/// A pool as large as that of [`Nonces`]. All of its bytes come from the system.
pub struct SystemsNonces {
    pool: Box<[[u8; NONCE_LEN]; 170]>,
    used: usize,
}

impl SystemsNonces {
    pub fn new() -> Self {
        Self { pool: Box::new([[0; NONCE_LEN]; 170]), used: 170 }
    }

    pub fn take(&mut self) -> [u8; NONCE_LEN] {
        if self.used == self.pool.len() {
            random(self.pool.as_flattened_mut());
            self.used = 0;
        }
        self.used += 1;
        self.pool[self.used - 1]
    }
}
