//! The traits that the Kafka edge implements.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Answer, Fault, ForeignMember, Halt, Input, Outgoing, Stop, StreamError, Take};

/// The offset to commit: the one after the last record taken from a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextOffset {
    pub partition: i32,
    pub offset: i64,
}

/// A change of the assignment during [`Source::poll`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Their records do not flow before [`Source::start`].
    Assigned(Vec<i32>),
    /// Revoked or lost: their records must not be used any more.
    Revoked(Vec<i32>),
    /// The position of a flowing partition is not in its log. The client does not tell which one.
    OutOfRange,
}

/// A member of a consumer group.
pub trait Source {
    /// Proof of membership at one moment: member id and generation (KIP-447).
    type Membership;

    /// Polls the group, waits at most `wait` for a record, and hands over available records until `take` has
    /// enough. Every record handed over counts as taken, except one before which the partition is stopped.
    ///
    /// It returns right after a change of the assignment, before it hands over another record.
    ///
    /// # Errors
    /// [`Fault`] if another poll cannot fix the group or the input.
    fn poll(&mut self, wait: Duration, take: &mut dyn FnMut(Input<'_>) -> Take) -> Result<(), Fault>;

    /// Takes the changes of the assignment since the last call, in order.
    fn changes(&mut self) -> Vec<Change>;

    /// Takes the reason why the broker did not let this member join since the last call, if only a person can
    /// change it: a text for people.
    fn complaint(&mut self) -> Option<String>;

    /// Looks at these partitions on another thread. [`Source::answers`] returns what was found, with the
    /// number `look`.
    fn look(&mut self, look: u64, partitions: &[i32]);

    /// Takes the answers since the last call: the number of the look, the partition, and what was found. The
    /// source may also answer without a look, with the number 0, that a flowing partition must stop.
    ///
    /// # Errors
    /// [`Fault`] if no answer will come.
    fn answers(&mut self) -> Result<Vec<(u64, i32, Answer)>, Fault>;

    /// Takes the newest list of the group's members that are not Hourseal. `None`: no list was obtained since
    /// the last call.
    fn foreign_members(&mut self) -> Option<Vec<ForeignMember>>;

    /// Lets the records of these assigned partitions flow from these offsets on.
    fn start(&mut self, at: &[NextOffset]) -> Result<(), StreamError>;

    /// Stops the flow of these partitions until the next [`Source::start`]. No earlier record of theirs is
    /// handed over any more.
    fn stop(&mut self, partitions: &[i32]) -> Result<(), StreamError>;

    /// Pauses (or resumes) the flow of records of all started partitions, including those started later.
    fn hold(&mut self, held: bool) -> Result<(), StreamError>;

    /// The membership now. Take it after the last poll for a batch, and only once for that batch.
    /// `None` while not a member (generation < 0).
    fn membership(&mut self) -> Option<Self::Membership>;

    /// The broker's committed offsets of these partitions; `None` = the broker holds none. A partition is
    /// missing if the broker reported an error for it.
    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, StreamError>;

    /// Continues at these offsets. Returns the partitions that do not.
    fn seek(&mut self, to: &[NextOffset]) -> Result<Vec<i32>, StreamError>;

    /// Takes the ends that the client has reached since the last call: for each partition the position behind
    /// its last record, and behind the markers and aborted records that follow. Every record before it was
    /// handed over.
    fn passed(&mut self) -> Vec<NextOffset>;

    /// Records between a next offset and the end of its partition, if the client knows without a request.
    fn lag(&self, next: NextOffset) -> Option<u64>;
}

/// A transactional producer: one incarnation, from `init_transactions` to its end.
pub trait Sink {
    type Membership;

    fn begin(&mut self) -> Result<(), StreamError>;

    /// Copies the record into the producer's queue. Waits while the queue is full.
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError>;

    fn send_offsets(&mut self, offsets: &[NextOffset], member: &Self::Membership) -> Result<(), StreamError>;

    fn commit(&mut self) -> Result<(), StreamError>;

    fn abort(&mut self) -> Result<(), StreamError>;

    /// Takes the records that a broker or the client has named as refused since [`Sink::begin`]: their places
    /// among the records that were sent, from 0, each once. Complete after the abort. Empty if no record was
    /// named, as for a batch that is too large.
    fn refused(&mut self) -> Vec<usize>;

    /// Whether a request of this incarnation ended without an answer. It may still reach the broker and act
    /// on a later transaction (KAFKA-17754): this incarnation must not begin another one. Also true while a
    /// call does not return: no other call may be made, not even an abort.
    fn tainted(&self) -> bool;

    /// The reason why the next transaction needs a new incarnation: this one was made for settings that have
    /// changed. A text for people. `None` = it may begin another transaction.
    fn outdated(&self) -> Option<String>;
}

/// Creates the sources and sinks of one lane, with its identities.
pub trait Connector {
    type Membership;
    type Source: Source<Membership = Self::Membership>;
    type Sink: Sink<Membership = Self::Membership>;

    /// Joins the group.
    fn source(&self) -> Result<Self::Source, Halt>;

    /// Creates and initialises a producer with the lane's transactional id. Older incarnations are fenced,
    /// and their open transaction is ended. The call gives up soon after the stop.
    fn sink(&self, stop: &Stop) -> Result<Self::Sink, StreamError>;

    /// The lane's identity in words, for a message to people.
    fn identity(&self) -> String;

    /// Time after which the broker ends a transaction by itself.
    fn transaction_timeout(&self) -> Duration;

    /// Whether a broker left a request of this lane without an answer within the last minute.
    fn outage(&self) -> bool;

    /// Whether an `InitProducerId` of this lane ended without an answer within the last minute. Each explains
    /// one fence: the call removes it.
    fn take_unanswered_init(&self) -> bool;
}
