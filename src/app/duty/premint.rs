//! Pre-minting: obtains the next hour's keys before it begins.

use std::time::{Duration, Instant};

use super::{Duty, Who};
use crate::app::process::Process;
use crate::keys::{Cause, KeyMetrics, Premint, Ring, Tick};
use crate::telemetry::{codes, warn};

pub(super) struct PremintDuty {
    premint: Premint,
    metrics: KeyMetrics,
    /// True from a failure until slots are answered again.
    failing: bool,
}

impl PremintDuty {
    pub(super) fn new(process: &Process, ring: &Ring) -> Self {
        let premint = Premint::new(ring.clone(), process.config.ring.premint);
        Self { premint, metrics: process.metrics.keys.clone(), failing: false }
    }

    /// Logs the first of several failures in a row. A slow store is not a failure: the requests continue. A
    /// tick without work does not end a row of failures, so [`Duty::log_failure`] cannot do this.
    fn report(&mut self, tick: &Tick) {
        self.metrics.preminted(tick.ready, tick.refused, tick.waiting);
        match &tick.why {
            Some(why) if why.cause() == Cause::Deadline => {}
            Some(why) if !std::mem::replace(&mut self.failing, true) => {
                warn!(
                    codes::PREMINT_WAITS,
                    slots = tick.waiting,
                    why = why.reason(),
                    "pre-minting failed and tries again each second"
                );
            }
            Some(_) => {}
            None if tick.ready + tick.refused > 0 => self.failing = false,
            None => {}
        }
    }
}

impl Duty for PremintDuty {
    const NAME: &'static str = "pre-minting";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = false;

    fn interval(&self) -> Duration {
        Premint::TICK
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        let next = Instant::now() + Premint::TICK;
        // A tick waits for the ring as a lane does.
        let tick = tokio::task::block_in_place(|| self.premint.tick(next));
        self.report(&tick);
        Ok(next.saturating_duration_since(Instant::now()))
    }

    fn log_failure(&self, _why: &str) {}
}
