//! Metrics of the key store of a fleet.

use std::time::Duration;

use crate::telemetry::{Counter, Counters, Gauge, Histograms, Label, LabelSet, Registry, label};

label! {
    /// The kind of a statement.
    pub(super) enum StoreOp: "op" {
        Erase = "erase",
        Fence = "fence",
        Hold = "hold",
        Kek = "kek",
        List = "list",
        Mark = "mark",
        Mint = "mint",
        Placement = "placement",
        Policy = "policy",
        Probe = "probe",
        Read = "read",
        Rewrap = "rewrap",
        /// A read that finishes pending transactions on its partition.
        SerialRead = "serial_read",
        Upsert = "upsert",
        Verdict = "verdict",
    }
}

impl StoreOp {
    /// Whether the statement has no condition, so that its outcome is never unknown: it can be repeated.
    const fn is_plain(self) -> bool {
        matches!(self, Self::List | Self::Read | Self::SerialRead | Self::Upsert)
    }
}

label! {
    /// The outcome of a statement.
    pub(super) enum Outcome: "outcome" {
        Ok = "ok",
        Failed = "failed",
        /// It may have been applied.
        Unknown = "unknown",
    }
}

label! {
    /// The result of a SERIAL read after an unknown outcome.
    pub(super) enum Settled: "how" {
        /// The statement had been applied.
        Won = "won",
        /// Another process's statement had been applied.
        Adopted = "adopted",
        /// Neither had been applied.
        None = "none",
    }
}

/// A statement and its outcome.
#[derive(Clone, Copy)]
struct Statement(StoreOp, Outcome);

impl LabelSet for Statement {
    const NAMES: &'static [&'static str] = &[StoreOp::NAME, Outcome::NAME];

    fn all() -> Vec<Self> {
        let can_be = |op: StoreOp, outcome| !(op.is_plain() && outcome == Outcome::Unknown);
        let of = |op| Outcome::ALL.iter().filter(move |it| can_be(op, **it)).map(move |it| Self(op, *it));
        StoreOp::ALL.iter().flat_map(|op| of(*op)).collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.value(), self.1.value()]
    }
}

/// The metrics of the store. Clones share them.
#[derive(Clone)]
pub struct StoreMetrics {
    operations: Counters<Statement>,
    durations: Histograms<StoreOp>,
    settled: Counters<Settled>,
    contention: Counter,
    connections: Gauge,
}

impl StoreMetrics {
    pub fn register(registry: &Registry) -> Self {
        // From a quarter of the time that one node on the same host needs to the longest wait for an LWT.
        let buckets = [
            0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
            5.0,
        ];
        Self {
            operations: registry.counters("store_operations_total", "Statements sent to the key store"),
            durations: registry.histograms(
                "store_operation_duration_seconds",
                "Duration of statements to the key store",
                &buckets,
            ),
            settled: registry.counters(
                "store_unknown_settled_total",
                "Conditional statements with an unknown outcome, by the result of a SERIAL read",
            ),
            contention: registry.counter(
                "store_contention_total",
                "Conditional statements that were not applied because their condition did not hold",
            ),
            connections: registry.gauge("store_connections", "Open connections to the key store"),
        }
    }

    pub(super) fn took(&self, op: StoreOp, outcome: Outcome, time: Duration) {
        self.operations.increment(Statement(op, outcome));
        self.durations.observe(op, time.as_secs_f64());
    }

    pub(super) fn settled(&self, how: Settled) {
        self.settled.increment(how);
    }

    pub(super) fn contended(&self) {
        self.contention.inc();
    }

    pub(super) fn connected(&self, connections: u64) {
        self.connections.set(connections as f64);
    }
}
