//! What the key store of a fleet tells.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::registry::Family;

/// What was asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreOp {
    Erase,
    Fence,
    Hold,
    Kek,
    List,
    Mark,
    Mint,
    Policy,
    Probe,
    Read,
    Rewrap,
    /// A read that finishes what is under way on its partition.
    SerialRead,
    Upsert,
    Verdict,
}

impl StoreOp {
    const fn label(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Fence => "fence",
            Self::Hold => "hold",
            Self::Kek => "kek",
            Self::List => "list",
            Self::Mark => "mark",
            Self::Mint => "mint",
            Self::Policy => "policy",
            Self::Probe => "probe",
            Self::Read => "read",
            Self::Rewrap => "rewrap",
            Self::SerialRead => "serial_read",
            Self::Upsert => "upsert",
            Self::Verdict => "verdict",
        }
    }
}

/// How a statement ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Ok,
    Failed,
    /// It may have been applied.
    Unknown,
}

/// What a SERIAL read has shown of an unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// It had been applied.
    Won,
    /// Somebody else's had been.
    Adopted,
    /// Neither.
    None,
}

/// The metrics of the store. Each method is called once per statement.
#[derive(Clone)]
pub struct StoreMetrics {
    operations: IntCounterVec,
    durations: HistogramVec,
    settled: IntCounterVec,
    contention: IntCounter,
    connections: IntGauge,
}

impl StoreMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        // From a quarter of what one node on the same host needs to what an LWT may take at most.
        let buckets = [
            0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
            5.0,
        ];
        Self {
            operations: family.counters(
                "store_operations_total",
                "Statements to the key store by kind and outcome",
                &["op", "outcome"],
            ),
            durations: family.histograms(
                "store_operation_duration_seconds",
                "How long statements to the key store took",
                &["op"],
                &buckets,
            ),
            settled: family.counters(
                "store_unknown_settled_total",
                "Unknown outcomes of conditional statements, by what a SERIAL read has shown",
                &["how"],
            ),
            contention: family.counter(
                "store_contention_total",
                "Conditional statements that were not applied because somebody else was first",
            ),
            connections: family.gauge("store_connections", "Open connections to the key store"),
        }
    }

    pub fn took(&self, op: StoreOp, outcome: Outcome, time: Duration) {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        };
        self.operations.with_label_values(&[op.label(), outcome]).inc();
        self.durations.with_label_values(&[op.label()]).observe(time.as_secs_f64());
    }

    pub fn settled(&self, how: Settled) {
        let how = match how {
            Settled::Won => "won",
            Settled::Adopted => "adopted",
            Settled::None => "none",
        };
        self.settled.with_label_values(&[how]).inc();
    }

    pub fn contended(&self) {
        self.contention.inc();
    }

    pub fn connected(&self, connections: u64) {
        self.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}
