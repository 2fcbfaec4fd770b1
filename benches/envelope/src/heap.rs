//! Counts the requests to the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::{Job, SIZES};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a counter.
pub struct Counting;

// SAFETY: every call is passed on to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `alloc` above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Checks the steady state: after the first event, over several refills of the pool of nonces.
pub fn assert_that_sealing_leaves_it_alone() {
    const EVENTS: u64 = 10_000;
    for size in SIZES {
        let mut job = Job::new(size).sealed();
        let before = CALLS.load(Ordering::Relaxed);
        for _ in 0..EVENTS {
            job.seal();
        }
        let calls = CALLS.load(Ordering::Relaxed) - before;
        println!("heap: {calls} allocations in {EVENTS} events of {size} B");
        assert_eq!(calls, 0);
    }
}
