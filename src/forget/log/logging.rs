//! A process that has the log's key reads the receipts from the first one, and signs what it has read.
//!
//! The log has its own reader on its own thread. The process's follower begins at the store's mark, and its
//! proofs must not wait for a signature. A tree that is rebuilt from the topic also notices what a saved tree
//! would hide: a topic that was cut or replaced. One round: read the published checkpoints, ask for the end,
//! read to it, and sign if nothing contradicts the tree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, Head, Origin};
use super::keeper::{Keeper, Refusal};
use super::note::{NotANote, VerifierKey};
use crate::forget::command::signing::SigningKey;
use crate::forget::follow::tail::{Tail, TailError, TailRecord, poll};
use crate::model::{Clock, Millis};
use crate::stream::Stop;

/// Longest wait for a record, and thus for a requested stop.
const WAIT: Duration = Duration::from_millis(200);
/// At most one checkpoint is signed in this time.
const PACE: Duration = Duration::from_secs(1);
/// Longest silence before an end that the broker reported. An open transaction causes a shorter delay.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval between two rounds while no record arrives.
const IDLE: Duration = Duration::from_secs(5);
/// Pause before the topics are read again: after an error, and after a refusal, which only a
/// person can resolve.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Publishes checkpoints, with their origin as the key.
pub trait Post {
    /// Returns when the broker has stored the checkpoint permanently.
    ///
    /// # Errors
    /// [`NotPosted`]. The checkpoint may be published nevertheless. That contradicts nothing.
    fn post(&mut self, checkpoint: &Checkpoint) -> Result<(), NotPosted>;
}

/// A checkpoint was signed, but may not be published.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a checkpoint could not be published: {0}")]
pub struct NotPosted(pub String);

/// The clients of one reading of the log: readers of the receipts topic and of the checkpoints topic, and a
/// writer of the checkpoints topic.
pub struct Clients<T, P> {
    pub receipts: T,
    pub checkpoints: T,
    pub post: P,
}

