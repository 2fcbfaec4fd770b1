//! The steps of a start and the reasons for its waits, on `/readyz` and in the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::edge::kafka::Waiting;
use crate::keys::StoreError;
use crate::telemetry::{Condition, START, Telemetry, codes, warn};

/// The condition `start` of a process that serves. Clones share it. A command has none: it says itself what
/// it waits for.
#[derive(Clone, Default)]
pub(super) struct Starting(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// `None` for a command, and after the start.
    condition: Option<Condition>,
    step: &'static str,
    /// The reason that the log has named last.
    named: Option<String>,
}

impl Starting {
    pub(super) fn of(telemetry: &Telemetry) -> Self {
        let this = Self::default();
        this.state().condition = Some(telemetry.readiness.condition(START));
        this.at("the key store is being opened");
        this
    }

    pub(super) fn at(&self, step: &'static str) {
        let mut state = self.state();
        state.step = step;
        state.tell(step);
    }

    /// Reports each reason, and logs it once in a row.
    pub(super) fn waits_for_the_store(&self, why: &StoreError) {
        let (why, mut state) = (why.to_string(), self.state());
        state.tell(&why);
        if state.is_new(&why) {
            warn!(codes::STORE_AWAY, why, "the key store cannot be opened yet; retrying");
        }
    }

    /// The same for the cluster. `None`: a broker answers, and the step continues.
    pub(super) fn waits_for_kafka(&self, waiting: Option<&Waiting>) {
        let mut state = self.state();
        let Some(waiting) = waiting else {
            return state.tell(state.step);
        };
        let why = waiting.to_string();
        state.tell(&why);
        if waiting.why.is_some() && state.is_new(&why) {
            warn!(codes::KAFKA_AWAITED, "{why}");
        }
    }

    /// Removes the condition. After the start only the threads' own conditions count.
    pub(super) fn is_over(&self) {
        self.state().condition = None;
    }

    /// A panic elsewhere leaves the state consistent: a wrong reason would be replaced by the next one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self, why: &str) {
        self.condition.iter().for_each(|condition| condition.unmet(why));
    }

    /// Whether the log has not named this reason last. Notes it.
    fn is_new(&mut self, why: &str) -> bool {
        let is_new = self.named.as_deref() != Some(why);
        self.named = Some(why.to_owned());
        is_new
    }
}
