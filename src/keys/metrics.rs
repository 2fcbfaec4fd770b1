//! The metrics of the keys' room. Each method is called once per second, or once per check of the store.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use super::RingStats;
use crate::telemetry::{Counters, Gauge, Gauges, Registry, label};

label! {
    /// An operation on keys and its outcome.
    enum Done: ("op", "outcome") {
        Adopted = ("adopt", "ok"),
        Expired = ("expire", "ok"),
        NotExpired = ("expire", "failed"),
        Fetched = ("fetch", "ok"),
        Minted = ("mint", "ok"),
        Refused = ("mint", "refused"),
    }
}

label! {
    /// The outcome for a slot of the next hour.
    enum Preminted: "outcome" {
        Ready = "ready",
        Refused = "refused",
        Waiting = "waiting",
    }
}

label! {
    enum Memory: "state" {
        Locked = "locked",
        Unlocked = "unlocked",
    }
}

/// The metrics of keys. Clones share them.
#[derive(Clone)]
pub(crate) struct KeyMetrics {
    operations: Counters<Done>,
    preminted: Counters<Preminted>,
    cached: Gauge,
    memory: Gauges<Memory>,
}

impl KeyMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            operations: registry.counters(
                "key_operations_total",
                "Slots requested from the store (fetch), their keys minted, adopted or refused; keys expired",
            ),
            preminted: registry.counters(
                "premint_slots_total",
                "Slots of the next hour requested before it begins; those waiting are requested again",
            ),
            cached: registry.gauge("key_cache_entries", "Keys in memory"),
            memory: registry.gauges(
                "key_memory_bytes",
                "Memory for keys, by whether the system keeps it out of swap and core dumps",
            ),
        }
    }

    /// Adds the ring's operations since `before`.
    pub(crate) fn ring(&self, now: RingStats, before: RingStats) {
        self.cached.set(now.entries as f64);
        self.operations.add(Done::Fetched, now.misses - before.misses);
        self.operations.add(Done::Minted, now.mint.minted - before.mint.minted);
        self.operations.add(Done::Adopted, now.mint.adopted - before.mint.adopted);
        self.operations.add(Done::Refused, now.mint.refused - before.mint.refused);
    }

    /// The fail-safe overwrote this number of keys.
    pub(crate) fn expired(&self, keys: u64) {
        self.operations.add(Done::Expired, keys);
    }

    /// The fail-safe could not look for overdue keys.
    pub(crate) fn not_expired(&self) {
        self.operations.increment(Done::NotExpired);
    }

    /// Adds slots of the next hour: with a key, refused (erased or expired), and without an answer.
    pub(crate) fn preminted(&self, ready: u64, refused: u64, waiting: u64) {
        self.preminted.add(Preminted::Ready, ready);
        self.preminted.add(Preminted::Refused, refused);
        self.preminted.add(Preminted::Waiting, waiting);
    }

    /// Sets the bytes of memory for keys, free cells included.
    pub(crate) fn occupies(&self, locked: u64, unlocked: u64) {
        self.memory.set(Memory::Locked, locked as f64);
        self.memory.set(Memory::Unlocked, unlocked as f64);
    }
}
