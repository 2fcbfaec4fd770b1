//! The registry: every metric is registered here, once, and handed down as its room's struct.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::{CanaryMetrics, ForgetMetrics, KeyMetrics, LaneMetrics, Readiness, ReceiptMetrics, StoreMetrics};

/// What the process tells about itself. Clones share everything.
#[derive(Clone)]
pub struct Telemetry {
    registry: Registry,
    lanes: LaneMetrics,
    keys: KeyMetrics,
    store: StoreMetrics,
    forget: ForgetMetrics,
    receipts: ReceiptMetrics,
    canary: CanaryMetrics,
    /// What `/readyz` says.
    pub readiness: Readiness,
}

impl Telemetry {
    /// Registers every metric, so that each is on `/metrics` from the first scrape where it has no labels.
    pub fn new() -> Self {
        let registry = Registry::new();
        let family = Family { registry: &registry };
        let build = family.gauges("build_info", "1, with the version in a label", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // Pinned at 0: plaintext cannot be handed to a producer, so nothing ever counts here. Alerts watch it.
        let _pinned =
            family.counter("plaintext_published_total", "Plaintext records published: 0 by construction");
        Self {
            lanes: LaneMetrics::register(&family),
            keys: KeyMetrics::register(&family),
            store: StoreMetrics::register(&family),
            forget: ForgetMetrics::register(&family),
            receipts: ReceiptMetrics::register(&family),
            canary: CanaryMetrics::register(&family),
            readiness: Readiness::default(),
            registry,
        }
    }

    /// The metrics of one lane, by its number within the process.
    pub fn lane(&self, number: usize) -> LaneMetrics {
        self.lanes.of_lane(number)
    }

    pub fn keys(&self) -> KeyMetrics {
        self.keys.clone()
    }

    pub fn store(&self) -> StoreMetrics {
        self.store.clone()
    }

    pub fn forget(&self) -> ForgetMetrics {
        self.forget.clone()
    }

    pub fn receipts(&self) -> ReceiptMetrics {
        self.receipts.clone()
    }

    pub fn canary(&self) -> CanaryMetrics {
        self.canary.clone()
    }

    /// Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory cannot fail; a family without samples is left out by `gather`.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes metrics named `hourseal_…` and registers them.
pub(super) struct Family<'r> {
    registry: &'r Registry,
}

impl Family<'_> {
    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(opts(name, help)))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(name, help), labels))
    }

    pub(super) fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.add(GaugeVec::new(opts(name, help), labels))
    }

    pub(super) fn second(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::with_opts(opts(name, help)))
    }

    /// Buckets in seconds, rising.
    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
        self.add(Histogram::with_opts(opts))
    }

    /// As [`Family::histogram`], by label.
    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
        self.add(HistogramVec::new(opts, labels))
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names, labels and buckets are literals, as a test shows");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("each name is registered once, as a test shows");
        metric
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("hourseal")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{Transaction, Wait};

    #[test]
    fn the_first_scrape_shows_the_build_and_the_pinned_zero() {
        let text = String::from_utf8(Telemetry::new().render()).expect("text");
        assert!(text.contains(concat!("hourseal_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
        assert!(text.contains("hourseal_plaintext_published_total 0"));
    }

    #[test]
    fn two_lanes_add_up_and_wait_each_for_itself() {
        let telemetry = Telemetry::new();
        let lanes = [telemetry.lane(0), telemetry.lane(1)];
        for lane in &lanes {
            lane.sealed_batch(10, 1000, 1680, Duration::from_millis(1));
            lane.settled(Transaction::Committed, Duration::from_millis(12));
        }
        lanes[1].waits(Wait::Store);
        let text = String::from_utf8(telemetry.render()).expect("text");
        assert!(text.contains("hourseal_events_total{outcome=\"sealed\"} 20"));
        assert!(text.contains("hourseal_transactions_total{outcome=\"committed\"} 2"));
        assert!(text.contains("hourseal_waiting{lane=\"0\",why=\"store\"} 0"));
        assert!(text.contains("hourseal_waiting{lane=\"1\",why=\"store\"} 1"));
        lanes[1].works();
        let text = String::from_utf8(telemetry.render()).expect("text");
        assert!(text.contains("hourseal_waiting{lane=\"1\",why=\"store\"} 0"));
    }

    #[test]
    fn no_metric_has_a_customer_label() {
        let text = String::from_utf8(Telemetry::new().render()).expect("text");
        assert!(!text.contains("customer"));
        assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| line.starts_with("hourseal_")));
    }
}
