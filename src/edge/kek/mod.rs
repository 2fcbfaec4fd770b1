//! The `file` KEK vault of `schemas/kek-file.md`: a folder of wrapped KEKs and a root key file of its own.
//!
//! Promise: a KEK file is created once, whole and durable, and never written again; nothing that others may read is used.
//! Not here: which KEK ids may be created (`keys::Keks` asks the store first).

mod file;
mod root;

pub use file::FileVault;
