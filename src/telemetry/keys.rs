//! What the ring tells.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::registry::Family;

/// What was asked of the store or the vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOp {
    Adopt,
    Evict,
    Expire,
    Fetch,
    Mint,
    Prove,
    Unwrap,
}

impl KeyOp {
    const fn label(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Evict => "evict",
            Self::Expire => "expire",
            Self::Fetch => "fetch",
            Self::Mint => "mint",
            Self::Prove => "prove",
            Self::Unwrap => "unwrap",
        }
    }
}

/// The metrics of the ring. Each method is called once per batch of slots, or more rarely.
#[derive(Clone)]
pub struct KeyMetrics {
    operations: IntCounterVec,
    preminted: IntCounterVec,
    cached: IntGauge,
    memory: IntGaugeVec,
    keys: IntGaugeVec,
}

impl KeyMetrics {
    pub(super) fn register(family: &Family<'_>) -> Self {
        Self {
            operations: family.counters(
                "key_operations_total",
                "Keys minted, adopted, fetched, unwrapped, evicted, expired; leases proved",
                &["op", "outcome"],
            ),
            preminted: family.counters(
                "premint_slots_total",
                "Slots of the next hour asked for before it begins, by what came of it; those waiting are asked for again",
                &["outcome"],
            ),
            cached: family.gauge("key_cache_entries", "Keys in memory"),
            memory: family.gauges(
                "key_memory_bytes",
                "Memory for keys, by whether the system keeps it out of swap and core dumps",
                &["state"],
            ),
            keys: family.gauges("keys", "Keys in the store, as one process counts them", &["state"]),
        }
    }

    /// `count` operations ended well.
    pub fn did(&self, op: KeyOp, count: u64) {
        self.operations.with_label_values(&[op.label(), "ok"]).inc_by(count);
    }

    /// `count` operations failed: the store or the vault did not answer.
    pub fn failed(&self, op: KeyOp, count: u64) {
        self.operations.with_label_values(&[op.label(), "failed"]).inc_by(count);
    }

    /// `count` operations were refused: fenced, erased, below the floor.
    pub fn refused(&self, op: KeyOp, count: u64) {
        self.operations.with_label_values(&[op.label(), "refused"]).inc_by(count);
    }

    /// What pre-minting came to, in slots: keys obtained, refused (erased, expired), and still to be had.
    pub fn preminted(&self, ready: u64, refused: u64, waiting: u64) {
        for (outcome, count) in [("ready", ready), ("refused", refused), ("waiting", waiting)] {
            self.preminted.with_label_values(&[outcome]).inc_by(count);
        }
    }

    /// The ring holds this many keys.
    pub fn caches(&self, entries: usize) {
        self.cached.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Keys have this many bytes of memory, free cells included.
    pub fn occupies(&self, locked: u64, unlocked: u64) {
        for (state, bytes) in [("locked", locked), ("unlocked", unlocked)] {
            self.memory.with_label_values(&[state]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// A count of the whole store, by one process.
    pub fn counted(&self, live: u64, erased: u64, erased_by_ttl: u64) {
        for (state, count) in [("live", live), ("erased", erased), ("erased_by_ttl", erased_by_ttl)] {
            self.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
