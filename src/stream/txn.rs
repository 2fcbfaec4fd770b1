//! A transaction as types: no record can follow its offsets, and nothing is committed without them.

use std::time::{Duration, Instant};

use super::{ErrorClass, NextOffset, Publish, Sink, StreamError};

/// Records are being sent.
pub struct Filling;

/// The offsets are in the transaction. Only the commit is left.
pub struct Staged;

/// An open transaction. Dropping it neither commits nor aborts: the engine decides by [`super::fate()`].
#[must_use]
pub struct Txn<'s, S: Sink, State> {
    sink: &'s mut S,
    began: Instant,
    state: std::marker::PhantomData<State>,
}

impl<'s, S: Sink> Txn<'s, S, Filling> {
    /// # Errors
    /// The transaction did not open.
    pub fn begin(sink: &'s mut S) -> Result<Self, StreamError> {
        sink.begin()?;
        Ok(Self { sink, began: Instant::now(), state: std::marker::PhantomData })
    }

    /// Sends a record.
    pub fn send<P: Publish>(&mut self, record: &P) -> Result<(), StreamError> {
        self.sink.send(&record.outgoing())
    }

    /// Puts the input's next offsets into the transaction.
    pub fn stage(
        self,
        offsets: &[NextOffset],
        member: &S::Membership,
    ) -> Result<Txn<'s, S, Staged>, StreamError> {
        persist(|| self.sink.send_offsets(offsets, member))?;
        Ok(Txn { sink: self.sink, began: self.began, state: std::marker::PhantomData })
    }
}

impl<S: Sink> Txn<'_, S, Staged> {
    /// Commits. Returns the time that the transaction was open.
    ///
    /// # Errors
    /// The outcome is unknown, unless the class is one after which the engine aborts (see [`super::fate()`]).
    pub fn commit(self) -> Result<Duration, StreamError> {
        persist(|| self.sink.commit())?;
        Ok(self.began.elapsed())
    }
}

/// Repeats the call while the client reports a retriable error. The client can resume a commit, an abort and
/// an init. After 5 seconds the last error is returned: the outcome is unknown then.
pub(super) fn persist(mut call: impl FnMut() -> Result<(), StreamError>) -> Result<(), StreamError> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match call() {
            Err(error) if error.class == ErrorClass::Retriable && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(100));
            }
            outcome => return outcome,
        }
    }
}
