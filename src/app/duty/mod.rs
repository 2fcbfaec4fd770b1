//! Duties: the tasks that a process repeats beside its lanes.
//!
//! Promise: a duty that fails logs the first of several failures in a row and tries again. A duty that panics
//! ends the process. Not here: decisions (`keys`, `forget`). A duty checks, reports, and writes calls.
//! Start at [`Duty`]; [`Duties::of`] lists them.

mod caretaker;
mod disks;
mod failsafe;
mod keks;
mod premint;
mod reclaim;
mod scrub;
mod sweep;
mod topics;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinSet};

use super::barrier::Barrier;
use super::leadership::Leadership;
use super::process::Process;
use super::threads::Ended;
use crate::keys::Ring;
use crate::stream::{Halt, Stop};

/// The processes that take turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Everyone,
    /// Only the process that executes commands.
    Leader,
}

/// A task that a process repeats.
pub(super) trait Duty: Send + 'static {
    /// Named in the log line if the duty ends the process.
    const NAME: &'static str;
    const WHO: Who;
    /// Starts only after the store has every erasure of its receipts.
    const AFTER_RECEIPTS: bool;
    /// Takes the next turn early if this process has swept.
    const AFTER_SWEEPS: bool = false;

    /// Time to the next turn after a failed turn.
    fn interval(&self) -> Duration;

    /// Takes one turn. Returns the time to the next turn, or the reason of its failure.
    fn turn(&mut self) -> impl Future<Output = Result<Duration, String>> + Send;

    /// Logs the first of several failures in a row.
    fn log_failure(&self, why: &str);
}

/// The context that the runner of a duty needs.
#[derive(Clone)]
struct Surroundings {
    leadership: Leadership,
    barrier: Barrier,
    stop: Stop,
}

/// The duties of a process. Each duty is a task.
pub(super) struct Duties {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    runtime: Handle,
    surroundings: Surroundings,
}

impl Duties {
    /// Starts every duty that the settings ask for.
    pub(super) fn of(process: &Process, runtime: &Handle, ring: &Ring, leadership: &Leadership) -> Self {
        let mut duties = Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            runtime: runtime.clone(),
            surroundings: Surroundings {
                leadership: leadership.clone(),
                barrier: process.barrier.clone(),
                stop: process.stop.clone(),
            },
        };
        let config = &process.config;
        duties.start(caretaker::Caretaker::new(process, ring));
        duties.start(disks::DiskDuty::new(process));
        if process.checks_topics {
            duties.start(topics::TopicDuty::new(process));
        }
        if !config.ring.premint.is_zero() {
            duties.start(premint::PremintDuty::new(process, ring));
        }
        if config.control.execute {
            duties.start(failsafe::FailSafe::new(process));
            duties.start(scrub::ScrubDuty::new(process, leadership));
            if !config.retention.sweep.is_zero() {
                duties.start(sweep::SweepDuty::new(process, leadership));
            }
            if !config.reclaim.every.is_zero() {
                duties.start(reclaim::ReclaimDuty::new(process));
            }
            if !config.kek.destroy.is_zero() {
                duties.start(keks::KekDuty::new(process));
            }
        }
        duties
    }

    fn start<D: Duty>(&mut self, duty: D) {
        let task = self.tasks.spawn_on(keep(duty, self.surroundings.clone()), &self.runtime);
        self.names.insert(task.id(), D::NAME);
    }

    /// Reports each duty that panics to `ended`. The returned handle aborts the watch and all duties.
    pub(super) fn watch(mut self, ended: mpsc::UnboundedSender<Ended>) -> AbortHandle {
        let runtime = self.runtime.clone();
        let watch = async move {
            while let Some(outcome) = self.tasks.join_next_with_id().await {
                if let Err(error) = outcome
                    && error.is_panic()
                {
                    let name = self.names.get(&error.id()).copied().unwrap_or("a duty");
                    // The receiver is gone only when the process ends anyway.
                    drop(ended.send((name.to_owned(), Err(Halt::Panicked))));
                }
            }
        };
        runtime.spawn(watch).abort_handle()
    }
}

/// Takes turns until the task is aborted.
async fn keep<D: Duty>(mut duty: D, surroundings: Surroundings) {
    let Surroundings { leadership, barrier, stop } = surroundings;
    if D::AFTER_RECEIPTS && !barrier.opened(stop).await {
        return;
    }
    let mut failing = false;
    loop {
        let seen = leadership.now();
        if D::WHO == Who::Leader && !seen.is_held() {
            leadership.held().await;
            continue;
        }
        #[cfg(feature = "testkit")]
        crate::testkit::panic_point(D::NAME);
        let pause = match duty.turn().await {
            Ok(pause) => {
                failing = false;
                pause
            }
            Err(why) => {
                if !std::mem::replace(&mut failing, true) {
                    duty.log_failure(&why);
                }
                duty.interval()
            }
        };
        leadership.rest(seen, pause, D::AFTER_SWEEPS).await;
    }
}

#[cfg(test)]
mod tests;
