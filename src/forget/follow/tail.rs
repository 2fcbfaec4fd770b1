//! The receipts topic as a reader sees it.

use std::time::{Duration, Instant};

use crate::model::Millis;

/// Longest wait for a record, and thus for a requested stop.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// A record of the receipts topic.
pub struct TailRecord {
    pub offset: i64,
    /// The record's timestamp, if it has one.
    pub at: Option<Millis>,
    pub value: Option<Vec<u8>>,
    /// The first header with the name [`SWEPT_HEADER`](crate::forget::SWEPT_HEADER).
    pub swept: Option<Vec<u8>>,
}

/// A reader of the only partition of the receipts topic, with the isolation level `read_committed`.
pub trait Tail {
    /// Asks the broker for the log's start and high watermark. Records of open transactions are
    /// before the watermark.
    fn log(&mut self) -> Result<(i64, i64), TailError>;

    /// Begins to read at this offset.
    fn begin(&mut self, offset: i64) -> Result<(), TailError>;

    /// Returns the next record, or nothing after `wait`.
    fn poll(&mut self, wait: Duration) -> Result<Option<TailRecord>, TailError>;

    /// Returns the read position. [`Tail::poll`] has handed over every record before it. The other offsets
    /// before it belong to markers and aborted transactions.
    fn position(&self) -> Result<i64, TailError>;
}

/// The reason why the topic cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TailError {
    /// The client recovers itself.
    #[error("the broker does not answer for the receipts topic: {0}")]
    Passing(String),
    /// The right to read the topic, or to see that it exists, is missing.
    #[error("the right READ is denied for topic `{0}`")]
    Denied(String),
    /// This reading is over. A new one may succeed.
    #[error("the receipts topic cannot be read: {0}")]
    Broken(String),
}

/// Retries for `time` while the client recovers itself: a new client needs a moment to find the broker.
///
/// # Errors
/// The last error, or one from which the client does not recover.
pub fn patiently<T>(time: Duration, mut ask: impl FnMut() -> Result<T, TailError>) -> Result<T, TailError> {
    let until = Instant::now() + time;
    loop {
        match ask() {
            Err(TailError::Passing(_)) if Instant::now() < until => std::thread::sleep(WAIT),
            answer => return answer,
        }
    }
}

/// Returns the next record, or nothing, after [`WAIT`], while the client recovers itself. If it does not
/// recover, a request for the log's end fails.
pub(in crate::forget) fn poll(tail: &mut impl Tail) -> Result<Option<TailRecord>, TailError> {
    match tail.poll(WAIT) {
        Err(TailError::Passing(_)) => {
            std::thread::sleep(WAIT);
            Ok(None)
        }
        answer => answer,
    }
}
