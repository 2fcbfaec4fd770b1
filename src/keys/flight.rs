//! A flight: one request to the store under way. A lane that needs the same slots in the meantime waits for
//! its answer.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::{KeysError, Obtained, SlotRef, StoreError, VaultError};

/// The reason why a lane waits, for `/readyz` and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The key store is unavailable or gives an answer that cannot be used.
    Store,
    /// The KEK vault is unavailable or gives an answer that cannot be used.
    Vault,
    /// The worker's clock and the store's clock are too far apart.
    Clocks,
    /// Store and vault disagree on a KEK or a key.
    Kek,
    /// No answer yet; the request is still under way.
    Deadline,
}

/// The keys are not available yet. The caller stays in the group and asks again. An immediate retry does not
/// help but does no harm.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Waiting {
    cause: Cause,
    reason: Arc<str>,
}

impl Waiting {
    /// Maximum length of a reason, in bytes.
    pub const MAX_REASON: usize = 240;

    pub(super) fn new(cause: Cause, reason: &str) -> Self {
        let end = (0..=reason.len().min(Self::MAX_REASON)).rev().find(|at| reason.is_char_boundary(*at));
        Self { cause, reason: reason[..end.unwrap_or(0)].into() }
    }

    pub(super) fn until_deadline() -> Self {
        Self::new(Cause::Deadline, "the key store has not answered yet")
    }

    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The reason, at most [`Waiting::MAX_REASON`] bytes, without a customer's name.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&KeysError> for Waiting {
    fn from(error: &KeysError) -> Self {
        let cause = match error {
            KeysError::Store(
                StoreError::Unavailable(_)
                | StoreError::Unusable(_)
                | StoreError::Row(_)
                | StoreError::Schema(_),
            ) => Cause::Store,
            KeysError::Contradiction(_) | KeysError::Contended(_) => Cause::Store,
            KeysError::Vault(VaultError::Unavailable(_) | VaultError::Unusable(_) | VaultError::Kek(_)) => {
                Cause::Vault
            }
            KeysError::ClocksApart(_) => Cause::Clocks,
            KeysError::KekDiffers(_)
            | KeysError::KekMissing(_)
            | KeysError::KekClosing(_)
            | KeysError::KekDestroyed(_)
            | KeysError::WrongKey(_) => Cause::Kek,
        };
        Self::new(cause, &error.to_string())
    }
}

/// The result of a flight: the answer for each of its slots, or the reason why there is none.
pub(super) type Landed = Result<HashMap<SlotRef, Obtained>, Waiting>;

/// A request for a batch of slots.
#[derive(Default)]
pub(super) struct Flight {
    landed: Mutex<Option<Landed>>,
    bell: Condvar,
}

impl Flight {
    pub(super) fn land(&self, landed: Landed) {
        *self.landed.lock().unwrap_or_else(PoisonError::into_inner) = Some(landed);
        self.bell.notify_all();
    }

    /// Waits for the answer for `slot` until `deadline`. The slot must be one of the flight's.
    pub(super) fn wait(&self, slot: &SlotRef, deadline: Instant) -> Result<Obtained, Waiting> {
        let mut landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*landed {
                Some(Ok(answers)) => {
                    return Ok(answers.get(slot).expect("a flight answers its slots").clone());
                }
                Some(Err(waiting)) => return Err(waiting.clone()),
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Waiting::until_deadline());
            }
            landed = self.bell.wait_timeout(landed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Generation, Hour, Token};

    const SLOT: SlotRef = SlotRef { token: Token([1; 16]), hour: Hour(1), generation: Generation(0) };

    #[test]
    fn a_reason_is_bounded_and_stays_text() {
        let waiting = Waiting::new(Cause::Store, &"é".repeat(500));
        assert_eq!(waiting.reason().len(), Waiting::MAX_REASON);
        let waiting = Waiting::new(Cause::Store, &format!("x{}", "é".repeat(500)));
        assert_eq!(waiting.reason().len(), Waiting::MAX_REASON - 1);
    }

    #[test]
    fn a_flight_that_has_not_landed_keeps_nobody_beyond_the_deadline() {
        let waiting = Flight::default().wait(&SLOT, Instant::now()).err().expect("no answer");
        assert_eq!(waiting.cause(), Cause::Deadline);
    }

    #[test]
    fn everybody_gets_the_answer_of_a_landed_flight() {
        let flight = Flight::default();
        flight.land(Ok(HashMap::from([(SLOT, Obtained::Expired)])));
        for _ in 0..2 {
            assert!(matches!(flight.wait(&SLOT, Instant::now()), Ok(Obtained::Expired)));
        }
    }
}
