//! Pre-minting's thread: a tick a second, told to metrics, and to the log where it fails. Decides nothing.

use std::time::{Duration, Instant};

use crate::keys::{Cause, Premint, Tick};
use crate::stream::Stop;
use crate::telemetry::{KeyMetrics, codes, warn};

/// Longest sleep, and thereby wait for the stop.
const NAP: Duration = Duration::from_millis(200);

/// The next hour's keys, obtained and counted.
pub(super) struct Preminting {
    premint: Premint,
    metrics: KeyMetrics,
    /// Since a failure, until slots are answered again.
    failing: bool,
}

impl Preminting {
    pub(super) fn new(premint: Premint, metrics: KeyMetrics) -> Self {
        Self { premint, metrics, failing: false }
    }

    /// Ticks until the stop.
    pub(super) fn run(mut self, stop: &Stop) {
        while !stop.requested() {
            let next = Instant::now() + Premint::TICK;
            let tick = self.premint.tick(next);
            self.tell(&tick);
            while !stop.requested() && Instant::now() < next {
                std::thread::sleep(NAP.min(next.saturating_duration_since(Instant::now())));
            }
        }
    }

    /// A line at the first of several failures. A store that is merely slow is none: what was asked goes on.
    fn tell(&mut self, tick: &Tick) {
        self.metrics.preminted(tick.ready, tick.refused, tick.waiting);
        match &tick.why {
            Some(why) if why.cause() == Cause::Deadline => {}
            Some(why) if !std::mem::replace(&mut self.failing, true) => {
                warn!(codes::PREMINT_WAITS, slots = tick.waiting, why = why.reason(), "pre-minting waits");
            }
            Some(_) => {}
            None if tick.ready + tick.refused > 0 => self.failing = false,
            None => {}
        }
    }
}
