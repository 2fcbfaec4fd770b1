//! The `file` KEK vault of `schemas/kek-file.md`: a folder of wrapped KEKs, and a separate root key file.
//!
//! Promise: a KEK file is created once, whole and durable. It is written again only to destroy it. A file or
//! folder that others can access is never used.
//! Not here: the decision which KEK ids may be created (`keys::Keks` asks the store first).

mod file;
mod root;

pub use file::FileVault;
