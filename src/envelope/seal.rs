//! Seals a record in the memory from which it will be sent.

use std::ops::Range;

use super::frame::{self, EventHeader, FrameError, Plain};
use super::{Context, MAGIC, NONCE_LEN, OVERHEAD, SUITE, SealKey, TAG_LEN, aead_seal};
use crate::model::{Generation, Hour};

/// Bytes before the ciphertext.
pub const HEADER_LEN: usize = 48;

/// Seals a record in place: 48 free bytes ‖ frame ‖ 16 free bytes become an envelope.
///
/// The nonce must be 24 random bytes, generated for this call.
///
/// # Panics
/// If `record` is shorter than [`OVERHEAD`]. [`Sealer::append`] makes no such record.
pub fn seal_in_place(
    key: &SealKey,
    context: &Context,
    hour: Hour,
    generation: Generation,
    nonce: &[u8; NONCE_LEN],
    record: &mut [u8],
) {
    assert!(record.len() >= OVERHEAD, "a record has room for header, frame and tag");
    let (header, rest) = record.split_first_chunk_mut::<HEADER_LEN>().expect("at least 68 bytes");
    let (frame, tag) = rest.split_last_chunk_mut::<TAG_LEN>().expect("at least 20 bytes");
    *header = encode_header(key, hour, generation, nonce);
    *tag = context.with_aad(header, |aad| aead_seal(&key.seal, nonce, aad, frame));
}

/// magic ‖ suite ‖ u16 generation ‖ u32 hour ‖ key_id 16 ‖ nonce 24.
fn encode_header(key: &SealKey, hour: Hour, generation: Generation, nonce: &[u8; 24]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&[MAGIC, SUITE]);
    header[2..4].copy_from_slice(&generation.0.to_be_bytes());
    header[4..8].copy_from_slice(&hour.0.to_be_bytes());
    header[8..24].copy_from_slice(&key.key_id().0);
    header[24..].copy_from_slice(nonce);
    header
}

/// Seals the events of one slot.
#[derive(Clone, Copy)]
pub struct Sealer<'k> {
    /// Derived for exactly this hour and generation and for the customer of `context`.
    pub key: &'k SealKey,
    pub context: &'k Context,
    pub hour: Hour,
    pub generation: Generation,
}

impl Sealer<'_> {
    /// Appends the envelope of an event to `arena` and returns its range. Its plaintext is only there.
    ///
    /// The nonce must be 24 random bytes, generated for this call. If the arena has to grow during the call,
    /// this event's plaintext stays in freed memory. Reserve the bytes of a batch before: per event
    /// [`OVERHEAD`] + payload, 4 + key, 2 for headers, and 6 + name + value for each header.
    ///
    /// # Errors
    /// [`FrameError`]. The arena is then as before.
    pub fn append<'h>(
        &self,
        arena: &mut Vec<u8>,
        nonce: &[u8; NONCE_LEN],
        plain: &Plain<'_>,
        headers: impl IntoIterator<Item = EventHeader<'h>>,
    ) -> Result<Range<usize>, FrameError> {
        let start = arena.len();
        arena.extend_from_slice(&[0; HEADER_LEN]);
        if let Err(error) = frame::write(arena, plain, headers) {
            arena.truncate(start);
            return Err(error);
        }
        arena.extend_from_slice(&[0; TAG_LEN]);
        let record = start..arena.len();
        seal_in_place(self.key, self.context, self.hour, self.generation, nonce, &mut arena[record.clone()]);
        Ok(record)
    }
}
