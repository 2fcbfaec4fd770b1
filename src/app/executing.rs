//! The executor's thread: one more lane, over the control topic.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::Failure;
use super::calling::Seat;
use super::forgetting::ExecutorObserver;
use super::process::{Process, no_thread};
use super::threads::Ended;
use super::trust::{announce, trust_source};
use crate::edge::kafka::LaneIdentity;
use crate::forget::{Executor, ExecutorParts, SETTLES_IN, VAULT_FILES};
use crate::stream::{Pace, Pulse};

impl Process {
    /// The owner of the control topic's partition executes; the other processes' executors stand by.
    pub(super) fn start_executor(
        &self,
        runtime: &Runtime,
        seat: Seat,
        pulse: Pulse,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Result<JoinHandle<()>, Failure> {
        let condition = self.telemetry.readiness.condition("executor");
        let trust = trust_source(&self.config.control)?;
        announce(&self.config.control, &self.telemetry.readiness);
        let executor = Executor::new(ExecutorParts {
            store: Arc::clone(&self.foundation.store),
            vault: Arc::clone(&self.foundation.vault),
            clock: Arc::clone(&self.foundation.clock),
            runtime: runtime.handle().clone(),
            trust,
            signatures_required: self.config.control.require_signatures,
            receipt_bytes: self.sizes.receipts_bytes.saturating_sub(1_024),
            assumptions: vec![VAULT_FILES.code.to_owned()],
            settles_in: settles_in(),
            observer: Box::new(ExecutorObserver::new(self.telemetry.forget(), condition, seat)),
        });
        let topics = &self.config.topics;
        let identity = LaneIdentity {
            outputs: vec![topics.receipts.clone()],
            batch_bytes: self.sizes.receipts_bytes,
            message_bytes: self.sizes.receipts_bytes,
            ..self.identity(
                &format!("{}.control", self.config.kafka.group),
                "control".to_owned(),
                &topics.control,
            )
        };
        let pace = Pace { batch_time: self.config.lane.batch_time, batch_events: 1_000 };
        let tell = move |outcome| drop(ended.send(("the executor".to_owned(), outcome)));
        self.thread(runtime, identity, pace, pulse).spawn(executor, tell).map_err(no_thread)
    }
}

/// How long a change of a retention waits before it is settled.
fn settles_in() -> Duration {
    #[cfg(feature = "testkit")]
    if let Some(time) = crate::testkit::settles_in() {
        return time;
    }
    SETTLES_IN
}
