//! The contract between the engine and the steps that run on it: `lane` and `forget`.

use std::time::{Duration, Instant};

use super::txn::{Filling, Txn};
use super::{Cause, ForeignMember, Input, NextOffset, Park, Sink, StreamError, Take};

/// Work on records, batch by batch.
pub trait Step {
    /// Takes a record into the batch. The borrowed bytes end with the call.
    ///
    /// # Errors
    /// If the record was not taken: the partition must be parked before it. The batch keeps the partition's
    /// earlier records.
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park>;

    /// Gets what emitting needs, until `deadline`. No transaction is open. Called again until it is ready.
    fn prepare(&mut self, deadline: Instant) -> Ready;

    /// Hands every record to the transaction.
    ///
    /// # Errors
    /// Those of the sink, unchanged.
    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError>;

    /// Forgets the batch's records of these partitions.
    fn drop_partitions(&mut self, partitions: &[i32]);

    /// Forgets the batch: it was committed, or will be read again.
    fn clear(&mut self);

    /// The input record of which the step made the record at this place of the transaction, from 0.
    fn origin(&self, place: usize) -> Option<(i32, i64)>;

    /// The broker refuses this record as the step made it. The step must make a different one of it.
    ///
    /// # Errors
    /// If no other form is left: the partition must be parked.
    fn condemn(&mut self, partition: i32, offset: i64, why: &StreamError) -> Result<(), Park>;

    /// Receives an event, for metrics, logs and readiness.
    fn observe(&mut self, event: Event<'_>);
}

/// Whether a step can emit its batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ready {
    Yes,
    /// Not yet.
    Wait(Waiting),
}

/// Cause of a wait, during which the lane stays in its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// The broker, or the group.
    Broker,
    /// The clocks of worker and key store to agree.
    Clocks,
    /// Key store and vault to agree on a KEK or a key.
    Kek,
    /// The answer to a recent request.
    Pending,
    /// The key store.
    Store,
    /// The trust store.
    Trust,
    /// The KEK vault.
    Vault,
}

impl Wait {
    /// The word in metrics and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Clocks => "clocks",
            Self::Kek => "kek",
            Self::Pending => "pending",
            Self::Store => "store",
            Self::Trust => "trust",
            Self::Vault => "vault",
        }
    }
}

/// Reason why a step cannot emit its batch yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub cause: Wait,
    /// A text for people. It holds nothing of any record.
    pub reason: String,
}

impl Waiting {
    pub fn new(cause: Wait, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into() }
    }
}

/// An event of the lane, reported to the step.
pub enum Event<'a> {
    /// The partitions that the lane now has. Each of them flows or is parked.
    Assigned(&'a [i32]),
    /// This partition is parked: it stops, and the others continue.
    Parked {
        partition: i32,
        why: &'a Park,
    },
    /// This partition is not parked any more.
    Flows(i32),
    /// The operator accepted that this partition continues at the offset `at`, although the broker held
    /// `committed`.
    GapAccepted {
        partition: i32,
        committed: Option<i64>,
        at: i64,
    },
    /// The members of the group that are not Hourseal, as the broker lists them now. Usually there are none.
    ForeignMembers(&'a [ForeignMember]),
    /// Number of uncommitted records of these partitions, while nothing is committed.
    Lag(&'a [(i32, u64)]),
    Waiting(&'a Waiting),
    Resumed,
    Committed {
        offsets: &'a [NextOffset],
        took: Duration,
        lag: &'a [(i32, u64)],
    },
    /// Nothing was committed; the batch will be read again.
    Aborted(&'a StreamError),
    /// The producer is replaced. The lane continues at the broker's committed offsets.
    Reincarnated(&'a str, Cause),
    /// The consumer is replaced.
    Rejoined(&'a StreamError),
}
