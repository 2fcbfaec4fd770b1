//! Remembers a lane's failures, from one producer and one membership to the next, and decides about the next
//! failure.

use std::time::{Duration, Instant};

use super::budget::Budget;
use super::fences::Fences;
use super::{Cause, Connector, ErrorClass, Fate, Fault, Fence, Halt, Seen, StreamError, fate};

/// The end of a producer's incarnation.
pub(super) enum End {
    Stopped,
    Again(String, Cause),
}

/// A late request could act on the producer's next transaction (KAFKA-17754): it must not begin another one.
pub(super) fn tainted_end() -> End {
    End::Again("a request without an answer may still reach the broker".to_owned(), Cause::Explained)
}

/// Ends the incarnation according to `fate`.
pub(super) fn end_by(connector: &impl Connector, fate: Fate, error: StreamError) -> Result<End, Fault> {
    match fate {
        Fate::Duel => Err(duel(connector, &error).into()),
        Fate::Rejoin => Err(error.into()),
        Fate::Reincarnate(cause) => Ok(End::Again(error.to_string(), cause)),
        Fate::Retry | Fate::Redo | Fate::Bisect => Ok(End::Again(error.to_string(), Cause::Explained)),
    }
}

fn duel(connector: &impl Connector, error: &StreamError) -> Halt {
    Halt::Duel { identity: connector.identity(), name: error.to_string() }
}

/// The past failures of a lane.
#[derive(Default)]
pub(super) struct Failures {
    budget: Budget,
    fences: Fences,
}

impl Failures {
    /// Decides about an error, `age` after its transaction began. Call it once per error: it stores a fence.
    pub(super) fn fate(&mut self, connector: &impl Connector, error: &StreamError, age: Duration) -> Fate {
        let timeout = connector.transaction_timeout();
        let fence = match error.class {
            ErrorClass::Fenced if age < timeout => {
                self.fences.judge(Instant::now(), connector.take_unanswered_init())
            }
            _ => Fence::First,
        };
        fate(error.class, error.stage, Seen { age, timeout, outage: connector.outage(), fence })
    }

    /// Counts a restart that nothing explains.
    ///
    /// # Errors
    /// [`Halt`] if there were too many.
    pub(super) fn restarted(&mut self, name: &str, cause: Cause) -> Result<(), Halt> {
        match cause {
            Cause::Unexplained => self.budget.take(Instant::now(), name),
            Cause::Explained => Ok(()),
        }
    }

    /// Returns the error because of which the lane joins the group again.
    ///
    /// # Errors
    /// [`Halt`] if it must not join again.
    pub(super) fn may_join_again(
        &mut self,
        connector: &impl Connector,
        fault: Fault,
    ) -> Result<Option<StreamError>, Halt> {
        match fault {
            Fault::Halt(halt) => Err(halt),
            Fault::Stream(error) if self.fate(connector, &error, Duration::ZERO) == Fate::Duel => {
                Err(duel(connector, &error))
            }
            Fault::Stream(error) => Ok(Some(error)),
        }
    }
}
