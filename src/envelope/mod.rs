//! The wire format of `schemas/envelope.md`, suite 0x01: pure functions over byte slices.
//!
//! Promise: the format never changes with a setting; a reader accepts canonical encodings only.
//! Not here: where keys come from (`keys`), which event goes where (`lane`).

mod secret;

pub use secret::{Dek, Kek, SealKey};
