//! Leadership: one process of the group executes commands. The executor reports it; duties read it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Holds for the duties whether this process executes commands, and its number of sweeps. Clones share the
/// state.
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
    /// Records whether this process has the control topic's partition.
    pub(super) fn set_held(&self, held: bool) {
        self.0.send_modify(|now| now.held = held);
    }

    /// Records that this process has executed a sweep that found due hours.
    pub(super) fn swept(&self) {
        self.0.send_modify(|now| now.sweeps += 1);
    }

    pub(super) fn now(&self) -> Held {
        *self.0.borrow()
    }

    /// Waits until this process executes commands.
    pub(super) async fn held(&self) {
        // The wait cannot fail: `self` keeps the sender alive.
        drop(self.0.subscribe().wait_for(|now| now.held).await);
    }

    /// Waits for `most`. Returns early if this process has begun to execute since `seen`, and with `sweeps`
    /// also if it has swept since.
    pub(super) async fn rest(&self, seen: Held, most: Duration, sweeps: bool) {
        let mut states = self.0.subscribe();
        let wakes = |now: &Held| (now.held && !seen.held) || (sweeps && now.sweeps != seen.sweeps);
        drop(tokio::time::timeout(most, states.wait_for(wakes)).await);
    }
}
