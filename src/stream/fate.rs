//! Decides what to do about a failure: here only, for every class of error.

use std::time::Duration;

use super::Park;

/// The class of a client's error. The order is the order in which classes must be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorClass {
    /// Another process uses our transactional id, or the broker ended a transaction that took too long.
    Fenced,
    /// Another process uses our group instance id.
    FencedInstance,
    /// The broker does not accept one of the batch's records as it is.
    RecordRefused,
    /// The member's generation is over: another member may own the partitions.
    Generation,
    /// The transaction must be aborted; the producer stays usable.
    Abortable,
    /// The same call may be made again, with the same arguments.
    Retriable,
    /// The client can no longer be used.
    Fatal,
    /// The client gives no flag: nothing may be assumed.
    Unflagged,
    /// The call has not returned and is still under way: no other call may be made with this producer.
    Stuck,
}

/// The call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Init,
    Begin,
    Send,
    Offsets,
    Commit,
    Abort,
    /// Getting committed offsets from the group coordinator, seeking to them, joining.
    Group,
}

/// A failure of the client, with its name in librdkafka. It holds nothing of any record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{stage:?} failed: {name}")]
pub struct StreamError {
    pub stage: Stage,
    pub class: ErrorClass,
    /// The error's name, such as `_TIMED_OUT` or `ILLEGAL_GENERATION`.
    pub name: String,
}

/// A failure that ends the current call: permanently, or until [`fate()`] has decided.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Halt(#[from] Halt),
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Reason for the replacement of a producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Explained by an unknown outcome, an outage or a timeout. Does not count against the budget.
    Explained,
    /// Not explained. Counts against the budget.
    Unexplained,
}

/// The circumstances of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Time that the transaction has been open.
    pub age: Duration,
    /// Time after which the broker ends a transaction by itself.
    pub timeout: Duration,
    /// Whether a broker left a request of this lane without an answer within the last minute.
    pub outage: bool,
    /// The meaning of a fence on a young transaction.
    pub fence: Fence,
}

/// The meaning of a fence on a transaction that is younger than the broker's timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fence {
    /// An `InitProducerId` of this lane had no answer. It may have arrived late and fenced the lane.
    OurOwn,
    /// The first one within a minute: an unexplained restart.
    First,
    /// Another one within a minute, unexplained by a request of this lane: another process uses the identity.
    Repeated,
}

/// The decision about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Retry the same call.
    Retry,
    /// Abort, forget the batch, rewind to the committed offsets, continue with the same producer.
    Redo,
    /// As `Redo`, with half the batch, until the refused record is alone in it.
    Bisect,
    /// Drop the producer without an abort, create a new one, rewind: the broker's committed offsets count.
    Reincarnate(Cause),
    /// Replace the consumer: join the group again.
    Rejoin,
    /// Two processes use one identity: halt.
    Duel,
}

/// Decides about a failure at `stage` of a transaction.
pub fn fate(class: ErrorClass, stage: Stage, seen: Seen) -> Fate {
    use Cause::{Explained, Unexplained};
    let ended_by_broker = seen.age >= seen.timeout;
    match (class, stage) {
        (ErrorClass::Stuck, _) => Fate::Reincarnate(Explained),
        // A JoinGroup without an answer is sent again. The broker serves both: the second fences the first.
        (ErrorClass::FencedInstance, _) if seen.outage => Fate::Rejoin,
        (ErrorClass::FencedInstance, _) => Fate::Duel,
        // librdkafka reports a transaction that the broker timed out with the same error as a real fence.
        (ErrorClass::Fenced, _) if ended_by_broker => Fate::Reincarnate(Explained),
        (ErrorClass::Fenced, _) => match seen.fence {
            Fence::OurOwn => Fate::Reincarnate(Explained),
            Fence::First => Fate::Reincarnate(Unexplained),
            Fence::Repeated => Fate::Duel,
        },
        (ErrorClass::Retriable, Stage::Commit | Stage::Abort | Stage::Init | Stage::Offsets) => Fate::Retry,
        // After a failed abort, this producer cannot abort.
        (_, Stage::Abort) => Fate::Reincarnate(Explained),
        // After a failed commit, only an "abortable" error proves that nothing was committed.
        (ErrorClass::Abortable | ErrorClass::Generation, Stage::Commit | Stage::Send | Stage::Offsets) => {
            Fate::Redo
        }
        (ErrorClass::RecordRefused, Stage::Commit | Stage::Send | Stage::Offsets) => Fate::Bisect,
        (ErrorClass::Retriable, Stage::Send | Stage::Begin | Stage::Group) => Fate::Reincarnate(Explained),
        (
            ErrorClass::Abortable | ErrorClass::Generation | ErrorClass::RecordRefused,
            Stage::Init | Stage::Begin | Stage::Group,
        ) => Fate::Reincarnate(Explained),
        (ErrorClass::Fatal | ErrorClass::Unflagged, Stage::Commit | Stage::Group | Stage::Init) => {
            Fate::Reincarnate(Explained)
        }
        (ErrorClass::Fatal | ErrorClass::Unflagged, Stage::Begin | Stage::Send | Stage::Offsets) => {
            Fate::Reincarnate(if ended_by_broker { Explained } else { Unexplained })
        }
    }
}

