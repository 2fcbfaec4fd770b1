//! Work that is done once and never again: a change of a retention, the lifting of a hold.
//!
//! A process may be stopped in the middle of a command and resume after another process took over. It would
//! then repeat work that was undone since. Therefore it looks here: after its work, or before work that it
//! must not repeat.
//!
//! The key store has no table for such facts. They are in its table of verdicts, each under a digest and an
//! id that no command has, with `{}` as the body. They are not verdicts, and no code obeys them. Only this
//! file reads and writes them.

use crate::forget::command::digest::sha_256;
use crate::keys::{DecisionStore, Hold, HoldId, Placed, StoreError};
use crate::model::Digest;

/// A fact's name: SHA-256("hourseal/1 " ‖ kind ‖ " " ‖ what it is about), and the id `~KIND/HEX` of that
/// digest.
struct Fact {
    digest: Digest,
    id: String,
}

impl Fact {
    /// The change that this command asked for is made.
    fn made(command: Digest) -> Self {
        Self::of("made", &command.0)
    }

    /// The hold of this id was lifted.
    fn lifted(id: &HoldId) -> Self {
        Self::of("lifted", &id.0)
    }

    fn of(kind: &str, about: &[u8]) -> Self {
        let digest = sha_256(&[b"hourseal/1 ", kind.as_bytes(), b" ", about].concat());
        Self { digest, id: format!("~{kind}/{digest}") }
    }

    async fn remember(&self, store: &dyn DecisionStore) -> Result<(), StoreError> {
        store.store_verdict(self.digest, &self.id, b"{}").await.map(drop)
    }

    async fn is_known(&self, store: &dyn DecisionStore) -> Result<bool, StoreError> {
        Ok(!is_off!("late-marks") && store.verdict(self.digest).await?.is_some())
    }
}

/// Records that the change of a command is made: it is never made again.
pub(super) async fn made(store: &dyn DecisionStore, command: Digest) -> Result<(), StoreError> {
    Fact::made(command).remember(store).await
}

/// Whether the change that a command asked for is made.
pub(in crate::forget) async fn is_made(
    store: &dyn DecisionStore,
    command: Digest,
) -> Result<bool, StoreError> {
    Fact::made(command).is_known(store).await
}

/// Whether a hold of this id was lifted. The id belongs to that hold permanently.
pub(in crate::forget) async fn is_lifted(store: &dyn DecisionStore, id: &HoldId) -> Result<bool, StoreError> {
    Fact::lifted(id).is_known(store).await
}

/// Lifts a hold. This is recorded first, so that a process that places the hold late sees it.
pub(in crate::forget) async fn lift(store: &dyn DecisionStore, id: &HoldId) -> Result<(), StoreError> {
    Fact::lifted(id).remember(store).await?;
    failpoint!("marked-lifted");
    store.release_hold(id).await
}

/// Places a hold. If it was lifted before, this call comes late, and lifts it again.
pub(in crate::forget) async fn place(store: &dyn DecisionStore, hold: &Hold) -> Result<Placed, StoreError> {
    let placed = store.place_hold(hold).await?;
    if placed == Placed::InForce && is_lifted(store, &hold.id).await? {
        store.release_hold(&hold.id).await?;
    }
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_remembered_is_found_by_the_same_name() {
        let made = Fact::made(Digest([7; 32]));
        let hex = "d9c8dfec1284703c6776f79c18848b8e2e1a210d440180d3ddaa70f62388544c";
        assert_eq!((made.digest.to_string().as_str(), made.id), (hex, format!("~made/{hex}")));
        let lifted = Fact::lifted(&HoldId(b"case-17".to_vec()));
        let hex = "326d7a4c22b3ce33eed5ed303c9d5b6329d9b4ede20fdbf1cc4877a1f006954b";
        assert_eq!((lifted.digest.to_string().as_str(), lifted.id), (hex, format!("~lifted/{hex}")));
    }
}
