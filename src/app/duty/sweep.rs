//! The sweep: counts the due hours. If this process executes commands, it also writes calls to erase them.

use std::time::Duration;

use super::{Duty, Who};
use crate::app::Foundation;
use crate::app::control_writer::ControlWriter;
use crate::app::leadership::Leadership;
use crate::app::process::Process;
use crate::forget::{DueLooks, ForgetMetrics, Pending, SWEEP_HOURS, Wants};
use crate::telemetry::{codes, warn};

/// Most overdue hours to count in one turn.
const COUNTED: usize = 10_000;

pub(super) struct SweepDuty {
    foundation: Foundation,
    metrics: ForgetMetrics,
    control: ControlWriter,
    leadership: Leadership,
    looks: DueLooks,
    /// `retention.sweep`
    every: Duration,
}

impl SweepDuty {
    pub(super) fn new(process: &Process, leadership: &Leadership) -> Self {
        Self {
            foundation: process.foundation.clone(),
            metrics: process.metrics.forget.clone(),
            control: ControlWriter::new(process),
            leadership: leadership.clone(),
            looks: DueLooks::default(),
            every: process.config.retention.sweep,
        }
    }

    /// Writes one call for each sweep that is needed, with the due of the first hour that the sweep will
    /// find.
    async fn call(&self, pending: &Pending) -> Result<(), String> {
        for hour in pending.free().step_by(SWEEP_HOURS) {
            self.control.call(Wants::Sweep(hour.due)).await?;
        }
        Ok(())
    }
}

impl Duty for SweepDuty {
    const NAME: &'static str = "sweep";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = true;
    const AFTER_SWEEPS: bool = true;

    fn interval(&self) -> Duration {
        self.every
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        let Foundation { store, clock, .. } = &self.foundation;
        let pending = self.looks.look(&**store, &**clock, COUNTED).await;
        let pending = pending.map_err(|error| error.to_string())?;
        let overdue = pending.free().count();
        let lag = Duration::from_millis(u64::try_from(pending.lag_ms()).unwrap_or(0));
        self.metrics.overdue(overdue, lag);
        if self.leadership.now().is_held() {
            self.call(&pending).await?;
        }
        Ok(self.every)
    }

    fn log_failure(&self, why: &str) {
        warn!(codes::SWEEP_WAITS, why, "the sweep failed and tries again; due hours stay until then");
    }
}
