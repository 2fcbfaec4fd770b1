//! The registry. Rooms register their metrics here when the process is built, each name once.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    TextEncoder,
};

use super::REVISION;
use super::families::{Counters, Gauges, Histograms, NumberedGauges};
use super::labels::LabelSet;
use super::readiness::Readiness;
use super::ready_gauge::ReadyGauge;

const NAMESPACE: &str = "hourseal";

/// Every metric of the process, named `hourseal_…` or `process_…`. Clones share everything.
///
/// A metric's help text is its only documentation: `docs/metrics.md` is generated from it.
#[derive(Clone, Default)]
pub struct Registry {
    metrics: prometheus::Registry,
    declared: Arc<Mutex<Vec<Family>>>,
}

/// A family of series, as it is declared. It may have no series yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Family {
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub help: String,
    /// The name and the values of each label. No values: they are not known at start.
    pub labels: Vec<(String, Vec<&'static str>)>,
}

impl Registry {
    /// # Panics
    /// Panics, like each method here, if the name is already registered. A room registers once per process.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.declare::<()>("counter", name, help, None);
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    pub fn counters<L: LabelSet>(&self, name: &str, help: &str) -> Counters<L> {
        self.declare::<L>("counter", name, help, None);
        Counters::new(self.add(IntCounterVec::new(opts(name, help), L::NAMES)))
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.declare::<()>("gauge", name, help, None);
        self.add(Gauge::with_opts(opts(name, help)))
    }

    pub fn gauges<L: LabelSet>(&self, name: &str, help: &str) -> Gauges<L> {
        self.declare::<L>("gauge", name, help, None);
        Gauges::new(self.add(GaugeVec::new(opts(name, help), L::NAMES)))
    }

    /// Gauges by a number, whose label has the name `number`, and by `L`.
    pub fn numbered<L: LabelSet>(&self, name: &str, help: &str, number: &str) -> NumberedGauges<L> {
        self.declare::<L>("gauge", name, help, Some(number));
        let names: Vec<&str> = std::iter::once(number).chain(L::NAMES.iter().copied()).collect();
        NumberedGauges::new(self.add(GaugeVec::new(opts(name, help), &names)))
    }

    /// `buckets` are upper bounds in ascending order.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.declare::<()>("histogram", name, help, None);
        self.add(Histogram::with_opts(bucketed(name, help, buckets)))
    }

    /// As [`Registry::histogram`], by label.
    pub fn histograms<L: LabelSet>(&self, name: &str, help: &str, buckets: &[f64]) -> Histograms<L> {
        self.declare::<L>("histogram", name, help, None);
        Histograms::new(self.add(HistogramVec::new(bucketed(name, help, buckets), L::NAMES)))
    }

    /// Every family, by name.
    pub fn families(&self) -> Vec<Family> {
        let mut families = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for other in self.metrics.gather() {
            if families.iter().all(|family| family.name != other.name()) {
                families.push(collected(&other));
            }
        }
        families.sort_by(|one, other| one.name.cmp(&other.name));
        families
    }

    /// Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory cannot fail. `gather` leaves out a family without samples.
        let _ = TextEncoder::new().encode(&self.metrics.gather(), &mut text);
        text
    }

    /// Registers the series with value 1 whose labels are version and revision.
    pub(super) fn build_info(&self) {
        let help = "Always 1; the labels are the version and the source revision of this build";
        let build = self.add(GaugeVec::new(opts("build_info", help), &["version", "revision"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), REVISION]).set(1.0);
    }

    /// Registers the families `process_…`: memory, CPU, threads and file descriptors of this process.
    pub(super) fn process(&self) {
        #[cfg(all(feature = "edges", target_os = "linux"))]
        self.metrics
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("each name is registered once, as a test shows");
    }

    /// Registers the conditions of `/readyz`.
    pub(super) fn readiness(&self, board: &Readiness) {
        let gauge = ReadyGauge::new(board.clone());
        self.metrics.register(Box::new(gauge)).expect("each name is registered once, as a test shows");
    }

    fn declare<L: LabelSet>(&self, kind: &'static str, name: &str, help: &str, number: Option<&str>) {
        let values: Vec<_> = L::all().into_iter().map(LabelSet::values).collect();
        let label = |(at, name): (usize, &&str)| {
            let mut of: Vec<_> = values.iter().map(|values| values[at]).collect();
            of.sort_unstable();
            of.dedup();
            ((*name).to_owned(), of)
        };
        let number = number.map(|name| (name.to_owned(), Vec::new()));
        let labels = number.into_iter().chain(L::NAMES.iter().enumerate().map(label)).collect();
        let family = Family { name: format!("{NAMESPACE}_{name}"), kind, help: help.to_owned(), labels };
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).push(family);
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names, labels and buckets are literals, as a test shows");
        self.metrics
            .register(Box::new(metric.clone()))
            .expect("each name is registered once, as a test shows");
        metric
    }
}

/// A family that declares itself when it is collected.
fn collected(family: &MetricFamily) -> Family {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    };
    let labels = family.get_metric().first().map(Metric::get_label).unwrap_or_default();
    let labels = labels.iter().map(|label| (label.name().to_owned(), Vec::new())).collect();
    Family { name: family.name().to_owned(), kind, help: family.help().to_owned(), labels }
}

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
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
        let families = registry.families();
        let labels = [("lane".to_owned(), vec![]), ("colour".to_owned(), vec!["blue", "red"])];
        assert_eq!(
            (families.len(), families[0].kind, families[0].labels.as_slice()),
            (1, "gauge", &labels[..])
        );
        let text = text(&registry);
        assert!(text.contains("hourseal_lanes{colour=\"blue\",lane=\"1\"} 1\n"), "{text}");
        assert!(!text.contains("lane=\"0\""), "{text}");
    }
}
