//! What a lane asks of the keys' room.

use std::sync::Arc;
use std::time::Instant;

use crate::keys::{KeyStore, Obtained, Ring, Waiting};
use crate::model::Slot;

/// The ring, and the store's keyed digest.
#[derive(Clone)]
pub struct Keys {
    pub ring: Arc<Ring>,
    pub store: Arc<dyn KeyStore>,
}

impl Keys {
    pub(super) fn obtain(&self, slots: &[Slot], deadline: Instant) -> Result<Vec<Obtained>, Waiting> {
        self.ring.obtain(slots, deadline)
    }

    pub(super) fn digest(&self, payload: &[u8]) -> [u8; 16] {
        self.store.digest(payload)
    }
}
