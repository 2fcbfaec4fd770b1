//! The wire format of `schemas/envelope.md`, suite 0x01: pure functions over byte slices, and their keys.
//!
//! Promise: the format never changes with a setting; a reader accepts only canonical encodings, and no input
//! makes it panic; a key's bytes are only in a [`KeyCell`].
//! Not here: obtaining keys (`keys`), choosing the destination of an event (`lane`).
//! Start at [`Sealer::append`] and [`open()`]. [`derive()`] makes their keys, and [`wrap()`] wraps DEKs.

mod aead;
mod context;
mod derive;
pub mod frame;
mod hkdf;
mod locked;
mod open;
mod random;
mod seal;
mod secret;
mod stack;
#[cfg(test)]
mod tests;
mod wrap;

pub use aead::{NONCE_LEN, TAG_LEN, Unauthentic, aead_open, aead_seal, reference_open, reference_seal};
pub use context::{Context, StreamName, StreamNameError};
pub use derive::{SUITE, derive};
pub use frame::{Frame, FrameError, Plain};
pub use hkdf::{hkdf, hkdf_with_salt};
pub use locked::{Denied, KeyCell, KeyMemory, key_memory};
pub use open::{Header, OpenError, Opened, open};
pub use random::{Nonces, random};
pub use seal::{HEADER_LEN, Sealer, seal_in_place};
pub use secret::{Dek, Kek, SealKey};
pub use stack::tidily;
pub use wrap::{UnwrapError, WRAPPED_LEN, unwrap, wrap};

/// The first byte of every envelope.
pub const MAGIC: u8 = 0xe9;

/// Bytes of the shortest envelope: header 48, frame 4, tag 16. Sealing adds this to an event without key and
/// headers.
pub const OVERHEAD: usize = HEADER_LEN + frame::MIN_FRAME_LEN + TAG_LEN;

const _: () = assert!(OVERHEAD == 68, "schemas/envelope.md says 68");
