//! What the canary tells.

use prometheus::{Gauge, IntCounterVec};

use super::registry::Family;

/// What became of a canary's event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CanaryOutcome {
    /// It was sealed, and opened to what was put in.
    Opened,
    /// It opens no more, and its key seals no more in this process.
    Forgotten,
    /// It was not found in the output.
    NotSealed,
    /// It is due, and still opens.
    StillOpens,
}

impl CanaryOutcome {
    const ALL: [Self; 4] = [Self::Opened, Self::Forgotten, Self::NotSealed, Self::StillOpens];

    const fn code(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Forgotten => "forgotten",
            Self::NotSealed => "not-sealed",
            Self::StillOpens => "still-opens",
        }
    }
}

/// The metrics of the canary.
#[derive(Clone)]
pub struct CanaryMetrics {
    events: IntCounterVec,
    last_proof: Gauge,
}

impl CanaryMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        let events = family.counters(
            "canary_events_total",
            "Events of the canary by what became of them",
            &["outcome"],
        );
        for outcome in CanaryOutcome::ALL {
            events.with_label_values(&[outcome.code()]);
        }
        let last_proof = family.second(
            "canary_last_proof_timestamp_seconds",
            "When this process last saw that an event of the canary, which it had opened, opens no more; at first, when it began; 0 = no canary",
        );
        Self { events, last_proof }
    }

    pub fn came_to(&self, outcome: CanaryOutcome) {
        self.events.with_label_values(&[outcome.code()]).inc();
    }

    /// At `seconds` since the epoch.
    pub fn proven_at(&self, seconds: f64) {
        self.last_proof.set(seconds);
    }
}
