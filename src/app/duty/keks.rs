//! KEKs whose day has ended: counts them, and writes a call to destroy each one that no key and no hold
//! needs.

use std::time::Duration;

use super::{Duty, Who};
use crate::app::Foundation;
use crate::app::control_writer::ControlWriter;
use crate::app::process::Process;
use crate::forget::{DueKek, ForgetMetrics, Wants, due_keks};
use crate::telemetry::{codes, warn};

/// Time to the next turn after a turn that has written a call.
const SOON: Duration = Duration::from_secs(10);

/// Only the leader takes turns: each one may scan all keys.
pub(super) struct KekDuty {
    foundation: Foundation,
    metrics: ForgetMetrics,
    control: ControlWriter,
    /// `kek.destroy`
    every: Duration,
}

impl KekDuty {
    pub(super) fn new(process: &Process) -> Self {
        Self {
            foundation: process.foundation.clone(),
            metrics: process.metrics.forget.clone(),
            control: ControlWriter::new(process),
            every: process.config.kek.destroy,
        }
    }
}

impl Duty for KekDuty {
    const NAME: &'static str = "kek destruction";
    const WHO: Who = Who::Leader;
    const AFTER_RECEIPTS: bool = true;

    fn interval(&self) -> Duration {
        self.every
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        let Foundation { store, clock, .. } = &self.foundation;
        let ended = due_keks(&**store, &**clock).await.map_err(|error| error.to_string())?;
        let (free, kept): (Vec<DueKek>, Vec<DueKek>) = ended.into_iter().partition(DueKek::is_free);
        let needed = kept.iter().filter(|kek| kek.needed > 0).count();
        self.metrics.ended_keks(needed, kept.len() - needed, free.len());
        for DueKek { id, .. } in &free {
            self.control.call(Wants::DestroyKek(id.clone())).await?;
        }
        Ok(if free.is_empty() { self.every } else { SOON.min(self.every) })
    }

    fn log_failure(&self, why: &str) {
        warn!(codes::KEKS_WAIT, why, "could not find or destroy ended KEKs; they stay until the next try");
    }
}
