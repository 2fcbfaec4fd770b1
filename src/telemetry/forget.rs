//! What the executor tells.

use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::registry::Family;

/// The metrics of forgetting. Each method is called once per batch of commands, or more rarely.
#[derive(Clone)]
pub struct ForgetMetrics {
    messages: IntCounterVec,
    erasures: IntCounterVec,
    propagation: Histogram,
    last_applied: Gauge,
    swept_hours: IntCounter,
    overdue_hours: IntGauge,
    sweep_lag: Gauge,
    ended_keks: IntGaugeVec,
    exposure: Gauge,
    reclaimed_records: IntCounter,
    reclaimed_bytes: IntCounter,
}

impl ForgetMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        let metrics = Self {
            messages: family.counters(
                "control_messages_total",
                "Commands by what was decided",
                &["kind", "outcome"],
            ),
            erasures: family.counters("erasures_total", "Erasing commands by how they ended", &["outcome"]),
            propagation: family.histogram(
                "erasure_propagation_seconds",
                "From a receipt's time until this process evicted its keys",
                &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            ),
            last_applied: family.second(
                "control_last_applied_timestamp_seconds",
                "Time of the newest receipt that this process has applied",
            ),
            swept_hours: family
                .counter("swept_hours_total", "Hours that this process has swept because they were due"),
            overdue_hours: family.gauge(
                "overdue_hours",
                "Open hours that are due and that no hold keeps, at the last look; counted to 10,000",
            ),
            sweep_lag: family.second(
                "sweep_lag_seconds",
                "How long the soonest of the overdue hours had been due at the last look",
            ),
            ended_keks: family.gauges(
                "ended_keks",
                "KEKs whose day has ended and that still exist, at the last look: needed by keys that are not swept, of a hold in force, or about to go",
                &["state"],
            ),
            exposure: family.second(
                "plaintext_exposure_seconds",
                "Age of the oldest record that the input topic still holds, by its record time, at the last look",
            ),
            reclaimed_records: family.counter(
                "reclaimed_records_total",
                "Records that this process had deleted from the output because nobody can open them any more",
            ),
            reclaimed_bytes: family.counter("reclaimed_bytes_total", "Bytes of their keys and values, as they were sent"),
        };
        for outcome in ["erased", "refused", "incomplete"] {
            metrics.erasures.with_label_values(&[outcome]);
        }
        metrics.ended_keks(0, 0, 0);
        metrics
    }

    /// `count` commands of one kind (`erase`, `hold`, `unreadable`…) were decided alike.
    pub fn decided(&self, kind: &'static str, outcome: &'static str, count: u64) {
        self.messages.with_label_values(&[kind, outcome]).inc_by(count);
    }

    /// Erasing commands ended with a receipt.
    pub fn erased(&self, erased: u64, refused: u64, incomplete: u64) {
        for (outcome, count) in [("erased", erased), ("refused", refused), ("incomplete", incomplete)] {
            self.erasures.with_label_values(&[outcome]).inc_by(count);
        }
    }

    /// Sweeps forgot so many hours.
    pub fn swept(&self, hours: u64) {
        self.swept_hours.inc_by(hours);
    }

    /// So many hours wait for the sweep, the soonest of them for `lag`.
    pub fn overdue(&self, hours: usize, lag: Duration) {
        self.overdue_hours.set(i64::try_from(hours).unwrap_or(i64::MAX));
        self.sweep_lag.set(lag.as_secs_f64());
    }

    /// So many KEKs whose day has ended wrap keys that are not swept, so many what a hold keeps, and so many nothing live.
    pub fn ended_keks(&self, needed: usize, held: usize, free: usize) {
        for (state, count) in [("needed", needed), ("held", held), ("free", free)] {
            self.ended_keks.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The oldest record of the input is so old.
    pub fn exposes(&self, age: Duration) {
        self.exposure.set(age.as_secs_f64());
    }

    /// So much was deleted from the output.
    pub fn reclaimed(&self, records: u64, bytes: u64) {
        self.reclaimed_records.inc_by(records);
        self.reclaimed_bytes.inc_by(bytes);
    }

    /// A receipt made at `at_seconds` (since the epoch) reached this process's ring after `took`.
    pub fn applied(&self, at_seconds: f64, took: Duration) {
        self.propagation.observe(took.as_secs_f64());
        self.last_applied.set(at_seconds);
    }
}
