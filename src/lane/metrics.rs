//! The metrics of a process's lanes. No method is called per record.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::quarantine::Reason;
use crate::stream::{PARK_CODES, Park, Wait};
use crate::telemetry::{Counters, Histogram, Label, NumberedGauges, Registry, label};

label! {
    /// Outcome of a transaction.
    pub(crate) enum Transaction: "outcome" {
        /// Nothing was committed; the producer stays in use.
        Aborted = "aborted",
        Committed = "committed",
        /// The producer was fenced, or failed, and nothing explains it.
        Fenced = "fenced",
        /// The producer was replaced; only the broker knows whether the transaction was committed.
        Unknown = "unknown",
    }
}

label! {
    /// Outcome of an event.
    enum Fate: "outcome" {
        Sealed = "sealed",
        Quarantined = "quarantined",
    }
}

label! {
    enum Direction: "direction" {
        In = "in",
        Out = "out",
    }
}

impl Label for Reason {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        self.code()
    }
}

/// The code of a reason to park.
#[derive(Clone, Copy)]
struct ParkCode(&'static str);

impl Label for ParkCode {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = &{
        let mut all = [Self(""); PARK_CODES.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = Self(PARK_CODES[index]);
            index += 1;
        }
        all
    };

    fn value(self) -> &'static str {
        self.0
    }
}

/// All except [`Wait::Trust`]: only the executor waits for that.
impl Label for Wait {
    const NAME: &'static str = "why";
    const ALL: &'static [Self] =
        &[Self::Broker, Self::Clocks, Self::Kek, Self::Pending, Self::Store, Self::Vault];

    fn value(self) -> &'static str {
        self.code()
    }
}

/// The metrics of every lane of a process. Clones share them.
#[derive(Clone)]
pub(crate) struct LaneMetrics {
    events: Counters<Fate>,
    bytes: Counters<Direction>,
    new_slots: Counters<()>,
    transactions: Counters<Transaction>,
    transaction_time: Histogram,
    seal_time: Histogram,
    lag: NumberedGauges<()>,
    oldest: NumberedGauges<()>,
    quarantined: Counters<Reason>,
    waiting: NumberedGauges<Wait>,
    parked: NumberedGauges<ParkCode>,
    gaps_accepted: Counters<()>,
    /// The lane that has each partition.
    owners: Arc<Mutex<BTreeMap<i32, usize>>>,
}

impl LaneMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            events: registry.counters("events_total", "Events in committed batches, by outcome"),
            bytes: registry.counters("event_bytes_total", "Bytes of events read, and of envelopes sent"),
            new_slots: registry.counters(
                "new_slots_total",
                "Slots (customer and hour) in committed batches whose key was not in memory",
            ),
            transactions: registry.counters("transactions_total", "Kafka transactions, by outcome"),
            transaction_time: registry.histogram(
                "transaction_duration_seconds",
                "Time from the start of a transaction to the end of its commit",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            ),
            seal_time: registry.histogram(
                "seal_batch_duration_seconds",
                "Time to seal one batch after its keys are obtained",
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0],
            ),
            lag: registry.numbered(
                "input_lag_records",
                "Uncommitted records of an input partition of this process",
                "partition",
            ),
            oldest: registry.numbered(
                "input_oldest_event_age_seconds",
                "Age of the oldest event in the lane's last committed batch, while records are uncommitted",
                "lane",
            ),
            quarantined: registry.counters("quarantined_total", "Records sent to the quarantine, by reason"),
            waiting: registry.numbered("waiting", "1 while the lane waits for `why`", "lane"),
            parked: registry.numbered(
                "partition_parked",
                "1 while this input partition is parked, by reason",
                "partition",
            ),
            gaps_accepted: registry.counters("gaps_accepted_total", "Gaps that the operator accepted"),
            owners: Arc::default(),
        }
    }

    /// Adds a sealed batch: its events, the bytes read, the bytes to send, and the time it took to seal.
    pub(super) fn sealed_batch(&self, events: u64, bytes_in: u64, bytes_out: u64, took: Duration) {
        self.events.add(Fate::Sealed, events);
        self.bytes.add(Direction::In, bytes_in);
        self.bytes.add(Direction::Out, bytes_out);
        self.seal_time.observe(took.as_secs_f64());
    }

    /// Counts a committed batch's slots whose key was not in memory.
    pub(super) fn new_slots(&self, slots: u64) {
        self.new_slots.add((), slots);
    }

    /// Counts a transaction that was committed after `took`.
    pub(super) fn committed(&self, took: Duration) {
        self.transactions.increment(Transaction::Committed);
        self.transaction_time.observe(took.as_secs_f64());
    }

    /// Counts a transaction that was not committed, as far as the lane knows.
    pub(super) fn failed(&self, outcome: Transaction) {
        self.transactions.increment(outcome);
    }

    pub(super) fn quarantined(&self, reason: Reason, records: u64) {
        self.events.add(Fate::Quarantined, records);
        self.quarantined.add(reason, records);
    }

    /// Remembers that the lane has this partition.
    pub(super) fn owns(&self, lane: usize, partition: i32) {
        self.owners().insert(partition, lane);
    }

    /// Removes the lag of a partition that the lane has lost, unless another lane of this process has it.
    pub(super) fn lost(&self, lane: usize, partition: i32) {
        let mut owners = self.owners();
        if owners.get(&partition) == Some(&lane) {
            owners.remove(&partition);
            self.lag.remove(number(partition));
        }
    }

    pub(super) fn lags(&self, partition: i32, records: u64) {
        self.lag.set(number(partition), (), records as f64);
    }

    /// Sets the age of the oldest event in the batch just committed.
    pub(super) fn oldest(&self, lane: usize, age: Duration) {
        self.oldest.set(lane, (), age.as_secs_f64());
    }

    /// The partition is parked only for this reason.
    pub(super) fn parks(&self, partition: i32, why: &Park) {
        self.unparks(partition);
        self.parked.set(number(partition), ParkCode(why.code()), 1.0);
    }

    pub(super) fn unparks(&self, partition: i32) {
        self.parked.remove(number(partition));
    }

    pub(super) fn gap_accepted(&self) {
        self.gaps_accepted.increment(());
    }

    /// The lane waits only for this; `None`: it does not wait.
    pub(super) fn waits(&self, lane: usize, why: Option<Wait>) {
        for wait in Wait::ALL {
            self.waiting.set(lane, *wait, f64::from(u8::from(why == Some(*wait))));
        }
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<i32, usize>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Partitions are not negative.
fn number(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or(0)
}
