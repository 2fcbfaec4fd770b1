//! Reports of the process about itself: the registry of metrics, readiness, log lines.
//!
//! Promise: no metric has a customer label; each log line has an event code; no code here runs per event.
//! Not here: the metrics (`metrics.rs` of each room), the port that serves them (`edge::http`).
//! Start at [`Registry`]. The codes of log lines are in [`codes`].

pub mod codes;
mod families;
mod labels;
mod line;
mod log;
mod readiness;
mod ready_gauge;
mod registry;
mod throttle;

pub use prometheus::{Gauge, Histogram, IntCounter as Counter};

pub use crate::{__line as line, debug, error, info, warn};
pub use codes::Code;
pub use families::{Counters, Gauges, Histograms, NumberedGauges};
pub(crate) use labels::label;
pub use labels::{Label, LabelSet};
pub use log::{LogFormat, LogLevel, Logging, end as end_log, log_panics, start as start_logging};
pub use readiness::{Condition, Readiness, Reason, START};
pub use registry::{Family, Registry};

/// The source revision of this build: `HOURSEAL_REVISION` of the environment of the compiler.
pub const REVISION: &str = match option_env!("HOURSEAL_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The reports of the process about itself. Clones share everything.
#[derive(Clone)]
pub struct Telemetry {
    /// The source of `/metrics`.
    pub registry: Registry,
    /// The source of `/readyz`.
    pub readiness: Readiness,
}

impl Telemetry {
    /// Starts with the version and the readiness on `/metrics`, and without a condition on `/readyz`.
    pub fn new() -> Self {
        let registry = Registry::default();
        let readiness = Readiness::default();
        registry.build_info();
        registry.process();
        registry.readiness(&readiness);
        Self { registry, readiness }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}
