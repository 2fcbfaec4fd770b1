//! The fast path against the reference: same bytes, same tags, same refusals.

use arbitrary::{Arbitrary, Unstructured};
use hourseal::envelope::{TAG_LEN, Unauthentic, aead_open, aead_seal, reference_open, reference_seal};

use crate::memory::within;

pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let sealed = Sealed::of(&case);
    let plain = case.plain.bytes();
    let mut bytes = plain.clone();
    let tag = within(0, || reference_seal(&case.key, &case.nonce, &sealed.aad, &mut bytes));
    assert_eq!((&sealed.bytes, sealed.tag), (&bytes, tag));
    let wrong = sealed.changed(case.wrong);
    for open in [aead_open, reference_open] {
        assert_eq!(sealed.open_by(open), (Ok(()), plain.clone()));
        assert_eq!(wrong.open_by(open), (Err(Unauthentic), vec![0; wrong.bytes.len()]));
    }
}

/// Lengths around the borders of ChaCha20's 64-byte blocks, Poly1305's 16-byte blocks and what is done several blocks at a time.
pub fn seeds() -> Vec<Vec<u8>> {
    let lengths = [1_u32, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 16_384, 65_536];
    // As `arbitrary` reads it: fields from the front, integers little-endian, and of an enum's variants the last for a large one.
    let grown = |len: u32| [&[0xff; 4], &[len as u8][..], &((len - 1) as u16).to_le_bytes()].concat();
    let seed = |(number, len): (usize, &u32)| {
        let key_and_nonce: Vec<u8> = (0..56).map(|at| at ^ number as u8).collect();
        let wrong = (number as u32 * 0x1111_1111).to_le_bytes();
        [&key_and_nonce[..], &grown(lengths[14 - number]), &grown(*len), &wrong, &[number as u8; 4]].concat()
    };
    lengths.iter().enumerate().map(seed).collect()
}

type Open = fn(&[u8; 32], &[u8; 24], &[u8], &mut [u8], &[u8; TAG_LEN]) -> Result<(), Unauthentic>;

#[derive(Arbitrary)]
struct Case<'a> {
    key: [u8; 32],
    nonce: [u8; 24],
    aad: Text<'a>,
    plain: Text<'a>,
    wrong: Wrong,
}

/// Bytes of the input, or many more of them than it has: up to 64 KiB.
#[derive(Arbitrary)]
enum Text<'a> {
    Given(&'a [u8]),
    Grown { seed: u8, less_one: u16 },
}

impl Text<'_> {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Given(bytes) => bytes.to_vec(),
            Self::Grown { seed, less_one } => {
                (0..=less_one).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed).collect()
            }
        }
    }
}

/// What is not as it was sealed: one bit.
#[derive(Clone, Copy, Arbitrary)]
enum Wrong {
    Key(u8),
    Nonce(u8),
    Aad(u32),
    Bytes(u32),
    Tag(u8),
}

#[derive(Clone)]
struct Sealed {
    key: [u8; 32],
    nonce: [u8; 24],
    aad: Vec<u8>,
    bytes: Vec<u8>,
    tag: [u8; TAG_LEN],
}

impl Sealed {
    /// Sealing is in place, without memory of its own.
    fn of(case: &Case<'_>) -> Self {
        let (aad, mut bytes) = (case.aad.bytes(), case.plain.bytes());
        let tag = within(0, || aead_seal(&case.key, &case.nonce, &aad, &mut bytes));
        Self { key: case.key, nonce: case.nonce, aad, bytes, tag }
    }

    fn open_by(&self, open: Open) -> (Result<(), Unauthentic>, Vec<u8>) {
        let mut bytes = self.bytes.clone();
        let opened = within(0, || open(&self.key, &self.nonce, &self.aad, &mut bytes, &self.tag));
        (opened, bytes)
    }

    fn changed(&self, wrong: Wrong) -> Self {
        let mut changed = self.clone();
        let (bytes, bit): (&mut [u8], u32) = match wrong {
            Wrong::Key(bit) => (&mut changed.key, bit.into()),
            Wrong::Nonce(bit) => (&mut changed.nonce, bit.into()),
            Wrong::Aad(bit) if !changed.aad.is_empty() => (&mut changed.aad, bit),
            Wrong::Bytes(bit) if !changed.bytes.is_empty() => (&mut changed.bytes, bit),
            Wrong::Aad(bit) | Wrong::Bytes(bit) => (&mut changed.tag, bit),
            Wrong::Tag(bit) => (&mut changed.tag, bit.into()),
        };
        let bit = bit as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        changed
    }
}
