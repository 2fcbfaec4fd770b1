//! Leadership: one process of the group executes commands. The executor reports it; duties ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Tells duties whether this process executes commands, and how often it has swept. Clones share it.
#[derive(Clone)]
pub(super) struct Leadership(Arc<watch::Sender<Held>>);

/// The state at one moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    held: bool,
    sweeps: u64,
}

impl Held {
    pub(super) fn is_held(self) -> bool {
        self.held
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Held::default())))
    }
}

impl Leadership {
    /// This process has, or has no longer, the control topic's partition.
    pub(super) fn set_held(&self, held: bool) {
        self.0.send_modify(|now| now.held = held);
    }

    /// This process has executed a sweep that found something.
    pub(super) fn swept(&self) {
        self.0.send_modify(|now| now.sweeps += 1);
    }

    pub(super) fn now(&self) -> Held {
        *self.0.borrow()
    }

    /// Waits until this process executes.
    pub(super) async fn held(&self) {
        // The sender lives as long as this does.
        drop(self.0.subscribe().wait_for(|now| now.held).await);
    }

    /// Waits for `most`, or until this process has begun to execute since `seen`; with `sweeps` also until it has
    /// swept since.
    pub(super) async fn rest(&self, seen: Held, most: Duration, sweeps: bool) {
        let mut states = self.0.subscribe();
        let wakes = |now: &Held| (now.held && !seen.held) || (sweeps && now.sweeps != seen.sweeps);
        drop(tokio::time::timeout(most, states.wait_for(wakes)).await);
    }
}
