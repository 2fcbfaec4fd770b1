//! Derives from a DEK the seal key and the commitment to it.

use zeroize::Zeroizing;

use super::{Dek, KeyCell, SealKey, hkdf};
use crate::model::{CustomerId, Generation, Hour, KeyId};

/// The suite of this version: XChaCha20-Poly1305 with an HKDF-SHA256 commitment.
pub const SUITE: u8 = 0x01;

const LABEL: &[u8] = b"hourseal/1 dek";

/// seal key ‖ commitment = HKDF-SHA256(ikm = dek, salt = "",
/// info = "hourseal/1 dek" ‖ suite u8 ‖ u16 len ‖ customer ‖ u32 hour ‖ u16 generation, 64 bytes).
///
/// Two different (dek, customer, hour, generation) with one commitment would be a SHA-256 collision. A reader
/// that checks the commitment therefore knows that a ciphertext opens under one key, for one slot.
pub fn derive(dek: &Dek, customer: &CustomerId, hour: Hour, generation: Generation) -> SealKey {
    let len = u16_len(customer);
    let (hour, generation) = (hour.0.to_be_bytes(), generation.0.to_be_bytes());
    let info: [&[u8]; 6] = [LABEL, &[SUITE], &len, customer.as_bytes(), &hour, &generation];
    let mut okm = Zeroizing::new([0; 64]);
    hkdf(dek.expose(), &info, okm.as_mut());
    let mut key = SealKey { seal: KeyCell::zeroed(), commitment: [0; 32] };
    key.seal.copy_from_slice(&okm[..32]);
    key.commitment.copy_from_slice(&okm[32..]);
    key
}

impl SealKey {
    /// Whether the store's 32-byte commitment is this key's, in constant time. On `false` a reader stops:
    /// *wrong key*.
    pub fn commits_to(&self, commitment: &[u8; 32]) -> bool {
        same(&self.commitment, commitment)
    }

    /// Whether an envelope's key_id is this key's, in constant time.
    pub fn is_named(&self, key_id: KeyId) -> bool {
        same(&self.key_id().0, &key_id.0)
    }
}

/// Encodes the length of a customer id as u16, for AADs and infos.
pub(super) fn u16_len(customer: &CustomerId) -> [u8; 2] {
    u16::try_from(customer.as_bytes().len()).expect("a customer id is at most 256 bytes").to_be_bytes()
}

/// Equality without an early exit.
///
/// Both sides are public (the store keeps commitments in the clear), so this is a precaution and does not
/// protect a secret. Eight lines save a crate. `ring` removes its own comparison in the next version.
fn same<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    core::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(customer: &str, hour: u32, generation: u16) -> SealKey {
        let customer = CustomerId::parse(customer).expect("a valid id");
        derive(&Dek::take(&mut [1; 32]), &customer, Hour(hour), Generation(generation))
    }

    #[test]
    fn a_key_commits_to_itself_and_to_no_other_slot() {
        let acme = key("acme", 494_000, 0);
        assert!(acme.commits_to(key("acme", 494_000, 0).commitment()));
        for other in [key("acmd", 494_000, 0), key("acme", 494_001, 0), key("acme", 494_000, 1)] {
            assert!(!acme.commits_to(other.commitment()));
            assert!(!acme.is_named(other.key_id()));
            assert!(*acme.seal != *other.seal);
        }
    }

    /// The slot of `tests/vectors/envelope/job_event.json`.
    #[test]
    fn the_commitment_is_the_schemas() {
        let dek = "39b22e82fd87ba726a3dfec38ec9283e4be691d9fc36951e327044800670e368";
        let mut dek: [u8; 32] = hex::decode(dek).expect("hex").try_into().expect("32 bytes");
        let acme = CustomerId::parse("acme").expect("a valid id");
        let key = derive(&Dek::take(&mut dek), &acme, Hour(498_745), Generation(2));
        assert_eq!(
            hex::encode(key.commitment()),
            "be023546dbdd8e4743fc1d701fad1f20169799ba608f783ee0769a5b3d2896cb"
        );
    }

    #[test]
    fn differences_do_not_cancel_each_other() {
        let acme = key("acme", 494_000, 0);
        let mut commitment = *acme.commitment();
        commitment[3] ^= 0x55;
        commitment[20] ^= 0x55;
        assert!(!acme.commits_to(&commitment));
    }

    #[test]
    fn one_differing_bit_anywhere_is_a_difference() {
        let acme = key("acme", 494_000, 0);
        for bit in 0..256 {
            let mut commitment = *acme.commitment();
            commitment[bit / 8] ^= 1 << (bit % 8);
            assert!(!acme.commits_to(&commitment), "bit {bit}");
        }
        assert!(acme.is_named(acme.key_id()));
    }
}
