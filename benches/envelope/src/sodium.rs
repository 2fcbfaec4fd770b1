//! The same work with libsodium's combined mode.

use std::ptr::null;

use hourseal::envelope::{HEADER_LEN, NONCE_LEN, Nonces, TAG_LEN};
use libsodium_sys::{
    crypto_aead_xchacha20poly1305_ietf_decrypt, crypto_aead_xchacha20poly1305_ietf_encrypt, sodium_init,
};

use crate::payload::Payload;
use crate::record::{customer, stream};

const KEY: [u8; 32] = [7; 32];

pub struct Job {
    nonces: Nonces,
    payload: Payload,
    record: Vec<u8>,
    tail: Vec<u8>,
}

impl Job {
    pub fn new(size: usize) -> Self {
        // SAFETY: `sodium_init` may be called at any time.
        assert!(unsafe { sodium_init() } >= 0);
        let (customer, stream) = (customer(), stream());
        let sized = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        let record = vec![0; HEADER_LEN + 4 + size + TAG_LEN];
        Self {
            nonces: Nonces::new(),
            payload: Payload::beside(&record, size),
            record,
            tail: [sized(customer.as_str()), sized(stream.as_str())].concat(),
        }
    }

    pub fn seal(&mut self) -> u64 {
        let nonce = self.nonces.take();
        let (header, sealed) = self.record.split_at_mut(HEADER_LEN);
        header[HEADER_LEN - NONCE_LEN..].copy_from_slice(&nonce);
        // Flags and milliseconds, then the payload. All are encrypted in place.
        sealed[..4].copy_from_slice(&[0, 0, 4, 210]);
        let plain_len = sealed.len() - TAG_LEN;
        sealed[4..plain_len].copy_from_slice(self.payload.bytes());
        let (aad, aad_len) = aad(header, &self.tail);
        let mut len = 0;
        // SAFETY: `sealed` contains the frame and has room for a tag. Source and target may be the same. The
        // lengths are those of their slices.
        unsafe {
            crypto_aead_xchacha20poly1305_ietf_encrypt(
                sealed.as_mut_ptr(),
                &mut len,
                sealed.as_ptr(),
                plain_len as u64,
                aad.as_ptr(),
                aad_len as u64,
                null(),
                nonce.as_ptr(),
                KEY.as_ptr(),
            );
        }
        len
    }

    pub fn sealed(mut self) -> Self {
        self.seal();
        self
    }

    pub fn open(&mut self) -> Vec<u8> {
        let (header, sealed) = self.record.split_at(HEADER_LEN);
        let (aad, aad_len) = aad(header, &self.tail);
        let mut plain = vec![0; sealed.len() - TAG_LEN];
        let mut len = 0;
        // SAFETY: `plain` has room for the sealed bytes without their tag. All lengths are those
        // of their slices.
        let outcome = unsafe {
            crypto_aead_xchacha20poly1305_ietf_decrypt(
                plain.as_mut_ptr(),
                &mut len,
                std::ptr::null_mut(),
                sealed.as_ptr(),
                sealed.len() as u64,
                aad.as_ptr(),
                aad_len as u64,
                header[HEADER_LEN - NONCE_LEN..].as_ptr(),
                KEY.as_ptr(),
            )
        };
        assert_eq!(outcome, 0);
        plain
    }
}

/// header ‖ tail, on the stack.
fn aad(header: &[u8], tail: &[u8]) -> ([u8; 128], usize) {
    let mut aad = [0; 128];
    aad[..HEADER_LEN].copy_from_slice(header);
    aad[HEADER_LEN..HEADER_LEN + tail.len()].copy_from_slice(tail);
    (aad, HEADER_LEN + tail.len())
}
