//! DEKs under KEKs, as the key store keeps them.
//!
//! ```text
//! wrapped  = ver 0x01 ‖ suite 0x01 ‖ nonce 24 ‖ ciphertext 32 ‖ tag 16      (74 bytes)
//! wrap key = HKDF-SHA256(ikm = KEK, salt = "", info = "hourseal/1 wrap" ‖ u16 len ‖ kek id, 32 bytes)
//! aad      = "hourseal/1 wrap" ‖ u16 len ‖ customer ‖ u32 hour ‖ u16 generation ‖ commitment 32
//! ```

use super::derive::{SUITE, u16_len};
use super::{Dek, Kek, KeyCell, NONCE_LEN, TAG_LEN, hkdf, reference_open, reference_seal, tidily};
use crate::model::{CustomerId, Generation, Hour, KekId};

/// Bytes of a wrapped DEK.
pub const WRAPPED_LEN: usize = 2 + NONCE_LEN + 32 + TAG_LEN;

const VERSION: u8 = 0x01;
const LABEL: &[u8] = b"hourseal/1 wrap";

/// The reason why a wrapped DEK was not unwrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnwrapError {
    #[error("wrapped DEK of unknown version 0x{0:02x}")]
    UnknownVersion(u8),
    #[error("wrapped DEK of unknown suite 0x{0:02x}")]
    UnknownSuite(u8),
    /// Another KEK, another slot, another commitment, or altered bytes. The cause cannot be determined.
    #[error("wrapped DEK does not authenticate under this KEK for this slot and commitment")]
    Unauthentic,
}

/// Wraps a DEK for one slot and one commitment. The nonce must be 24 random bytes, generated for this call.
#[expect(clippy::too_many_arguments, reason = "the AAD of `schemas/envelope.md`, one argument per field")]
pub fn wrap(
    dek: &Dek,
    kek: &Kek,
    kek_id: &KekId,
    customer: &CustomerId,
    hour: Hour,
    generation: Generation,
    commitment: &[u8; 32],
    nonce: [u8; NONCE_LEN],
) -> [u8; WRAPPED_LEN] {
    let aad = Aad::of(customer, hour, generation, commitment);
    let mut wrapped = [0; WRAPPED_LEN];
    wrapped[..2].copy_from_slice(&[VERSION, SUITE]);
    wrapped[2..26].copy_from_slice(&nonce);
    // Sealed in its final place, so that no copy of the DEK is left behind.
    wrapped[26..58].copy_from_slice(dek.expose());
    let key = wrap_key(kek, kek_id);
    let tag = tidily(|| reference_seal(&key, &nonce, aad.bytes(), &mut wrapped[26..58]));
    wrapped[58..].copy_from_slice(&tag);
    wrapped
}

/// Unwraps the output of [`wrap`]. The caller then compares the commitment with the one derived from the DEK.
///
/// Checks version, then suite, then authenticity, because the length of another suite's output is not known
/// here. A missing byte counts as 0x00.
///
/// # Errors
/// See [`UnwrapError`]. Never panics, whatever the bytes.
pub fn unwrap(
    wrapped: &[u8],
    kek: &Kek,
    kek_id: &KekId,
    customer: &CustomerId,
    hour: Hour,
    generation: Generation,
    commitment: &[u8; 32],
) -> Result<Dek, UnwrapError> {
    let byte = |at: usize| wrapped.get(at).copied().unwrap_or(0);
    match [byte(0), byte(1)] {
        [VERSION, SUITE] => {}
        [VERSION, suite] => return Err(UnwrapError::UnknownSuite(suite)),
        [version, _] => return Err(UnwrapError::UnknownVersion(version)),
    }
    let (nonce, sealed, tag) = parts(wrapped).ok_or(UnwrapError::Unauthentic)?;
    let aad = Aad::of(customer, hour, generation, commitment);
    let key = wrap_key(kek, kek_id);
    let mut dek = KeyCell::zeroed();
    dek.copy_from_slice(sealed);
    tidily(|| reference_open(&key, nonce, aad.bytes(), dek.as_mut_slice(), tag))
        .map_err(|_| UnwrapError::Unauthentic)?;
    Ok(dek.into())
}

/// Returns nonce, ciphertext and tag of a wrapped DEK of 74 bytes.
fn parts(wrapped: &[u8]) -> Option<(&[u8; NONCE_LEN], &[u8; 32], &[u8; TAG_LEN])> {
    let (nonce, rest) = wrapped.get(2..)?.split_first_chunk()?;
    let (sealed, rest) = rest.split_first_chunk()?;
    Some((nonce, sealed, rest.try_into().ok()?))
}

fn wrap_key(kek: &Kek, kek_id: &KekId) -> KeyCell {
    let id = kek_id.as_str().as_bytes();
    let len = u16::try_from(id.len()).expect("a KEK id has at most 48 bytes").to_be_bytes();
    let mut key = KeyCell::zeroed();
    hkdf(kek.expose(), &[LABEL, &len, id], key.as_mut_slice());
    key
}

