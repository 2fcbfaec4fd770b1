//! Sealing, in the place where the record will be sent from.

use std::ops::Range;

use super::frame::{self, EventHeader, FrameError, Plain};
use super::{Context, MAGIC, NONCE_LEN, OVERHEAD, SUITE, SealKey, TAG_LEN, aead_seal};
use crate::model::{Generation, Hour};

/// Bytes before the ciphertext.
pub const HEADER_LEN: usize = 48;

/// Seals a record in place: 48 bytes of room ‖ frame ‖ 16 bytes of room become an envelope.
///
/// The nonce must be 24 random bytes, drawn for this call.
///
/// # Panics
/// When `record` is shorter than [`OVERHEAD`]: [`Sealer::append`] makes no such record.
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
    /// Appends the envelope of an event to `arena` and says where it lies; its plaintext is written there and
    /// nowhere else.
    ///
    /// The nonce must be 24 random bytes, drawn for this call. An arena that has to grow meanwhile leaves this
    /// event's plaintext in freed memory: reserve what a batch needs, per event [`OVERHEAD`] + payload,
    /// 4 + key, 2 for headers, and 6 + name + value for each.
    ///
    /// # Errors
    /// [`FrameError`]; the arena is then as before.
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
