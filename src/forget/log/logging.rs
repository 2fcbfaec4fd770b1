//! A process that has the log's key reads the receipts from the first one on, and signs what it has read.
//!
//! A reading of its own, on a thread of its own: the process's follower begins where the store's mark is, and
//! its proofs must not wait for a signature. And a tree rebuilt from the topic itself notices what a saved
//! one would hide: a topic that was cut or replaced. A round: hear what is published, ask for the end, read
//! to it, sign if nothing contradicts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, Head, Origin};
use super::keeper::{Keeper, Refusal};
use super::note::{NotANote, VerifierKey};
use crate::forget::command::signing::SigningKey;
use crate::forget::follow::tail::{Tail, TailError, TailRecord, poll};
use crate::model::{Clock, Millis};
use crate::stream::Stop;

/// Longest wait for a record, and thereby for the stop.
const WAIT: Duration = Duration::from_millis(200);
/// At most one checkpoint in this time.
const PACE: Duration = Duration::from_secs(1);
/// Longest silence before an end that the broker has told; an open transaction delays it less.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often topics are looked at where nothing comes.
const IDLE: Duration = Duration::from_secs(5);
/// Pause before the topics are read anew: after an error, and after a refusal, which only a person ends.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where checkpoints are published, under their origin as the key.
pub trait Post {
    /// Returns when the broker has it for good.
    ///
    /// # Errors
    /// [`NotPosted`]; it may be there all the same, which contradicts nothing.
    fn post(&mut self, checkpoint: &Checkpoint) -> Result<(), NotPosted>;
}

/// A checkpoint was signed and is perhaps not published.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a checkpoint is not published: {0}")]
pub struct NotPosted(pub String);

/// What one reading of the log needs: readers of the receipts and of the checkpoints topic, and a writer of
/// the latter.
pub struct Clients<T, P> {
    pub receipts: T,
    pub checkpoints: T,
    pub post: P,
}

/// What a process hears of its signing; for metrics, logs, readiness and `/checkpoint`.
#[derive(Clone, Copy, Debug)]
pub enum Logged<'a> {
    /// The topic is read to its end, and contradicts no published checkpoint.
    Read(Head),
    /// The newest checkpoint that this log's key has signed, here or in another process.
    Published { checkpoint: &'a Checkpoint, at: Millis },
    /// Nothing is signed any more.
    Refused(&'a Refusal),
    /// Nothing is signed for now.
    Waiting(&'a str),
}

/// Hears what happens; called on the log's own thread.
pub trait LogObserver: Send {
    fn note(&mut self, event: Logged<'_>);
}

#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Receipts(#[from] TailError),
    #[error("the checkpoints topic cannot be read: {0}")]
    Checkpoints(String),
    #[error(transparent)]
    Post(#[from] NotPosted),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A process's keeping of the log.
pub struct Logging {
    pub origin: Origin,
    pub key: SigningKey,
    pub clock: Arc<dyn Clock>,
    pub observer: Box<dyn LogObserver>,
}

/// One reading, from the first receipt on.
#[derive(Default)]
struct Reading {
    keeper: Keeper,
    /// The newest published checkpoint that our key has signed, and when it was published.
    heard: Option<(Checkpoint, Millis)>,
    /// The size of the newest one that is known to agree with the tree.
    signed: u64,
}

impl Logging {
    /// Keeps the log until the stop is requested. `connect` makes clients, again after those that broke.
    pub fn run<T: Tail, P: Post>(
        mut self,
        mut connect: impl FnMut() -> Result<Clients<T, P>, TailError>,
        stop: &Stop,
    ) {
        while !stop.requested() {
            let Err(setback) = self.read(&mut connect, stop) else { continue };
            let pause = match &setback {
                Setback::Refused(refusal) if !matches!(refusal, Refusal::Late(_)) => {
                    self.observer.note(Logged::Refused(refusal));
                    BACKOFF.1
                }
                passing => {
                    self.observer.note(Logged::Waiting(&passing.to_string()));
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
    ) -> Result<(), Setback> {
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
    ) -> Result<(), Setback> {
        self.hear(&mut clients.checkpoints, reading, stop)?;
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
        self.observer.note(Logged::Read(head));
        if let Some((checkpoint, at)) = reading.heard.take() {
            reading.signed = checkpoint.head().size;
            self.observer.note(Logged::Published { checkpoint: &checkpoint, at });
        }
        if head.size > reading.signed {
            let checkpoint = Checkpoint::sign(&self.origin, head, &self.key);
            clients.post.post(&checkpoint)?;
            reading.signed = head.size;
            self.observer.note(Logged::Published { checkpoint: &checkpoint, at: self.clock.now() });
        }
        Ok(())
    }

    /// Reads what was published since the last time; all of it at first.
    fn hear(&self, checkpoints: &mut impl Tail, reading: &mut Reading, stop: &Stop) -> Result<(), Setback> {
        let (_, end) = checkpoints.log().map_err(of_checkpoints)?;
        read_to(checkpoints, end, stop, |record| self.judge(&record, reading)).map_err(
            |setback| match setback {
                Setback::Receipts(error) => of_checkpoints(error),
                other => other,
            },
        )
    }

    /// A checkpoint of this log is compared whoever has signed it, because a key may have changed; it counts
    /// if ours has.
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

/// A record without a value is no leaf.
fn append(keeper: &mut Keeper, record: &TailRecord) -> Result<(), Refusal> {
    record.value.as_deref().map_or(Ok(()), |value| keeper.append(value))
}

/// Hands over every record before `end`, until the stop is requested.
fn read_to(
    tail: &mut impl Tail,
    end: i64,
    stop: &Stop,
    mut hear: impl FnMut(TailRecord) -> Result<(), Refusal>,
) -> Result<(), Setback> {
    let mut heard = Instant::now();
    while tail.position()? < end && !stop.requested() {
        if let Some(record) = poll(tail)? {
            heard = Instant::now();
            hear(record)?;
        }
        if heard.elapsed() > PATIENCE {
            let why = format!("no record for {} s, and none of offset {end} yet", PATIENCE.as_secs());
            return Err(TailError::Passing(why).into());
        }
    }
    Ok(())
}

fn of_checkpoints(error: TailError) -> Setback {
    Setback::Checkpoints(match error {
        TailError::Passing(why) | TailError::Broken(why) => why,
        TailError::Denied(_) => error.to_string(),
    })
}