/// An event of the signing, for metrics, logs, readiness and `/checkpoint`.
#[derive(Clone, Copy, Debug)]
pub enum Logged<'a> {
    /// The receipts topic is read to its end, and contradicts no published checkpoint.
    Read(Head),
    /// The newest checkpoint that this log's key has signed, in this or in another process.
    Published { checkpoint: &'a Checkpoint, at: Millis },
    /// Nothing is signed until a person resolves this. The topics are read again after a pause.
    Refused(&'a Refusal),
    /// Nothing is signed for now. The topics are read again after a pause.
    Waiting(&'a str),
}

/// Receives the events. It is called on the log's own thread.
pub trait LogObserver: Send {
    fn observe(&mut self, event: Logged<'_>);
}

#[derive(Debug, thiserror::Error)]
enum LoggingError {
    #[error(transparent)]
    Receipts(#[from] TailError),
    #[error("the checkpoints topic cannot be read: {0}")]
    Checkpoints(String),
    #[error(transparent)]
    Post(#[from] NotPosted),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Keeps the log of a process.
pub struct Logging {
    pub origin: Origin,
    pub key: SigningKey,
    pub clock: Arc<dyn Clock>,
    pub observer: Box<dyn LogObserver>,
}

/// The state of one reading, which begins at the first receipt.
#[derive(Default)]
struct Reading {
    keeper: Keeper,
    /// The newest published checkpoint that our key has signed, and its publication time.
    heard: Option<(Checkpoint, Millis)>,
    /// The size of the newest checkpoint that is known to agree with the tree.
    signed: u64,
}

impl Logging {
    /// Keeps the log until the stop is requested. `connect` creates the clients, and new ones
    /// after each error.
    pub fn run<T: Tail, P: Post>(
        mut self,
        mut connect: impl FnMut() -> Result<Clients<T, P>, TailError>,
        stop: &Stop,
    ) {
        while !stop.requested() {
            let Err(setback) = self.read(&mut connect, stop) else { continue };
            let pause = match &setback {
                LoggingError::Refused(refusal) if !matches!(refusal, Refusal::Late(_)) => {
                    self.observer.observe(Logged::Refused(refusal));
                    BACKOFF.1
                }
                passing => {
                    self.observer.observe(Logged::Waiting(&passing.to_string()));
                    BACKOFF.0
                }
            };
            let since = Instant::now();
            while !stop.requested() && since.elapsed() < pause {
                std::thread::sleep(WAIT.min(pause));
            }
        }
    }

    fn read<T: Tail, P: Post>(
        &mut self,
        connect: &mut impl FnMut() -> Result<Clients<T, P>, TailError>,
        stop: &Stop,
    ) -> Result<(), LoggingError> {
        let mut clients = connect()?;
        let mut reading = Reading::default();
        let (start, _) = clients.checkpoints.log().map_err(of_checkpoints)?;
        clients.checkpoints.begin(start).map_err(of_checkpoints)?;
        clients.receipts.begin(0)?;
        while !stop.requested() {
            let since = Instant::now();
            self.round(&mut clients, &mut reading, stop)?;
            let mut grew = false;
            while !(stop.requested() || since.elapsed() >= IDLE || (grew && since.elapsed() >= PACE)) {
                if let Some(record) = poll(&mut clients.receipts)? {
                    append(&mut reading.keeper, &record)?;
                    grew = true;
                }
            }
        }
        Ok(())
    }

    fn round<T: Tail, P: Post>(
        &mut self,
        clients: &mut Clients<T, P>,
        reading: &mut Reading,
        stop: &Stop,
    ) -> Result<(), LoggingError> {
        self.read_checkpoints(&mut clients.checkpoints, reading, stop)?;
        let (start, end) = clients.receipts.log()?;
        if start != 0 {
            return Err(Refusal::NoStart(start).into());
        }
        let read = clients.receipts.position()?;
        if read > end {
            return Err(Refusal::Replaced { read, end }.into());
        }
        read_to(&mut clients.receipts, end, stop, |record| append(&mut reading.keeper, &record))?;
        if stop.requested() {
            return Ok(());
        }
        let head = reading.keeper.at_end()?;
        self.observer.observe(Logged::Read(head));
        if let Some((checkpoint, at)) = reading.heard.take() {
            reading.signed = checkpoint.head().size;
            self.observer.observe(Logged::Published { checkpoint: &checkpoint, at });
        }
        if head.size > reading.signed {
            let checkpoint = Checkpoint::sign(&self.origin, head, &self.key);
            clients.post.post(&checkpoint)?;
            reading.signed = head.size;
            self.observer.observe(Logged::Published { checkpoint: &checkpoint, at: self.clock.now() });
        }
        Ok(())
    }

    /// Reads the checkpoints that were published since the last call. The first call reads all of them.
    fn read_checkpoints(
        &self,
        checkpoints: &mut impl Tail,
        reading: &mut Reading,
        stop: &Stop,
    ) -> Result<(), LoggingError> {
        let (_, end) = checkpoints.log().map_err(of_checkpoints)?;
        read_to(checkpoints, end, stop, |record| self.judge(&record, reading)).map_err(
            |setback| match setback {
                LoggingError::Receipts(error) => of_checkpoints(error),
                other => other,
            },
        )
    }

    /// Compares every checkpoint of this log, because the key may have changed. Only one that our key has
    /// signed counts as published.
    fn judge(&self, record: &TailRecord, reading: &mut Reading) -> Result<(), Refusal> {
        let Some(value) = &record.value else { return Ok(()) };
        let unreadable = |why| Refusal::Unreadable { offset: record.offset, why };
        let text = str::from_utf8(value).map_err(|_| unreadable(NotANote::Form.into()))?;
        let checkpoint = Checkpoint::parse(text).map_err(unreadable)?;
        if checkpoint.origin() != self.origin.as_str() {
            return Ok(());
        }
        reading.keeper.published(checkpoint.head())?;
        let key = VerifierKey::new(self.origin.as_str(), self.key.public());
        if checkpoint.verify(&key.expect("topics' names have no space and no plus")).is_ok() {
            reading.heard = Some((checkpoint, record.at.unwrap_or(self.clock.now())));
        }
        Ok(())
    }
}

/// Appends a record. A record without a value is not a leaf.
fn append(keeper: &mut Keeper, record: &TailRecord) -> Result<(), Refusal> {
    record.value.as_deref().map_or(Ok(()), |value| keeper.append(value))
}

/// Hands over every record before `end`, until the stop is requested.
fn read_to(
    tail: &mut impl Tail,
    end: i64,
    stop: &Stop,
    mut each: impl FnMut(TailRecord) -> Result<(), Refusal>,
) -> Result<(), LoggingError> {
    let mut heard = Instant::now();
    while tail.position()? < end && !stop.requested() {
        if let Some(record) = poll(tail)? {
            heard = Instant::now();
            each(record)?;
        }
        if heard.elapsed() > PATIENCE {
            let why =
                format!("no record for {} s, and the end at offset {end} is not reached", PATIENCE.as_secs());
            return Err(TailError::Passing(why).into());
        }
    }
    Ok(())
}

fn of_checkpoints(error: TailError) -> LoggingError {
    LoggingError::Checkpoints(match error {
        TailError::Passing(why) | TailError::Broken(why) => why,
        TailError::Denied(_) => error.to_string(),
    })
}
