//! `hourseal store replay`: applies the missing receipts to a key store that was restored from a copy, before
//! anything reads from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::Failure;
use super::barrier::Barrier;
use super::basis::Basis;
use super::process::Process;
use super::run::RunOptions;
use super::threads::Threads;
use crate::config::Config;
use crate::edge::kafka::ClientSettings;
use crate::forget::{FollowObserver, Followed};

/// Time between two progress reports.
const TELL: Duration = Duration::from_millis(200);

/// The result of a replay.
#[derive(Clone, Default, Debug)]
pub struct Replayed {
    /// Number of receipts whose erasure, hold or retention the store lacked. They were applied again, unless
    /// a hold forbade it.
    pub again: u64,
    /// Number of these that a hold forbade.
    pub held: u64,
    /// The reason why it waits, while it waits.
    pub waiting: Option<String>,
}

/// Applies every receipt that the store lacks, as each worker does when it starts. Marks in the store how far
/// that came.
///
/// # Errors
/// If the store cannot be opened. If something cannot be read at the moment, it waits and calls the closure
/// with the reason.
pub fn replay(
    config: &Config,
    client: ClientSettings,
    runtime: &Handle,
    report: &mut dyn FnMut(&Replayed),
) -> Result<Replayed, Failure> {
    let mut config = config.clone();
    // A replay writes the store's mark, so it needs the rights of a process that executes.
    config.control.execute = true;
    let process = Process::for_run(&config, RunOptions::default(), Basis::of(client), runtime, false)?;
    let (keys, lease) = process.keys(runtime);
    let progress = Progress::new(process.barrier.clone());
    let mut threads = Threads::default();
    threads.start("receipts", process.following(runtime, &keys.ring, lease, Box::new(progress.clone())))?;
    while !process.barrier.wait_for(TELL) {
        if let Some((_, halt)) = threads.fault_now() {
            return Err(halt.into());
        }
        report(&progress.seen());
    }
    process.stop.request();
    // The thread has reported its result; the way in which it ends adds nothing.
    let _ = threads.settle();
    Ok(progress.seen())
}

/// The progress of a replay.
#[derive(Clone)]
struct Progress(Arc<Mutex<Replayed>>, Barrier);

impl Progress {
    fn new(barrier: Barrier) -> Self {
        Self(Arc::default(), barrier)
    }

    fn lock(&self) -> MutexGuard<'_, Replayed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Replayed {
        self.lock().clone()
    }
}

impl FollowObserver for Progress {
    fn observe(&mut self, event: Followed<'_>) {
        let mut replayed = self.lock();
        match event {
            Followed::Open | Followed::Proven => {
                replayed.waiting = None;
                self.1.open();
            }
            Followed::Behind { held, .. } => {
                replayed.again += 1;
                replayed.held += u64::from(held);
            }
            Followed::Waiting(why) => replayed.waiting = Some(why.to_owned()),
            Followed::Applied { .. } | Followed::Doubted { .. } => {}
        }
    }
}
