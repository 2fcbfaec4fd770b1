//! The start log, in the key store.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::keys::{SealStore, StoreError};
use crate::model::Started;
use crate::stream::StartLog;
use crate::telemetry::{codes, warn};

/// Longest wait for the store. A lane stores its starts after a commit.
const ANSWER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(10);

/// Stores in the key store which partitions of an input were started.
pub(super) struct StoreStarts {
    store: Arc<dyn SealStore>,
    runtime: Handle,
    /// `<group>/<topic>`
    input: String,
    /// Earliest time to ask the store again after it did not answer: a lane must not wait for it at each
    /// commit.
    ask_again: Mutex<Option<Instant>>,
}

impl StoreStarts {
    pub(super) fn new(store: Arc<dyn SealStore>, runtime: Handle, group: &str, topic: &str) -> Self {
        Self { store, runtime, input: format!("{group}/{topic}"), ask_again: Mutex::default() }
    }

    fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(ANSWER, call).await });
        answer.map_err(|_| "the key store did not answer".to_owned())?.map_err(|error| error.to_string())
    }
}

impl StartLog for StoreStarts {
    fn started(&self) -> Result<Vec<Started>, String> {
        self.ask(self.store.started(&self.input))
    }

    fn mark_started(&self, partitions: &[Started]) -> Result<(), String> {
        let mut ask_again = self.ask_again.lock().unwrap_or_else(PoisonError::into_inner);
        if ask_again.is_some_and(|at| Instant::now() < at) {
            return Err("the key store did not answer at the last try, less than 10 s ago".to_owned());
        }
        let outcome = self.ask(self.store.mark_started(&self.input, partitions));
        *ask_again = outcome.is_err().then(|| Instant::now() + PAUSE);
        if let Err(why) = &outcome {
            warn!(codes::STORE_AWAY, why, "started partitions are not stored yet");
        }
        outcome
    }
}
