//! SHA-256: the name of a command, of a call, and of a fact that is stored once.

use ring::digest::{SHA256, digest};

use crate::model::Digest;

pub(in crate::forget) fn sha_256(bytes: &[u8]) -> Digest {
    Digest::from_slice(digest(&SHA256, bytes).as_ref()).expect("SHA-256 gives 32 bytes")
}
