//! The registry. Rooms register their metrics here when the process is built, each name once.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    TextEncoder,
};

use super::families::{Counters, Gauges, Histograms, NumberedGauges};
use super::labels::LabelSet;
use super::readiness::Readiness;
use super::ready_gauge::ReadyGauge;

/// Every metric of the process, named `hourseal_…`. Clones share everything.
///
/// A metric's help text is its only documentation.
#[derive(Clone, Default)]
pub struct Registry(prometheus::Registry);

impl Registry {
    /// # Panics
    /// Panics, like each method here, if the name is already registered. A room registers once per process.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    pub fn counters<L: LabelSet>(&self, name: &str, help: &str) -> Counters<L> {
        Counters::new(self.add(IntCounterVec::new(opts(name, help), L::NAMES)))
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::with_opts(opts(name, help)))
    }

    pub fn gauges<L: LabelSet>(&self, name: &str, help: &str) -> Gauges<L> {
        Gauges::new(self.add(GaugeVec::new(opts(name, help), L::NAMES)))
    }

    /// Gauges by a number, whose label has the name `number`, and by `L`.
    pub fn numbered<L: LabelSet>(&self, name: &str, help: &str, number: &str) -> NumberedGauges<L> {
        let names: Vec<&str> = std::iter::once(number).chain(L::NAMES.iter().copied()).collect();
        NumberedGauges::new(self.add(GaugeVec::new(opts(name, help), &names)))
    }

    /// `buckets` are upper bounds in ascending order.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.add(Histogram::with_opts(bucketed(name, help, buckets)))
    }

    /// As [`Registry::histogram`], by label.
    pub fn histograms<L: LabelSet>(&self, name: &str, help: &str, buckets: &[f64]) -> Histograms<L> {
        Histograms::new(self.add(HistogramVec::new(bucketed(name, help, buckets), L::NAMES)))
    }

    /// Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory cannot fail. `gather` leaves out a family without samples.
        let _ = TextEncoder::new().encode(&self.0.gather(), &mut text);
        text
    }

    /// Registers the series with value 1 whose label is the version.
    pub(super) fn build_info(&self) {
        let help = "Always 1; the label is the version";
        let build = self.add(GaugeVec::new(opts("build_info", help), &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    }

    /// Registers the conditions of `/readyz`.
    pub(super) fn readiness(&self, board: &Readiness) {
        let gauge = ReadyGauge::new(board.clone());
        self.0.register(Box::new(gauge)).expect("each name is registered once, as a test shows");
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names, labels and buckets are literals, as a test shows");
        self.0.register(Box::new(metric.clone())).expect("each name is registered once, as a test shows");
        metric
    }
}

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("hourseal")
}

fn bucketed(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::label;

    label! {
        enum Colour: "colour" {
            Blue = "blue",
            Red = "red",
        }
    }

    fn text(registry: &Registry) -> String {
        String::from_utf8(registry.render()).expect("text")
    }

    #[test]
    fn every_value_of_a_label_is_there_from_the_start() {
        let registry = Registry::default();
        let counters = registry.counters::<Colour>("things_total", "Things");
        registry.histograms::<Colour>("things_seconds", "Things", &[1.0]);
        let before = text(&registry);
        for colour in ["blue", "red"] {
            assert!(
                before.contains(&format!("hourseal_things_total{{colour=\"{colour}\"}} 0\n")),
                "{before}"
            );
            assert!(before.contains(&format!("things_seconds_count{{colour=\"{colour}\"}} 0\n")), "{before}");
        }
        counters.add(Colour::Red, 2);
        assert!(text(&registry).contains("hourseal_things_total{colour=\"red\"} 2\n"));
    }

    #[test]
    fn a_number_comes_and_goes_with_all_of_its_series() {
        let registry = Registry::default();
        let gauges = registry.numbered::<Colour>("lanes", "Lanes", "lane");
        gauges.set(0, Colour::Blue, 1.0);
        gauges.set(1, Colour::Blue, 1.0);
        gauges.remove(0);
        let text = text(&registry);
        assert!(text.contains("hourseal_lanes{colour=\"blue\",lane=\"1\"} 1\n"), "{text}");
        assert!(!text.contains("lane=\"0\""), "{text}");
    }
}
