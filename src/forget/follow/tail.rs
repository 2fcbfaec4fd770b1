//! The receipts topic as a reader sees it.

use std::time::{Duration, Instant};

use crate::model::Millis;

/// Longest wait for a record, and thereby for the stop.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// A record of the receipts topic.
pub struct TailRecord {
    pub offset: i64,
    /// The record's timestamp, where it has one.
    pub at: Option<Millis>,
    pub value: Option<Vec<u8>>,
    /// The first header of the name [`SWEPT_HEADER`](crate::forget::SWEPT_HEADER).
    pub swept: Option<Vec<u8>>,
}

/// A reader of the receipts topic's only partition, as `read_committed` shows it.
pub trait Tail {
    /// The log's start and its high watermark, asked of the broker. Records of open transactions lie before
    /// the watermark.
    fn log(&mut self) -> Result<(i64, i64), TailError>;

    /// Reads from this offset on.
    fn begin(&mut self, offset: i64) -> Result<(), TailError>;

    /// The next record, or nothing after `wait`.
    fn poll(&mut self, wait: Duration) -> Result<Option<TailRecord>, TailError>;

    /// Everything before it has been handed over by [`Tail::poll`], or is no record (a marker, an aborted
    /// transaction).
    fn position(&self) -> Result<i64, TailError>;
}

/// Why the topic cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TailError {
    /// The client mends it by itself.
    #[error("the broker does not answer for the receipts topic: {0}")]
    Passing(String),
    /// The right to read it, or to see that it is there, is missing.
    #[error("the right READ is denied for topic `{0}`")]
    Denied(String),
    /// The reading is over; another one may go better.
    #[error("the receipts topic cannot be read: {0}")]
    Broken(String),
}

/// Asks again while the client mends by itself, for so long: one that was just made needs a moment to find
/// the broker.
///
/// # Errors
/// The last one.
pub fn patiently<T>(time: Duration, mut ask: impl FnMut() -> Result<T, TailError>) -> Result<T, TailError> {
    let until = Instant::now() + time;
    loop {
        match ask() {
            Err(TailError::Passing(_)) if Instant::now() < until => std::thread::sleep(WAIT),
            answer => return answer,
        }
    }
}

/// The next record; nothing, after a while, for what the client mends by itself: a question for the end tells
/// when it does not.
pub(in crate::forget) fn poll(tail: &mut impl Tail) -> Result<Option<TailRecord>, TailError> {
    match tail.poll(WAIT) {
        Err(TailError::Passing(_)) => {
            std::thread::sleep(WAIT);
            Ok(None)
        }
        answer => answer,
    }
}
