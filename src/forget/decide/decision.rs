//! A decision, with the place of the record on which it was made.

use super::verdict::Verdict;

/// A decision as the store keeps it.
///
/// The offset tells a redo (the same record again: obey, and write the receipt that was never committed) from
/// a copy of the record further on in the topic (its receipt is there, or in the same transaction).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<T> {
    pub offset: i64,
    pub made: T,
}

/// What is decided on a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Names of the keys that had signed the command; none of one that was accepted unsigned.
    pub signers: Vec<String>,
}

/// What can be decided: a [`Judgement`] on a command, a sweep's hours, a KEK's end. The store keeps it as
/// JSON.
pub trait Decidable: Sized {
    /// What the record itself says. It is not stored again.
    type Asked;

    /// The stored form.
    fn to_json(decision: &Decision<Self>) -> Vec<u8>;

    /// `None` for what this version has not written, and for what was decided on something else: nothing may
    /// be done then.
    fn parse(json: &[u8], asked: &Self::Asked) -> Option<Decision<Self>>;

    /// A new decision is stored: tests end the process here.
    fn after_storing();
}
