//! Opens envelopes: the steps that `schemas/envelope.md` requires of a reader, in its order.

use zeroize::Zeroizing;

use super::{Context, Frame, HEADER_LEN, MAGIC, NONCE_LEN, OVERHEAD, SUITE, SealKey, TAG_LEN, aead_open};
use crate::model::{Generation, Hour, KeyId, Millis};

/// The reason why an envelope was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// The magic differs, or the envelope is of this suite and shorter than 68 bytes.
    #[error("not an envelope")]
    NotAnEnvelope,
    #[error("envelope of unknown suite 0x{0:02x}")]
    UnknownSuite(u8),
    /// The key at hand is not the one that the envelope names.
    #[error("the envelope names another key")]
    WrongKey,
    /// The envelope's own key refuses it for this customer and stream, or its frame is not canonical.
    #[error("the envelope was tampered with, or belongs to another customer or stream")]
    Tampered,
}

/// The fields of an envelope that are in the clear. They are unproven until it is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub generation: Generation,
    pub hour: Hour,
    pub key_id: KeyId,
    pub nonce: [u8; NONCE_LEN],
}

impl Header {
    /// Reads magic ‖ suite ‖ u16 generation ‖ u32 hour ‖ key_id 16 ‖ nonce 24 of an envelope of at least 68
    /// bytes.
    ///
    /// # Errors
    /// [`OpenError::NotAnEnvelope`], [`OpenError::UnknownSuite`].
    pub fn parse(envelope: &[u8]) -> Result<Self, OpenError> {
        let [header, ..] = split(envelope)?;
        Ok(Self {
            generation: Generation(u16::from_be_bytes(field(header, 2))),
            hour: Hour(u32::from_be_bytes(field(header, 4))),
            key_id: KeyId(field(header, 8)),
            nonce: field(header, 24),
        })
    }
}

/// An opened envelope: its plaintext, authentic and canonical, wiped when dropped. No `Debug`, no `Clone`.
pub struct Opened {
    header: Header,
    plaintext: Zeroizing<Vec<u8>>,
}

impl Opened {
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// hour × 3,600,000 + milliseconds.
    pub fn event_time(&self) -> Millis {
        self.frame().event_time(self.header.hour)
    }

    /// The whole event: key, headers, payload, time.
    pub fn frame(&self) -> Frame<'_> {
        Frame::parse(&self.plaintext).expect("`open` makes no `Opened` of a frame that does not parse")
    }
}

/// Opens an envelope with the key of its slot, for the customer and stream of `context`.
///
/// The caller must find `key` by customer, hour and generation, and compare the store's 32-byte commitment
/// ([`SealKey::commits_to`]). This function compares the key_id.
///
/// # Errors
/// See [`OpenError`]. Never panics, whatever the bytes.
pub fn open(envelope: &[u8], key: &SealKey, context: &Context) -> Result<Opened, OpenError> {
    let header = Header::parse(envelope)?;
    if !key.is_named(header.key_id) {
        return Err(OpenError::WrongKey);
    }
    let [clear, ciphertext, tag] = split(envelope)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    context
        .with_aad(&field(clear, 0), |aad| {
            aead_open(&key.seal, &header.nonce, aad, &mut plaintext, &field(tag, 0))
        })
        .map_err(|_| OpenError::Tampered)?;
    match Frame::parse(&plaintext) {
        Ok(_) => Ok(Opened { header, plaintext }),
        Err(_) => Err(OpenError::Tampered),
    }
}

/// header 48 ‖ ciphertext ≥ 4 ‖ tag 16.
///
/// Checks magic, then suite, then length, because the length of another suite's envelopes is not known here.
fn split(envelope: &[u8]) -> Result<[&[u8]; 3], OpenError> {
    match *envelope {
        [MAGIC, SUITE, ..] if envelope.len() >= OVERHEAD => {}
        [MAGIC, suite, ..] if suite != SUITE => return Err(OpenError::UnknownSuite(suite)),
        _ => return Err(OpenError::NotAnEnvelope),
    }
    let (header, rest) = envelope.split_at(HEADER_LEN);
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG_LEN);
    Ok([header, ciphertext, tag])
}

/// Returns `bytes[at..at + N]` of a part that `split` made.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..]
        .first_chunk()
        .expect("the fields of `schemas/envelope.md` fill a header of 48 and a tag of 16 bytes")
}
