//! Memory that an input may cost: libFuzzer's `-malloc_limit_mb` needs a sanitizer's hooks, so the allocator itself counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// Bytes that may be live at once while [`within`] runs, and those that are. One thread runs the targets.
static MOST: AtomicIsize = AtomicIsize::new(isize::MAX);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static COUNTS: AtomicBool = AtomicBool::new(false);

/// Begins to count, until something panics: what a panic's message and backtrace take is nobody's input.
pub(crate) fn count() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        COUNTS.store(false, Relaxed);
        hook(what);
    }));
    COUNTS.store(true, Relaxed);
}

/// What `act` answers. The process is aborted, which is a finding, where more than `most` bytes are live at once that were
/// allocated by it.
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

/// An allocator must not unwind.
#[cold]
fn too_much(live: isize) -> ! {
    let most = MOST.load(Relaxed);
    eprintln!("{live} bytes are live, and this input may cost {most}\n{}", Backtrace::capture());
    std::process::abort();
}

// SAFETY: everything is handed on to `System`; counting allocates only after it has stopped to count.
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
