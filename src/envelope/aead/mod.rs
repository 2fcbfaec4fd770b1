//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03 §2), in place and without heap, in two implementations:
//! `fast` for events, `reference` for the work that is done once per slot, and for comparison.
//!
//! ```text
//! subkey = HChaCha20(key, nonce[0..16])
//! seal   = ChaCha20-Poly1305(subkey, 0x00000000 ‖ nonce[16..24], aad, plaintext)        (RFC 8439)
//! ```

mod fast;
mod reference;

pub use fast::{aead_open, aead_seal};
pub use reference::{reference_open, reference_seal};

/// Bytes of an XChaCha20 nonce.
pub const NONCE_LEN: usize = 24;

/// Bytes of a Poly1305 tag.
pub const TAG_LEN: usize = 16;

/// The tag does not fit: another key, nonce or AAD, or altered bytes. The cause cannot be determined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the tag does not authenticate these bytes")]
pub struct Unauthentic;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("the right length")
    }

    type Seal = fn(&[u8; 32], &[u8; 24], &[u8], &mut [u8]) -> [u8; 16];
    type Open = fn(&[u8; 32], &[u8; 24], &[u8], &mut [u8], &[u8; 16]) -> Result<(), Unauthentic>;

    const BOTH: [(Seal, Open); 2] = [(aead_seal, aead_open), (reference_seal, reference_open)];

    /// draft-irtf-cfrg-xchacha-03, A.3.1.
    #[test]
    fn the_drafts_example_seals_and_opens() {
        let key = bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        let nonce = bytes("404142434445464748494a4b4c4d4e4f5051525354555657");
        let aad = bytes::<12>("50515253c0c1c2c3c4c5c6c7");
        let plain =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        for (seal, open) in BOTH {
            let mut buf = plain.to_vec();
            let tag = seal(&key, &nonce, &aad, &mut buf);
            assert_eq!(
                hex::encode(&buf),
                "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda\
                 7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b23835\
                 65d3fff921f9664c97637da9768812f615c68b13b52e"
            );
            assert_eq!(hex::encode(tag), "c0875924c1c7987947deafd8780acf49");
            open(&key, &nonce, &aad, &mut buf, &tag).expect("its own tag");
            assert_eq!(buf, plain);
        }
    }

    #[test]
    fn what_is_not_authentic_is_wiped() {
        let (key, nonce) = ([7; 32], [9; 24]);
        for (seal, open) in BOTH {
            let mut buf = b"for acme only".to_vec();
            let tag = seal(&key, &nonce, b"acme", &mut buf);
            assert_eq!(open(&key, &nonce, b"ajax", &mut buf, &tag), Err(Unauthentic));
            assert_eq!(buf, [0; 13]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_fast_one_equals_the_reference_on_any_input(
            key: [u8; 32],
            nonce: [u8; 24],
            aad in proptest::collection::vec(any::<u8>(), 0..600),
            seed: u8,
            len in prop_oneof![0usize..300, 0usize..=65_536],
        ) {
            let plain: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let mut buf = plain.clone();
            let tag = aead_seal(&key, &nonce, &aad, &mut buf);
            let mut other = plain.clone();
            prop_assert_eq!(reference_seal(&key, &nonce, &aad, &mut other), tag);
            prop_assert_eq!(&buf, &other);
            prop_assert_eq!(aead_open(&key, &nonce, &aad, &mut buf, &tag), Ok(()));
            prop_assert_eq!(reference_open(&key, &nonce, &aad, &mut other, &tag), Ok(()));
            prop_assert_eq!((&buf, &other), (&plain, &plain));
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
