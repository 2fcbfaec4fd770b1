//! A decision, with the offset of its record.

use super::verdict::Verdict;

/// A decision as the store keeps it.
///
/// The offset separates a redo from a copy. A redo is the same record again: obey, and write the receipt that
/// was never committed. A copy is at a later offset of the topic: its receipt exists already, or is in the
/// same transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<T> {
    pub offset: i64,
    pub made: T,
}

/// The decision on a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Names of the keys that had signed the command; empty if it was accepted unsigned.
    pub signers: Vec<String>,
}

/// A kind of decision: a [`Judgement`] on a command, a sweep's hours, or a KEK's end. The store keeps it as
/// JSON.
pub trait Decidable: Sized {
    /// The content of the record itself. The decision does not store it again.
    type Asked;

    /// The stored form.
    fn to_json(decision: &Decision<Self>) -> Vec<u8>;

    /// `None` for a form that this version does not write, and for a decision on something else. Nothing may
    /// be done then.
    fn parse(json: &[u8], asked: &Self::Asked) -> Option<Decision<Self>>;

    /// Called after a new decision was stored: tests end the process here.
    fn after_storing();
}
