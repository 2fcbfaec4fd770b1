//! The lease: the time for which cached keys may be used after the last proof that every receipt was seen.

use std::sync::atomic::{AtomicU64, Ordering};

/// A process may use cached keys only if it proved, at most `length` ago, that it had read the receipts
/// topic to its end.
///
/// The lease starts before the proof is requested, so a slow proof gives a short lease. Times are in
/// milliseconds of [`Clock::boot_ms`](crate::model::Clock::boot_ms). That clock never jumps, and it also
/// counts while the machine sleeps.
pub struct Lease {
    length_ms: u64,
    /// First millisecond after the lease; 0 before the first proof.
    over_at: AtomicU64,
}

impl Lease {
    /// A lease without a proof. Its length is the configured one, but at most the store's maximum.
    pub fn new(configured_ms: u64, store_max_ms: u64) -> Self {
        Self { length_ms: configured_ms.min(store_max_ms), over_at: AtomicU64::new(0) }
    }

    pub fn length_ms(&self) -> u64 {
        self.length_ms
    }

    /// Records a proof: this process has applied every receipt that existed when the proof was requested, at
    /// `requested_at_boot_ms`. An older proof that arrives late changes nothing.
    pub fn prove(&self, requested_at_boot_ms: u64) {
        let over_at = requested_at_boot_ms.saturating_add(self.length_ms);
        self.over_at.fetch_max(over_at, Ordering::AcqRel);
    }

    pub fn valid(&self, now_boot_ms: u64) -> bool {
        now_boot_ms < self.over_at.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_lease_before_the_first_proof() {
        assert!(!Lease::new(60_000, 60_000).valid(0));
    }

    #[test]
    fn a_lease_runs_from_the_request_of_its_proof() {
        let lease = Lease::new(60_000, 60_000);
        lease.prove(1_000);
        assert!(lease.valid(60_999));
        assert!(!lease.valid(61_000));
    }

    #[test]
    fn a_late_older_proof_does_not_shorten_it() {
        let lease = Lease::new(60_000, 60_000);
        lease.prove(5_000);
        lease.prove(1_000);
        assert!(lease.valid(64_999));
    }

    #[test]
    fn the_store_limits_its_length() {
        assert_eq!(Lease::new(600_000, 60_000).length_ms(), 60_000);
        assert_eq!(Lease::new(10_000, 60_000).length_ms(), 10_000);
        let none = Lease::new(0, 60_000);
        none.prove(1_000);
        assert!(!none.valid(1_000), "with a lease of zero, every slot is requested from the store");
    }
}
