//! `hourseal_ready`: each condition of `/readyz` as a series, read when `/metrics` is asked for.

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::Readiness;
use super::registry::opts;

/// The conditions of a board as gauges. A condition that was removed from the board has no series any more.
pub(super) struct ReadyGauge {
    board: Readiness,
    /// Without series. It describes the family to the registry.
    family: GaugeVec,
}

impl ReadyGauge {
    pub(super) fn new(board: Readiness) -> Self {
        Self { board, family: family() }
    }
}

fn family() -> GaugeVec {
    let help =
        "1 while this condition of /readyz is met, else 0. `running` is 0 while the process starts or stops";
    GaugeVec::new(opts("ready", help), &["condition"]).expect("the names are literals, as a test shows")
}

impl Collector for ReadyGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.family.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let family = family();
        for (condition, is_met) in self.board.states() {
            family.with_label_values(&[&condition]).set(f64::from(u8::from(is_met)));
        }
        family.collect()
    }
}
