//! Metrics of the executor and the follower. Each method is called at most once per batch or look.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use std::time::Duration;

use crate::forget::command::kind::Kind;
use crate::forget::execute::batch::Tally;
use crate::forget::receipt::deed::Outcome;
use crate::telemetry::{Counter, Counters, Gauge, Gauges, Histogram, Label, LabelSet, Registry, label};

/// Outcome of a record of the control topic.
#[derive(Clone, Copy)]
enum Decided {
    Receipt(Kind, Outcome),
    NothingDue(Kind),
    Copy,
    Unreadable,
    Unverified,
}

impl LabelSet for Decided {
    const NAMES: &'static [&'static str] = &[Kind::NAME, "outcome"];

    fn all() -> Vec<Self> {
        let receipts = Kind::ALL.iter().flat_map(|kind| receipts(*kind)).map(|it| Self::Receipt(it.0, it.1));
        let idle = Kind::ALL.iter().filter(|kind| kind.is_call()).map(|kind| Self::NothingDue(*kind));
        receipts.chain(idle).chain([Self::Copy, Self::Unreadable, Self::Unverified]).collect()
    }

    fn values(self) -> Vec<&'static str> {
        match self {
            Self::Receipt(kind, outcome) => vec![kind.value(), outcome.code()],
            Self::NothingDue(kind) => vec![kind.value(), "nothing-due"],
            Self::Copy => vec!["unknown", "copy"],
            Self::Unreadable => vec!["unknown", "unreadable"],
            Self::Unverified => vec!["unknown", "unverified"],
        }
    }
}

/// A receipt of a kind that erases.
#[derive(Clone, Copy)]
struct Erasure(Kind, Outcome);

impl LabelSet for Erasure {
    const NAMES: &'static [&'static str] = &[Kind::NAME, "outcome"];

    fn all() -> Vec<Self> {
        Kind::ALL.iter().filter(|kind| kind.erases()).flat_map(|kind| receipts(*kind)).collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.value(), self.1.code()]
    }
}

/// A kind of command or call that erases DEKs.
#[derive(Clone, Copy)]
struct Eraser(Kind);

impl LabelSet for Eraser {
    const NAMES: &'static [&'static str] = &[Kind::NAME];

    fn all() -> Vec<Self> {
        let erases_keys = |kind: &&Kind| kind.erases() && **kind != Kind::DestroyKek;
        Kind::ALL.iter().filter(erases_keys).map(|kind| Self(*kind)).collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.value()]
    }
}

fn receipts(kind: Kind) -> impl Iterator<Item = Erasure> {
    kind.outcomes().iter().map(move |outcome| Erasure(kind, *outcome))
}

label! {
    /// The reason why a KEK whose day has ended still exists.
    enum Kept: "state" {
        /// Keys or hours that are not swept need it.
        Needed = "needed",
        /// Only a hold keeps it.
        Held = "held",
        /// Nothing keeps it: it is about to be destroyed.
        Free = "free",
    }
}

/// The metrics of forgetting. Clones share them.
#[derive(Clone)]
pub(crate) struct ForgetMetrics {
    messages: Counters<Decided>,
    erasures: Counters<Erasure>,
    erased_keys: Counters<Eraser>,
    propagation: Histogram,
    last_applied: Gauge,
    behind: Gauge,
    swept: Counter,
    overdue: Gauge,
    sweep_lag: Gauge,
    ended_keks: Gauges<Kept>,
}

