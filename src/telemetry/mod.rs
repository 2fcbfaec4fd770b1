//! What the process tells about itself: the registry of metrics, readiness, log lines.
//!
//! Promise: no metric has a customer label; each log line has an event code; nothing here is called per event.
//! Not here: what is measured (`metrics.rs` of each room), the port that serves it (`edge::http`).
//! Start at [`Registry`]; the codes of log lines stand in [`codes`].

pub mod codes;
mod families;
mod labels;
mod log;
mod readiness;
mod registry;

pub use prometheus::{Gauge, Histogram, IntCounter as Counter};

pub use crate::{__line as line, debug, error, info, warn};
pub use codes::Code;
pub use families::{Counters, Gauges, Histograms, NumberedGauges};
pub(crate) use labels::label;
pub use labels::{Label, LabelSet};
pub use log::{LogFormat, LogLevel, start as start_logging};
pub use readiness::{Condition, Readiness, Reason};
pub use registry::Registry;

/// What the process tells about itself. Clones share everything.
#[derive(Clone)]
pub struct Telemetry {
    /// What `/metrics` says.
    pub registry: Registry,
    /// What `/readyz` says.
    pub readiness: Readiness,
}

impl Telemetry {
    /// With the version on `/metrics`, and no condition on `/readyz`.
    pub fn new() -> Self {
        let registry = Registry::default();
        registry.build_info();
        Self { registry, readiness: Readiness::default() }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}
