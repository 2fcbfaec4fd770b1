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

/// The watchdog's questions about the broker.
pub(super) struct Broker<'a> {
    /// Asks it.
    pub(super) answers: &'a dyn Fn() -> bool,
    /// Why a connection failed recently.
    pub(super) last_failure: &'a dyn Fn() -> Option<String>,
}

impl Watchdog {
    /// Checks the lanes until the stop. `give_up` ends the process.
    pub(super) fn watch(&self, stop: &Stop, broker: &Broker<'_>, give_up: impl Fn(&str)) {
        while !stop.requested() {
            self.heart.beat();
            match self.longest() {
                Some((lane, lasted)) if lasted > STUCK && (broker.answers)() => give_up(lane),
                Some((lane, lasted)) if lasted > SLOW => {
                    let why = (broker.last_failure)().map(|why| format!(": {why}")).unwrap_or_default();
                    let seconds = lasted.as_secs();
                    self.condition.unmet(format!("{lane} has waited for the broker for {seconds} s{why}"));
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
