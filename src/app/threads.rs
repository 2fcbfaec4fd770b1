//! The threads of a process: their start, the detection of panics, and their end after the stop.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::Failure;
use super::duty::Duties;
use crate::stream::{Halt, Pulse};

/// After the stop, the time for threads that wait for a broker or for the key store.
const WAITS_LIMIT: Duration = Duration::from_secs(10);
/// After the stop, the time for a batch in work and for a commit.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(25);

/// The name of a thread or duty and how it ended.
pub(super) type Ended = (String, Result<(), Halt>);

/// Starts a thread. Calls `ended` with its outcome, also after a panic: a thread that ends unnoticed leaves
/// its work undone in a process that looks healthy.
///
/// # Errors
/// If the system cannot start a thread.
pub(super) fn spawn(
    name: &str,
    run: impl FnOnce() -> Result<(), Halt> + Send + 'static,
    ended: impl FnOnce(Result<(), Halt>) + Send + 'static,
) -> Result<JoinHandle<()>, Failure> {
    #[cfg(feature = "testkit")]
    let run = {
        let name = name.to_owned();
        move || {
            crate::testkit::panic_point(&name);
            run()
        }
    };
    let guarded = move || {
        ended(catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Halt::Panicked)));
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(guarded).map_err(|error| {
        Failure::new(Failure::DEPENDENCY, format!("cannot start the thread `{name}`: {error}"))
    })
}

/// Runs a blocking call on a thread of its own. The receiver gets its result, or an error after a panic.
///
/// # Errors
/// If the system cannot start a thread.
pub(super) fn begin<T: Send + 'static>(
    name: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Failure> {
    let (result, results) = oneshot::channel();
    // The receiver is gone only when the process ends anyway.
    let run = move || {
        let _ = result.send(call());
        Ok(())
    };
    spawn(name, run, |_| ())?;
    Ok(results)
}

/// Runs a blocking call on its own thread. A panic in the call becomes a panic of the caller.
pub(super) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is shutting down: no caller waits for an answer any longer.
        Err(_) => std::future::pending().await,
    }
}

/// The threads of a process.
pub(super) struct Threads {
    /// The lanes, and the executor.
    lanes: Vec<RunningLane>,
    /// The other threads. They do not hold a batch.
    others: Vec<JoinHandle<()>>,
    duties: Option<AbortHandle>,
    ended: mpsc::UnboundedSender<Ended>,
    endings: mpsc::UnboundedReceiver<Ended>,
}

/// A thread with a batch.
struct RunningLane {
    name: String,
    pulse: Pulse,
    thread: JoinHandle<()>,
}

impl RunningLane {
    /// Whether it does something else than wait for a broker's answer. A commit counts as work.
    fn is_at_work(&self) -> bool {
        !self.thread.is_finished() && (self.pulse.is_committing() || self.pulse.stuck_for().is_none())
    }
}

/// The state of the threads after the stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// All threads ended, and their batches are settled.
    All,
    /// Some threads did not end in time. They have not committed their batches: the next start reads these
    /// again.
    Cancelled,
    /// A commit is still unanswered: the next start asks the broker for its outcome.
    CommitUnknown,
    Panicked,
}

impl Default for Threads {
    fn default() -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        Self { lanes: Vec::new(), others: Vec::new(), duties: None, ended, endings }
    }
}

impl Threads {
    /// Starts a thread without a batch, and ends the process if it panics.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let run = || {
            run();
            Ok(())
        };
        let ended = self.ended_of(name);
        self.others.push(spawn(name, run, ended)?);
        Ok(())
    }

    /// Keeps a lane's thread. The thread reports its end by [`Threads::ended_of`].
    pub(super) fn add_lane(&mut self, name: String, pulse: Pulse, thread: JoinHandle<()>) {
        self.lanes.push(RunningLane { name, pulse, thread });
    }

    /// Keeps the duties, and ends the process if one panics.
    pub(super) fn watch(&mut self, duties: Duties) {
        self.duties = Some(duties.watch(self.ended.clone()));
    }

    /// Returns the closure to call with the outcome of the thread of this name.
    pub(super) fn ended_of(&self, name: &str) -> impl FnOnce(Result<(), Halt>) + Send + 'static + use<> {
        let (ended, name) = (self.ended.clone(), name.to_owned());
        // The receiver is gone only when the process ends anyway.
        move |outcome| drop(ended.send((name, outcome)))
    }

    /// Returns the signs of life of the lanes, with their names.
    pub(super) fn pulses(&self) -> Vec<(String, Pulse)> {
        self.lanes.iter().map(|lane| (lane.name.clone(), lane.pulse.clone())).collect()
    }

    /// Waits for the first thread or duty that halts or panics.
    pub(super) async fn fault(&mut self) -> (String, Halt) {
        while let Some((name, outcome)) = self.endings.recv().await {
            if let Err(halt) = outcome {
                return (name, halt);
            }
        }
        unreachable!("a sender is kept beside the receiver")
    }

    /// Returns the first thread or duty that has halted or panicked by now.
    pub(super) fn fault_now(&mut self) -> Option<(String, Halt)> {
        self.faults().next()
    }

    /// Returns the threads and duties that have halted or panicked by now and were not yet reported.
    fn faults(&mut self) -> impl Iterator<Item = (String, Halt)> {
        std::iter::from_fn(|| self.endings.try_recv().ok())
            .filter_map(|(name, outcome)| Some((name, outcome.err()?)))
    }

    /// Whether every lane has ended.
    pub(super) fn lanes_have_ended(&self) -> bool {
        self.lanes.iter().all(|lane| lane.thread.is_finished())
    }

    /// Waits for the threads to end after the stop, within [`SHUTDOWN_LIMIT`].
    pub(super) fn settle(mut self) -> Settled {
        self.duties.iter().for_each(AbortHandle::abort);
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
        match self.faults().any(|(_, halt)| halt == Halt::Panicked) {
            true => Settled::Panicked,
            false => Settled::All,
        }
    }

    fn have_ended(&self) -> bool {
        self.lanes_have_ended() && self.others.iter().all(JoinHandle::is_finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_a_fault_with_its_name() {
        let mut threads = Threads::default();
        threads.start("well", || ()).expect("a thread");
        threads.start("ill", || panic!("as the test says")).expect("a thread");
        let fault = loop {
            if let Some(fault) = threads.fault_now() {
                break fault;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(fault, ("ill".to_owned(), Halt::Panicked));
        assert_eq!(threads.settle(), Settled::All, "each fault is reported once");
    }

    #[test]
    fn a_panic_after_the_stop_is_told_by_the_settling() {
        let mut threads = Threads::default();
        threads.start("ill", || panic!("as the test says")).expect("a thread");
        assert_eq!(threads.settle(), Settled::Panicked);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_of_a_blocking_call_is_one_of_its_caller() {
        let mut callers = tokio::task::JoinSet::new();
        callers.spawn(blocking(|| panic!("as the test says")));
        assert!(callers.join_next().await.is_some_and(|ended| ended.is_err_and(|error| error.is_panic())));
    }
}