impl ForgetMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            messages: registry.counters("control_messages_total", "Control records, by kind and outcome"),
            erasures: registry.counters(
                "erasures_total",
                "Receipts of erasures by commands, of sweeps and of destroyed KEKs",
            ),
            erased_keys: registry.counters(
                "erased_keys_total",
                "Keys that commands and sweeps erased in this process, by kind",
            ),
            propagation: registry.histogram(
                "erasure_propagation_seconds",
                "Time from an erasure's receipt until this process has evicted its keys",
                &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            ),
            last_applied: registry.gauge(
                "control_last_applied_timestamp_seconds",
                "Unix time at which this process last applied an erasure's receipt; 0 before the first",
            ),
            behind: registry.gauge(
                "store_behind_timestamp_seconds",
                "Unix time at which this process last applied a receipt again because the key store did not \
                 have its erasures, as after a restore from a backup; 0 before the first",
            ),
            swept: registry
                .counter("swept_total", "Customers' hours that this process swept after their due"),
            overdue: registry.gauge(
                "sweep_overdue",
                "Customers' hours that are due, not held and not swept, at the last look; at most 10,000",
            ),
            sweep_lag: registry
                .gauge("sweep_lag_seconds", "Time since the earliest overdue hour was due, at the last look"),
            ended_keks: registry.gauges(
                "ended_keks",
                "KEKs past their day that are not destroyed, by state, at the last look",
            ),
        }
    }

    /// Adds a committed batch of control records.
    pub(crate) fn committed(&self, tally: &Tally) {
        for ((kind, outcome), count) in &tally.receipts {
            self.messages.add(Decided::Receipt(*kind, *outcome), *count);
            if kind.erases() {
                self.erasures.add(Erasure(*kind, *outcome), *count);
            }
        }
        for (kind, keys) in &tally.erased_keys {
            self.erased_keys.add(Eraser(*kind), *keys);
        }
        for (kind, count) in &tally.idle {
            self.messages.add(Decided::NothingDue(*kind), *count);
        }
        self.messages.add(Decided::Copy, tally.copies);
        self.messages.add(Decided::Unreadable, tally.unreadable);
        self.messages.add(Decided::Unverified, tally.unverified);
        self.swept.inc_by(tally.swept_hours);
    }

    /// Sets the number of hours that wait for the sweep, and the time that the earliest has waited (`lag`).
    pub(crate) fn overdue(&self, hours: usize, lag: Duration) {
        self.overdue.set(hours as f64);
        self.sweep_lag.set(lag.as_secs_f64());
    }

    /// Sets the number of KEKs past their day, by what keeps them.
    pub(crate) fn ended_keks(&self, needed: usize, held: usize, free: usize) {
        for (state, count) in [(Kept::Needed, needed), (Kept::Held, held), (Kept::Free, free)] {
            self.ended_keks.set(state, count as f64);
        }
    }

    /// Records that an erasure's receipt reached this process's ring at `at_seconds` since the epoch, `took`
    /// after the receipt was made.
    pub(crate) fn applied(&self, at_seconds: f64, took: Duration) {
        self.propagation.observe(took.as_secs_f64());
        self.last_applied.set(at_seconds);
    }

    /// Records that at `at_seconds` since the epoch the key store did not have the erasures of a receipt.
    pub(crate) fn store_was_behind(&self, at_seconds: f64) {
        self.behind.set(at_seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_erases_is_counted_by_its_name() {
        let registry = Registry::default();
        let metrics = ForgetMetrics::register(&registry);
        let receipts = [
            ((Kind::Erase, Outcome::Refused), 1),
            ((Kind::EraseCustomer, Outcome::Erased), 2),
            ((Kind::Sweep, Outcome::Erased), 3),
            ((Kind::DestroyKek, Outcome::KekDestroyed), 4),
            ((Kind::Hold, Outcome::HoldPlaced), 5),
        ];
        let erased_keys = [(Kind::EraseCustomer, 7), (Kind::Sweep, 60)].into();
        let tally = Tally { receipts: receipts.into(), erased_keys, swept_hours: 30, ..Tally::default() };
        metrics.committed(&tally);
        let text = String::from_utf8(registry.render()).expect("text");
        let counted: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("hourseal_erasures_total"))
            .filter(|line| !line.ends_with(" 0"))
            .collect();
        assert_eq!(
            counted,
            [
                "{kind=\"destroy-kek\",outcome=\"kek-destroyed\"} 4",
                "{kind=\"erase\",outcome=\"refused\"} 1",
                "{kind=\"erase-customer\",outcome=\"erased\"} 2",
                "{kind=\"sweep\",outcome=\"erased\"} 3",
            ]
        );
        assert!(text.contains("hourseal_control_messages_total{kind=\"hold\",outcome=\"hold-placed\"} 5"));
        assert!(text.contains("hourseal_swept_total 30"));
        for line in ["erase\"} 0", "erase-customer\"} 7", "sweep\"} 60"] {
            assert!(text.contains(&format!("hourseal_erased_keys_total{{kind=\"{line}")), "{line}");
        }
    }
}
