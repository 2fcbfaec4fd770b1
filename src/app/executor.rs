//! The executor's thread: an additional lane, on the control topic.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Failure;
use super::forgetting::ExecutorObserver;
use super::leadership::Leadership;
use super::process::Process;
use super::threads::Threads;
use super::trust::{announce, trust_source};
use crate::config::Store as StoreConfig;
use crate::edge::kafka::LaneIdentity;
use crate::forget::{DISKS, Executor, ExecutorParts, SETTLES_IN, VAULT_FILES};
use crate::lane::{GroupView, Reads};
use crate::stream::{Board, Pace, Pulse};

impl Process {
    /// Starts the executor. The owner of the control topic's partition executes; the executors of the other
    /// processes stand by.
    pub(super) fn start_executor(
        &self,
        threads: &mut Threads,
        runtime: &Handle,
        leadership: Leadership,
    ) -> Result<(), Failure> {
        let condition = self.telemetry.readiness.condition("executor");
        let group = format!("{}.control", self.config.kafka.group);
        let members =
            GroupView::new(&group, Reads::Control, self.metrics.groups.clone(), &self.telemetry.readiness);
        let observer = ExecutorObserver::new(self.metrics.forget.clone(), condition, leadership, members);
        let trust = trust_source(&self.config.control)?;
        announce(&self.config.control, &self.telemetry.readiness);
        let executor = Executor::new(ExecutorParts {
            store: Arc::clone(&self.foundation.store),
            vault: Arc::clone(&self.foundation.vault),
            clock: Arc::clone(&self.foundation.clock),
            runtime: runtime.clone(),
            trust,
            signatures_required: self.config.control.require_signatures,
            receipt_bytes: self.sizes.receipts.now().saturating_sub(1_024),
            assumptions: assumptions(&self.config.store),
            settles_in: settles_in(),
            observer: Box::new(observer),
        });
        let topics = &self.config.topics;
        let identity = LaneIdentity {
            outputs: vec![topics.receipts.clone()],
            max_message_bytes: vec![self.sizes.receipts.clone()],
            ..self.identity(&group, "control".to_owned(), &topics.control)
        };
        let pace = Pace { batch_time: self.config.lane.batch_time, batch_events: 1_000 };
        let (name, pulse) = ("the executor", Pulse::default());
        let thread = self.thread(runtime, identity, pace, pulse.clone(), Board::default());
        let thread = thread.spawn(executor, threads.ended_of(name))?;
        threads.add_lane(name.to_owned(), pulse, thread);
        Ok(())
    }
}

/// Delay before a change of a retention is settled.
fn settles_in() -> Duration {
    #[cfg(feature = "testkit")]
    if let Some(time) = crate::testkit::settles_in() {
        return time;
    }
    SETTLES_IN
}

/// The assumptions of receipts that come with this vault and this store.
fn assumptions(store: &StoreConfig) -> Vec<String> {
    // A server keeps erased keys in its files until they are purged: A4 is about that.
    let of_the_store = matches!(store, StoreConfig::Sqlite { .. }).then_some(DISKS);
    [VAULT_FILES].into_iter().chain(of_the_store).map(|it| it.code.to_owned()).collect()
}
