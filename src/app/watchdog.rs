//! Kafka calls that last too long. The watchdog reports them on `/readyz`. After two minutes it ends the
//! process if a broker answers: exactly-once makes that a legal recovery. During an outage it waits: a
//! restart would not help.

use std::time::Duration;

use super::supervision::Heart;
use crate::stream::{Pulse, Stop};
use crate::telemetry::Condition;

/// A longer call is reported.
const SLOW: Duration = Duration::from_secs(5);
/// A longer call is stuck.
const STUCK: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(500);

/// The lanes' signs of life, and the condition that reports slow calls.
pub(super) struct Watchdog {
    pub(super) pulses: Vec<(String, Pulse)>,
    pub(super) condition: Condition,
    /// Beats at each look.
    pub(super) heart: Heart,
}

impl Watchdog {
    /// Checks the lanes until the stop. `answers` asks a broker; `give_up` ends the process.
    pub(super) fn watch(&self, stop: &Stop, answers: impl Fn() -> bool, give_up: impl Fn(&str)) {
        while !stop.requested() {
            self.heart.beat();
            match self.longest() {
                Some((lane, lasted)) if lasted > STUCK && answers() => give_up(lane),
                Some((lane, lasted)) if lasted > SLOW => {
                    self.condition
                        .unmet(format!("{lane} has waited for the broker for {} s", lasted.as_secs()));
                }
                _ => self.condition.met(),
            }
            std::thread::sleep(LOOK);
        }
    }

    fn longest(&self) -> Option<(&str, Duration)> {
        let calls = self.pulses.iter().filter_map(|(lane, pulse)| Some((lane.as_str(), pulse.stuck_for()?)));
        calls.max_by_key(|(_, lasted)| *lasted)
    }
}
