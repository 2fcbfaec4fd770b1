//! `hourseal store replay`: a key store that was put back from a copy is brought up to its receipts before anybody reads from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Failure;
use super::barrier::Barrier;
use super::process::Process;
use super::run::RunOptions;
use super::threads::Threads;
use crate::config::Config;
use crate::forget::{FollowObserver, Followed};

/// How often it is told how far it has come.
const TELL: Duration = Duration::from_millis(200);

/// What a replay came to.
#[derive(Clone, Default, Debug)]
pub struct Replayed {
    /// Receipts whose erasure, hold or retention the store lacked, applied again.
    pub again: u64,
    /// Of these, what a hold forbade.
    pub held: u64,
    /// Why it waits, while it does.
    pub waiting: Option<String>,
}

/// Applies every receipt that the store lacks, as each worker does when it starts, and remembers how far that came.
///
/// # Errors
/// Where the store cannot be opened. What cannot be read for now is waited for: `told` hears why.
pub fn replay(
    config: &Config,
    runtime: &Runtime,
    told: &mut dyn FnMut(&Replayed),
) -> Result<Replayed, Failure> {
    let mut config = config.clone();
    // Who may not write the store's mark cannot do it.
    config.control.execute = true;
    let process = Process::for_run(&config, RunOptions::default(), runtime, false)?;
    let (keys, lease) = process.keys(runtime);
    let progress = Progress::new(process.barrier.clone());
    let mut threads = Threads::default();
    threads.start("receipts", process.following(runtime, &keys.ring, lease, Box::new(progress.clone())))?;
    while !process.barrier.wait_for(TELL) {
        if let Some((_, halt)) = threads.fault_now() {
            return Err(halt.into());
        }
        told(&progress.seen());
    }
    process.stop.request();
    // It has told what there is; how its thread ends says nothing more.
    let _ = threads.settle();
    Ok(progress.seen())
}

/// How far it has come.
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
    fn note(&mut self, event: Followed<'_>) {
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
