//! What is done once and for ever, and must be known to a process that was away while it was done: kept among the verdicts.
//!
//! A process that is stopped in the midst of a command and goes on after another took over does again what was undone since.
//! It looks here after what it did, or on the condition of what it saw.

use crate::forget::command::digest::sha_256;
use crate::keys::{DecisionStore, Hold, HoldId, Placed, StoreError};
use crate::model::Digest;

/// SHA-256(label ‖ bytes), and an id that no command has.
struct Mark {
    digest: Digest,
    id: String,
}

impl Mark {
    fn of(kind: &str, bytes: &[u8]) -> Self {
        let digest = sha_256(&[b"hourseal/1 ", kind.as_bytes(), b" ", bytes].concat());
        Self { digest, id: format!("~{kind}/{digest}") }
    }

    async fn set(&self, store: &dyn DecisionStore) -> Result<(), StoreError> {
        store.store_verdict(self.digest, &self.id, b"{}").await.map(drop)
    }

    async fn is_set(&self, store: &dyn DecisionStore) -> Result<bool, StoreError> {
        Ok(!is_off!("late-marks") && store.verdict(self.digest).await?.is_some())
    }
}

/// A change of a retention is made: it is never made again.
pub(in crate::forget) async fn made(store: &dyn DecisionStore, command: Digest) -> Result<(), StoreError> {
    Mark::of("made", &command.0).set(store).await
}

pub(in crate::forget) async fn is_made(
    store: &dyn DecisionStore,
    command: Digest,
) -> Result<bool, StoreError> {
    Mark::of("made", &command.0).is_set(store).await
}

/// Whether a hold of this id was lifted: the id means that one for ever.
pub(in crate::forget) async fn is_lifted(store: &dyn DecisionStore, id: &HoldId) -> Result<bool, StoreError> {
    Mark::of("lifted", &id.0).is_set(store).await
}

/// Lifts a hold. Marked first, so that whoever places it late sees that.
pub(in crate::forget) async fn lift(store: &dyn DecisionStore, id: &HoldId) -> Result<(), StoreError> {
    Mark::of("lifted", &id.0).set(store).await?;
    failpoint!("marked-lifted");
    store.release_hold(id).await
}

/// Places a hold, and lifts it again if it was lifted before: then this comes late.
pub(in crate::forget) async fn place(store: &dyn DecisionStore, hold: &Hold) -> Result<Placed, StoreError> {
    let placed = store.place_hold(hold).await?;
    if placed == Placed::InForce && is_lifted(store, &hold.id).await? {
        store.release_hold(&hold.id).await?;
    }
    Ok(placed)
}