/// Reason for which a lane stops permanently. The process exits with [`Halt::exit_code`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Halt {
    #[error("{why}: partition {partition}: {}", why.text(*partition))]
    Parked { partition: i32, why: Park },
    #[error("duel: another live process uses the identity {identity} ({name})")]
    Duel { identity: String, name: String },
    #[error("{restarts} producers failed within {minutes} minutes, the last with {name}")]
    TooManyRestarts { restarts: usize, minutes: u64, name: String },
    #[error("a thread or task panicked: this is a bug")]
    Panicked,
    #[error("the Kafka client cannot be set up: {0}")]
    Setup(String),
}

impl Halt {
    /// 78 for wrong settings, 70 for a bug, 69 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Parked { why: Park::OtherStore { .. }, .. } | Self::Setup(_) => 78,
            Self::Panicked => 70,
            Self::Parked { .. } | Self::Duel { .. } | Self::TooManyRestarts { .. } => 69,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);
    const YOUNG: Seen =
        Seen { age: Duration::from_secs(1), timeout: TIMEOUT, outage: false, fence: Fence::First };
    const OLD: Seen = Seen { age: TIMEOUT, ..YOUNG };
    const CLASSES: [ErrorClass; 9] = [
        ErrorClass::Fenced,
        ErrorClass::FencedInstance,
        ErrorClass::RecordRefused,
        ErrorClass::Generation,
        ErrorClass::Abortable,
        ErrorClass::Retriable,
        ErrorClass::Fatal,
        ErrorClass::Unflagged,
        ErrorClass::Stuck,
    ];
    const STAGES: [Stage; 7] =
        [Stage::Init, Stage::Begin, Stage::Send, Stage::Offsets, Stage::Commit, Stage::Abort, Stage::Group];

    #[test]
    fn nothing_is_aborted_after_a_commit_of_unknown_outcome() {
        for class in [ErrorClass::Fatal, ErrorClass::Unflagged] {
            assert_eq!(fate(class, Stage::Commit, YOUNG), Fate::Reincarnate(Cause::Explained));
        }
    }

    #[test]
    fn a_fence_is_a_duel_only_when_it_repeats_on_a_young_transaction() {
        let fenced = |stage, seen| fate(ErrorClass::Fenced, stage, seen);
        for stage in [Stage::Init, Stage::Begin, Stage::Send, Stage::Offsets, Stage::Commit] {
            assert_eq!(fenced(stage, YOUNG), Fate::Reincarnate(Cause::Unexplained));
            let ours = Seen { fence: Fence::OurOwn, ..YOUNG };
            assert_eq!(fenced(stage, ours), Fate::Reincarnate(Cause::Explained));
            assert_eq!(fenced(stage, Seen { fence: Fence::Repeated, ..YOUNG }), Fate::Duel);
            let timed_out = Seen { fence: Fence::Repeated, ..OLD };
            assert_eq!(fenced(stage, timed_out), Fate::Reincarnate(Cause::Explained));
        }
    }

    #[test]
    fn a_fenced_instance_is_a_duel_unless_an_outage_explains_it() {
        for stage in [Stage::Group, Stage::Offsets] {
            assert_eq!(fate(ErrorClass::FencedInstance, stage, YOUNG), Fate::Duel);
            let outage = Seen { outage: true, ..YOUNG };
            assert_eq!(fate(ErrorClass::FencedInstance, stage, outage), Fate::Rejoin);
        }
    }

    #[test]
    fn an_abort_that_fails_is_never_followed_by_another_transaction_of_that_producer() {
        for class in CLASSES {
            let fate = fate(class, Stage::Abort, YOUNG);
            assert!(!matches!(fate, Fate::Redo | Fate::Bisect), "{class:?} gives {fate:?}");
        }
    }

    #[test]
    fn after_a_call_that_does_not_return_its_producer_is_replaced() {
        for stage in STAGES {
            assert_eq!(fate(ErrorClass::Stuck, stage, YOUNG), Fate::Reincarnate(Cause::Explained));
        }
    }

    #[test]
    fn an_unknown_error_is_never_retried() {
        for stage in STAGES {
            assert_ne!(fate(ErrorClass::Unflagged, stage, YOUNG), Fate::Retry, "{stage:?}");
        }
    }
}