/// The AAD in a fixed buffer: at most 15 + 2 + 256 + 4 + 2 + 32 bytes.
struct Aad {
    buf: [u8; Self::MAX_LEN],
    len: usize,
}

impl Aad {
    const MAX_LEN: usize = LABEL.len() + 2 + CustomerId::MAX_LEN + 4 + 2 + 32;

    fn of(customer: &CustomerId, hour: Hour, generation: Generation, commitment: &[u8; 32]) -> Self {
        let mut aad = Self { buf: [0; Self::MAX_LEN], len: 0 };
        aad.push(LABEL);
        aad.push(&u16_len(customer));
        aad.push(customer.as_bytes());
        aad.push(&hour.0.to_be_bytes());
        aad.push(&generation.0.to_be_bytes());
        aad.push(commitment);
        aad
    }

    fn push(&mut self, part: &[u8]) {
        self.buf[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kek(byte: u8) -> Kek {
        Kek::take(&mut [byte; 32])
    }

    fn kek_id(text: &str) -> KekId {
        KekId::parse(text).expect("a KEK id")
    }

    fn acme() -> CustomerId {
        CustomerId::parse("acme").expect("a valid id")
    }

    fn wrapped() -> [u8; WRAPPED_LEN] {
        let dek = Dek::take(&mut [5; 32]);
        wrap(&dek, &kek(1), &kek_id("day/2026-11-24"), &acme(), Hour(9), Generation(2), &[3; 32], [4; 24])
    }

    #[test]
    fn a_wrapped_dek_comes_back() {
        let dek =
            unwrap(&wrapped(), &kek(1), &kek_id("day/2026-11-24"), &acme(), Hour(9), Generation(2), &[3; 32]);
        assert_eq!(dek.expect("its own KEK").expose(), &[5; 32]);
    }

    #[test]
    fn the_longest_customer_has_wrapped_deks_too() {
        let customer = CustomerId::parse(&"c".repeat(CustomerId::MAX_LEN)).expect("the longest id");
        let (kek, id, slot) = (kek(1), kek_id("day/2026-11-24"), (Hour(u32::MAX), Generation(u16::MAX)));
        let dek = Dek::take(&mut [5; 32]);
        let wrapped = wrap(&dek, &kek, &id, &customer, slot.0, slot.1, &[3; 32], [4; 24]);
        let dek = unwrap(&wrapped, &kek, &id, &customer, slot.0, slot.1, &[3; 32]);
        assert_eq!(dek.expect("its own KEK").expose(), &[5; 32]);
    }

    #[test]
    fn it_unwraps_for_its_own_slot_kek_and_commitment_only() {
        let ajax = CustomerId::parse("ajax").expect("a valid id");
        let id = kek_id("day/2026-11-24");
        let is = |kek: Kek, id: &KekId, customer: &CustomerId, hour, generation, commitment| {
            unwrap(&wrapped(), &kek, id, customer, Hour(hour), Generation(generation), &[commitment; 32])
                .err()
                .expect("something differs")
        };
        let other_day = kek_id("day/2026-11-25");
        for error in [
            is(kek(2), &id, &acme(), 9, 2, 3),
            is(kek(1), &other_day, &acme(), 9, 2, 3),
            is(kek(1), &id, &ajax, 9, 2, 3),
            is(kek(1), &id, &acme(), 8, 2, 3),
            is(kek(1), &id, &acme(), 9, 3, 3),
            is(kek(1), &id, &acme(), 9, 2, 4),
        ] {
            assert_eq!(error, UnwrapError::Unauthentic);
        }
    }

    #[test]
    fn an_unknown_version_or_suite_is_named() {
        let unwrap_with = |at: usize, byte: u8| {
            let mut wrapped = wrapped();
            wrapped[at] = byte;
            unwrap(&wrapped, &kek(1), &kek_id("day/2026-11-24"), &acme(), Hour(9), Generation(2), &[3; 32])
                .err()
                .expect("a changed byte")
        };
        assert_eq!(unwrap_with(0, 2), UnwrapError::UnknownVersion(2));
        assert_eq!(unwrap_with(1, 2), UnwrapError::UnknownSuite(2));
        for at in 2..WRAPPED_LEN {
            assert_eq!(unwrap_with(at, wrapped()[at] ^ 1), UnwrapError::Unauthentic, "byte {at}");
        }
    }

    #[test]
    fn one_of_another_length_is_refused() {
        let unwrap_of = |bytes: &[u8]| {
            unwrap(bytes, &kek(1), &kek_id("day/2026-11-24"), &acme(), Hour(9), Generation(2), &[3; 32])
                .err()
                .expect("another length")
        };
        let longer = [&wrapped()[..], &[0]].concat();
        assert_eq!(unwrap_of(&[]), UnwrapError::UnknownVersion(0));
        assert_eq!(unwrap_of(&longer[..1]), UnwrapError::UnknownSuite(0));
        for len in (2..WRAPPED_LEN).chain([WRAPPED_LEN + 1]) {
            assert_eq!(unwrap_of(&longer[..len]), UnwrapError::Unauthentic, "{len} bytes");
        }
    }
}
