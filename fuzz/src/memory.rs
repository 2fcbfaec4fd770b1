//! Limits the memory that an input may cost. libFuzzer's `-malloc_limit_mb` needs a sanitizer's hooks, so the
//! allocator itself counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// Largest number of live bytes allowed while [`within`] runs, and the current number. One thread
/// runs the targets.
static MOST: AtomicIsize = AtomicIsize::new(isize::MAX);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static COUNTS: AtomicBool = AtomicBool::new(false);

/// Starts to count, until the first panic: the memory for a panic's message and backtrace does not
/// depend on the input.
pub(crate) fn count() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        COUNTS.store(false, Relaxed);
        hook(what);
    }));
    COUNTS.store(true, Relaxed);
}

/// Runs `act` and returns its answer. If more than `most` bytes that `act` allocated are live at once, the
/// process aborts, which is a finding.
pub fn within<T>(most: usize, act: impl FnOnce() -> T) -> T {
    LIVE.store(0, Relaxed);
    MOST.store(isize::try_from(most).unwrap_or(isize::MAX), Relaxed);
    let answer = act();
    MOST.store(isize::MAX, Relaxed);
    answer
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn took(bytes: usize) {
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
    let live = LIVE.fetch_add(bytes, Relaxed).saturating_add(bytes);
    if live > MOST.load(Relaxed) && COUNTS.swap(false, Relaxed) {
        too_much(live);
    }
}

fn gave_back(bytes: usize) {
    LIVE.fetch_sub(isize::try_from(bytes).unwrap_or(isize::MAX), Relaxed);
}

/// Aborts the process, because an allocator must not unwind.
#[cold]
fn too_much(live: isize) -> ! {
    let most = MOST.load(Relaxed);
    eprintln!("{live} bytes are live, and this input may cost {most}\n{}", Backtrace::capture());
    std::process::abort();
}

// SAFETY: every call is passed on to `System`. The counting code allocates only after it has
// stopped counting.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        gave_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        gave_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(old, layout) }
    }
}
