//! The metrics of a worker, registered once per process, and those of this room: process, topics, canary.

use std::time::Duration;

use crate::edge::disk::Space;
use crate::edge::scylla::StoreMetrics;
use crate::forget::{ForgetMetrics, log::LogMetrics};
use crate::keys::KeyMetrics;
use crate::lane::{GroupMetrics, LaneMetrics};
use crate::model::Millis;
use crate::telemetry::{Counter, Counters, Family, Gauge, Gauges, Registry, Telemetry, label};

/// The metrics of a process. `open_foundation` registers those of a key store on a cluster.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) groups: GroupMetrics,
    pub(super) lanes: LaneMetrics,
    pub(super) keys: KeyMetrics,
    pub(super) forget: ForgetMetrics,
    pub(super) log: LogMetrics,
    pub(super) topics: TopicMetrics,
    pub(super) disks: DiskMetrics,
}

impl Metrics {
    /// Registers the metrics of a process that starts `now`.
    pub(super) fn register(registry: &Registry, now: Millis) -> Self {
        let started = registry.gauge("start_time_seconds", "Unix time at which this process started");
        started.set(seconds(now));
        Self {
            groups: GroupMetrics::register(registry),
            lanes: LaneMetrics::register(registry),
            keys: KeyMetrics::register(registry),
            forget: ForgetMetrics::register(registry),
            log: LogMetrics::register(registry),
            topics: TopicMetrics::register(registry),
            disks: DiskMetrics::register(registry),
        }
    }
}

fn seconds(at: Millis) -> f64 {
    at.0 as f64 / 1_000.0
}

label! {
    /// The contents of a file system.
    pub(super) enum DiskOf: "of" {
        /// The file of an embedded key store.
        Store = "store",
        /// The KEK files.
        Vault = "vault",
    }
}

/// The space of the file systems that hold the keys.
#[derive(Clone)]
pub(super) struct DiskMetrics {
    size: Gauges<DiskOf>,
    available: Gauges<DiskOf>,
}

impl DiskMetrics {
    fn register(registry: &Registry) -> Self {
        Self {
            size: registry.gauges(
                "disk_size_bytes",
                "Size of the file system of the embedded store and of the vault; 0 = the store is a cluster",
            ),
            available: registry.gauges("disk_available_bytes", "Space of that file system that is available"),
        }
    }

    pub(super) fn has(&self, of: DiskOf, space: Space) {
        self.size.set(of, space.size as f64);
        self.available.set(of, space.available as f64);
    }
}

/// The metrics of the topics' old records.
#[derive(Clone)]
pub(super) struct TopicMetrics {
    exposure: Gauge,
    reclaimed_records: Counter,
    reclaimed_bytes: Counter,
}

impl TopicMetrics {
    fn register(registry: &Registry) -> Self {
        Self {
            exposure: registry.gauge(
                "plaintext_exposure_seconds",
                "Age of the oldest record in the input topic, by its record time, at the last look",
            ),
            reclaimed_records: registry.counter(
                "reclaimed_records_total",
                "Records that this process deleted from the output because they can no longer be opened",
            ),
            reclaimed_bytes: registry.counter(
                "reclaimed_bytes_total",
                "Bytes of keys and values of the reclaimed records, uncompressed",
            ),
        }
    }

    /// Sets the age of the oldest record of the input.
    pub(super) fn exposes(&self, age: Duration) {
        self.exposure.set(age.as_secs_f64());
    }

    pub(super) fn reclaimed(&self, records: u64, bytes: u64) {
        self.reclaimed_records.inc_by(records);
        self.reclaimed_bytes.inc_by(bytes);
    }
}

label! {
    /// The outcome of a canary's event.
    pub(super) enum CanaryOutcome: "outcome" {
        /// It was sealed, and its content is what was sent.
        Opened = "opened",
        /// It can no longer be opened.
        Forgotten = "forgotten",
        /// The event did not appear in the output in time.
        NotSealed = "not-sealed",
        /// It is due, and can still be opened.
        StillOpens = "still-opens",
    }
}

/// The metrics of `hourseal canary`.
#[derive(Clone)]
pub(super) struct CanaryMetrics {
    events: Counters<CanaryOutcome>,
    last_proof: Gauge,
}

impl CanaryMetrics {
    /// For a canary that starts `now`.
    pub(super) fn register(registry: &Registry, now: Millis) -> Self {
        let metrics = Self {
            events: registry.counters("canary_events_total", "Events of the canary, by outcome"),
            last_proof: registry.gauge(
                "canary_last_proof_timestamp_seconds",
                "Unix time at which the canary last verified that a forgotten event cannot be opened; before \
                 the first one, the time of its start",
            ),
        };
        metrics.proven_at(now);
        metrics
    }

    pub(super) fn came_to(&self, outcome: CanaryOutcome) {
        self.events.increment(outcome);
    }

    pub(super) fn proven_at(&self, now: Millis) {
        self.last_proof.set(seconds(now));
    }
}

/// Every family of every process, for `docs/metrics.md`.
pub fn every_family() -> Vec<Family> {
    whole(Millis(0)).families()
}

/// A registry with the metrics of a worker on a cluster's store, and of a canary.
fn whole(now: Millis) -> Registry {
    let Telemetry { registry, .. } = Telemetry::new();
    StoreMetrics::register(&registry);
    Metrics::register(&registry, now);
    CanaryMetrics::register(&registry, now);
    registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_registered_once_and_no_metric_has_a_customer_label() {
        let registry = whole(Millis(1_795_500_000_000));
        let text = String::from_utf8(registry.render()).expect("text");
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(series.len() > 200, "{text}");
        assert!(
            series.iter().all(|line| {
                (line.starts_with("hourseal_") || line.starts_with("process_")) && !line.contains("customer=")
            }),
            "{text}"
        );
        assert!(series.contains(&"hourseal_start_time_seconds 1795500000"), "{text}");
    }
}
