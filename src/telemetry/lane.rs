//! What a lane tells.

use std::time::Duration;

use prometheus::{GaugeVec, Histogram, IntCounterVec, IntGaugeVec};

use super::registry::Family;

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transaction {
    Aborted,
    Committed,
    Fenced,
    Unknown,
}

impl Transaction {
    const ALL: [Self; 4] = [Self::Aborted, Self::Committed, Self::Fenced, Self::Unknown];

    const fn label(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Committed => "committed",
            Self::Fenced => "fenced",
            Self::Unknown => "unknown",
        }
    }
}

/// What a lane waits for, keeping its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// The broker, or the group.
    Broker,
    /// The clocks of worker and store to agree.
    Clocks,
    /// A person to accept a gap in the input.
    Gap,
    /// The proof that every receipt was read.
    Lease,
    /// The key store or the KEK vault.
    Store,
}

impl Wait {
    const ALL: [Self; 5] = [Self::Broker, Self::Clocks, Self::Gap, Self::Lease, Self::Store];

    const fn label(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Clocks => "clocks",
            Self::Gap => "gap",
            Self::Lease => "lease",
            Self::Store => "store",
        }
    }
}

/// The metrics of one lane. Each method is called once per batch, or more rarely.
#[derive(Clone)]
pub struct LaneMetrics {
    lane: String,
    events: IntCounterVec,
    bytes: IntCounterVec,
    transactions: IntCounterVec,
    transaction_time: Histogram,
    seal_time: Histogram,
    lag: IntGaugeVec,
    oldest: GaugeVec,
    quarantined: IntCounterVec,
    waiting: IntGaugeVec,
}

impl LaneMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        let metrics = Self {
            lane: String::new(),
            events: family.counters("events_total", "Events of committed batches", &["outcome"]),
            bytes: family.counters("event_bytes_total", "Bytes of records read and sealed", &["direction"]),
            transactions: family.counters(
                "transactions_total",
                "Kafka transactions by how they ended",
                &["outcome"],
            ),
            transaction_time: family.histogram(
                "transaction_duration_seconds",
                "From begin to the end of commit or abort",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            ),
            seal_time: family.histogram(
                "seal_batch_duration_seconds",
                "Sealing of one batch, keys in hand",
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0],
            ),
            lag: family.gauges("input_lag_records", "Records not yet committed", &["partition"]),
            oldest: family.seconds(
                "input_oldest_event_age_seconds",
                "Age of the batch's oldest record",
                &["lane"],
            ),
            quarantined: family.counters("quarantined_total", "Records sent to the quarantine", &["reason"]),
            waiting: family.gauges("waiting", "1 while the lane waits for this", &["lane", "why"]),
        };
        metrics.show_zeros();
        metrics
    }

    pub(super) fn of_lane(&self, number: usize) -> Self {
        let lane = Self { lane: number.to_string(), ..self.clone() };
        lane.works();
        lane
    }

    /// Sealed one batch of `events` in `took`: bytes of what was read and of what will be written.
    pub fn sealed_batch(&self, events: u64, bytes_in: u64, bytes_out: u64, took: Duration) {
        self.events.with_label_values(&["sealed"]).inc_by(events);
        self.bytes.with_label_values(&["in"]).inc_by(bytes_in);
        self.bytes.with_label_values(&["out"]).inc_by(bytes_out);
        self.seal_time.observe(took.as_secs_f64());
    }

    /// A transaction ended after `took`.
    pub fn settled(&self, outcome: Transaction, took: Duration) {
        self.transactions.with_label_values(&[outcome.label()]).inc();
        self.transaction_time.observe(took.as_secs_f64());
    }

    /// Records of a batch went to the quarantine; `reason` is the reason code.
    pub fn quarantined(&self, reason: &'static str, records: u64) {
        self.events.with_label_values(&["quarantined"]).inc_by(records);
        self.quarantined.with_label_values(&[reason]).inc_by(records);
    }

    /// How far a partition's committed offset is behind its end.
    pub fn lags(&self, partition: i32, records: i64) {
        self.lag.with_label_values(&[partition.to_string().as_str()]).set(records);
    }

    /// The partition went to another lane or process.
    pub fn lost(&self, partition: i32) {
        // An error says that there was no such sample.
        let _ = self.lag.remove_label_values(&[partition.to_string().as_str()]);
    }

    /// The age of the oldest record of the batch just committed.
    pub fn oldest(&self, age: Duration) {
        self.oldest.with_label_values(&[self.lane.as_str()]).set(age.as_secs_f64());
    }

    /// The lane waits for this, and for nothing else.
    pub fn waits(&self, why: Wait) {
        self.wait_gauges(Some(why));
    }

    /// The lane waits for nothing.
    pub fn works(&self) {
        self.wait_gauges(None);
    }

    fn wait_gauges(&self, why: Option<Wait>) {
        for wait in Wait::ALL {
            self.waiting
                .with_label_values(&[self.lane.as_str(), wait.label()])
                .set(i64::from(why == Some(wait)));
        }
    }

    /// Bounded labels are on the first scrape, so that a rate never misses its first step.
    fn show_zeros(&self) {
        for outcome in ["sealed", "quarantined"] {
            self.events.with_label_values(&[outcome]);
        }
        for direction in ["in", "out"] {
            self.bytes.with_label_values(&[direction]);
        }
        for outcome in Transaction::ALL {
            self.transactions.with_label_values(&[outcome.label()]);
        }
    }
}
