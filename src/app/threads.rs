//! The threads of a process, and how they end after the stop.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::stream::{Halt, Pulse};

/// After the stop, what waits for a broker or for the key store is left so much time.
const WAITS_LIMIT: Duration = Duration::from_secs(10);
/// After the stop, a batch that is being worked on, and a commit, are left so much time.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(25);

/// A thread's name and how it ended.
pub(super) type Ended = (String, Result<(), Halt>);

/// The threads of a process.
pub(super) struct Threads {
    /// The executor is one of them.
    pub(super) lanes: Vec<RunningLane>,
    /// The others. They hold no batch.
    pub(super) handles: Vec<JoinHandle<()>>,
    pub(super) tasks: Vec<AbortHandle>,
    pub(super) endings: mpsc::UnboundedReceiver<Ended>,
}

/// A thread with a batch.
pub(super) struct RunningLane {
    pub(super) name: String,
    pub(super) pulse: Pulse,
    pub(super) thread: JoinHandle<()>,
}

impl RunningLane {
    /// Whether it does more than wait for a broker's answer.
    fn is_at_work(&self) -> bool {
        !self.thread.is_finished() && (self.pulse.is_committing() || self.pulse.stuck_for().is_none())
    }
}

/// What became of the threads after the stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// Each one ended, its batch settled.
    All,
    /// Some did not end in time. They have committed nothing: the next start reads their batches again.
    Cancelled,
    /// A commit has no answer yet: the next start asks the broker for its outcome.
    CommitUnknown,
    Panicked,
}

impl Threads {
    /// Waits for the threads to end after the stop, within [`SHUTDOWN_LIMIT`].
    pub(super) fn settle(self) -> Settled {
        self.tasks.iter().for_each(AbortHandle::abort);
        let stopped = Instant::now();
        while !self.have_ended() {
            let at_work = self.lanes.iter().any(RunningLane::is_at_work);
            let limit = if at_work { SHUTDOWN_LIMIT } else { WAITS_LIMIT };
            if stopped.elapsed() >= limit {
                let committing = self.lanes.iter().any(|lane| lane.pulse.is_committing());
                return if committing { Settled::CommitUnknown } else { Settled::Cancelled };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let threads = self.lanes.into_iter().map(|lane| lane.thread).chain(self.handles);
        match threads.map(JoinHandle::join).all(|ended| ended.is_ok()) {
            true => Settled::All,
            false => Settled::Panicked,
        }
    }

    fn have_ended(&self) -> bool {
        self.lanes.iter().map(|lane| &lane.thread).chain(&self.handles).all(JoinHandle::is_finished)
    }
}
