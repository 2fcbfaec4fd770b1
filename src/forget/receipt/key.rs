//! An erased key, as receipts name it.

use crate::keys::KeyRow;
use crate::model::{Generation, Hour, KekId, KeyId};

/// A key that a command or a sweep erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasedKey {
    pub hour: Hour,
    pub generation: Generation,
    pub key_id: KeyId,
    pub kek: KekId,
}

impl ErasedKey {
    pub(in crate::forget) fn of(hour: Hour, key: &KeyRow) -> Self {
        Self { hour, generation: key.generation, key_id: key.key_id, kek: key.kek.clone() }
    }
}
