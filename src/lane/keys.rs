//! The requests of a lane to the keys' room.

use std::sync::Arc;
use std::time::Instant;

use crate::keys::{Obtained, Ring, TokenKey, Waiting};
use crate::model::Slot;

/// The ring, and the key for digests.
#[derive(Clone)]
pub struct Keys {
    pub ring: Arc<Ring>,
    pub token_key: Arc<TokenKey>,
}

impl Keys {
    pub(super) fn obtain(&self, slots: &[Slot], deadline: Instant) -> Result<Vec<Obtained>, Waiting> {
        self.ring.obtain(slots, deadline)
    }

    pub(super) fn has(&self, slot: &Slot) -> bool {
        self.ring.has(slot)
    }

    pub(super) fn digest(&self, payload: &[u8]) -> [u8; 16] {
        self.token_key.digest(payload)
    }
}
