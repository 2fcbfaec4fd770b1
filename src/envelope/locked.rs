//! Memory for keys: cells of 32 bytes in pages that are locked, guarded and left out of core dumps.
//!
//! A page for each key would be too much memory for 100,000 keys, so cells share slabs of 64 KiB. A slab is
//! never unmapped. Its cells are wiped and reused for the next keys.
#![allow(
    unsafe_code,
    reason = "pages that no allocator gives, lent as cells; each block states why it is sound"
)]

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap_anonymous, mprotect};
use rustix::param::page_size;
use zeroize::Zeroize;

const CELL: usize = 32;

/// Bytes of a slab: 2,048 cells. If pages are larger, a slab is one page.
const SLAB: usize = 64 * 1024;

/// The bytes of one key, in its own cell. No `Clone`, no `Debug`; wiped when dropped.
///
/// It starts as zeros and is written in place: a key that was never on a stack or heap leaves no trace there.
pub struct KeyCell {
    bytes: NonNull<[u8; CELL]>,
    pool: &'static Pool,
}

/// The size of the keys' slabs, free cells included.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct KeyMemory {
    /// Bytes that are neither swapped out nor dumped.
    pub locked: u64,
    /// Bytes that the system did not lock, or did not promise to leave out of core dumps.
    pub unlocked: u64,
    /// The system's first refusal.
    pub denied: Option<Denied>,
}

impl KeyMemory {
    /// Counts a slab of `len` bytes as protected or not.
    fn add(&mut self, len: usize, protected: Result<(), Denied>) {
        match protected {
            Ok(()) => self.locked += len as u64,
            Err(denied) => {
                self.unlocked += len as u64;
                self.denied.get_or_insert(denied);
            }
        }
    }
}

/// A call that should have protected a slab, and the system's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{call}: {answer}")]
pub struct Denied {
    call: &'static str,
    answer: Errno,
}

/// The slabs of the process. Cells are taken and given back under a lock that is held only briefly. Their
/// bytes are read and written without a lock.
struct Pool(Mutex<State>);

struct State {
    /// Has capacity for every existing cell, so that giving one back allocates no memory.
    free: Vec<NonNull<[u8; CELL]>>,
    cells: usize,
    memory: KeyMemory,
}

// SAFETY: the pointers are to cells that no other code uses, in memory that is never unmapped.
unsafe impl Send for State {}

static POOL: Pool = Pool::new();

/// Returns the current size of the keys' slabs.
pub fn key_memory() -> KeyMemory {
    POOL.state().memory
}

impl KeyCell {
    /// Returns 32 zero bytes, to be written in place.
    pub fn zeroed() -> Self {
        Self::of(&POOL)
    }

    fn of(pool: &'static Pool) -> Self {
        Self { bytes: pool.take(), pool }
    }
}

// SAFETY: a cell owns its bytes like a box.
unsafe impl Send for KeyCell {}
// SAFETY: a shared reference only allows reading.
unsafe impl Sync for KeyCell {}

impl Deref for KeyCell {
    type Target = [u8; CELL];

    fn deref(&self) -> &[u8; CELL] {
        // SAFETY: the pool gave these bytes to this cell only, they were zeros, and they are never unmapped.
        unsafe { self.bytes.as_ref() }
    }
}

impl DerefMut for KeyCell {
    fn deref_mut(&mut self) -> &mut [u8; CELL] {
        // SAFETY: as in `deref`; no other reference to them exists while this cell is borrowed mutably.
        unsafe { self.bytes.as_mut() }
    }
}

impl Drop for KeyCell {
    fn drop(&mut self) {
        self.zeroize();
        self.pool.give_back(self.bytes);
    }
}

impl Pool {
    const fn new() -> Self {
        let memory = KeyMemory { locked: 0, unlocked: 0, denied: None };
        Self(Mutex::new(State { free: Vec::new(), cells: 0, memory }))
    }

    fn take(&self) -> NonNull<[u8; CELL]> {
        let mut state = self.state();
        loop {
            match state.free.pop() {
                Some(cell) => return cell,
                None => state.grow(),
            }
        }
    }

    /// `cell` must be taken from this pool, and contain only zeros.
    fn give_back(&self, cell: NonNull<[u8; CELL]>) {
        self.state().free.push(cell);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a slab. As with any allocation, the process ends if there is no memory.
    fn grow(&mut self) {
        let len = SLAB.max(page_size());
        let Ok(slab) = map(len) else {
            handle_alloc_error(Layout::from_size_align(len, 1).expect("a slab is small"));
        };
        self.memory.add(len, protect(slab, len));
        self.cells += len / CELL;
        self.free.reserve(self.cells - self.free.len());
        // SAFETY: each cell is within the slab, which has `len` bytes.
        let cell = |at| unsafe { slab.cast::<[u8; CELL]>().add(at) };
        self.free.extend((0..len / CELL).rev().map(cell));
    }
}

/// Maps `len` bytes of zeros between two guard pages. An access beyond the slab's ends hits a guard page and
/// ends the process.
fn map(len: usize) -> Result<NonNull<c_void>, Errno> {
    let guard = page_size();
    // SAFETY: the kernel chooses the address.
    let begin =
        unsafe { mmap_anonymous(null_mut(), len + 2 * guard, ProtFlags::empty(), MapFlags::PRIVATE) }?;
    // SAFETY: one page into a mapping that has two pages in addition to `len`.
    let slab = unsafe { begin.byte_add(guard) };
    // SAFETY: these pages are of this mapping, and no reference to them exists yet.
    unsafe { mprotect(slab, len, MprotectFlags::READ | MprotectFlags::WRITE) }?;
    Ok(NonNull::new(slab).expect("a place beyond a mapping's begin is not 0"))
}

/// Keeps a slab out of core dumps and out of swap. Tries both, even if one fails.
fn protect(slab: NonNull<c_void>, len: usize) -> Result<(), Denied> {
    // SAFETY: the pages are our own, and the advice does not change their content.
    let undumped = unsafe { madvise(slab.as_ptr(), len, Advice::LinuxDontDump) };
    // SAFETY: the pages are our own and readable.
    let locked = unsafe { mlock(slab.as_ptr(), len) };
    undumped.map_err(|answer| Denied { call: "madvise(MADV_DONTDUMP)", answer })?;
    locked.map_err(|answer| Denied { call: "mlock", answer })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A pool that no other test uses.
    fn pool() -> &'static Pool {
        Box::leak(Box::new(Pool::new()))
    }

    fn cells_of_a_slab() -> usize {
        SLAB.max(page_size()) / CELL
    }

    fn bytes(pool: &Pool) -> u64 {
        let KeyMemory { locked, unlocked, .. } = pool.state().memory;
        locked + unlocked
    }

    fn place(cell: &KeyCell) -> usize {
        cell.bytes.as_ptr() as usize
    }

    fn numbered(pool: &'static Pool, number: usize) -> KeyCell {
        let mut cell = KeyCell::of(pool);
        assert_eq!(*cell, [0; CELL]);
        cell[..8].copy_from_slice(&number.to_le_bytes());
        cell[24..].copy_from_slice(&number.to_le_bytes());
        cell
    }

    fn has_number(cell: &KeyCell, number: usize) -> bool {
        cell[..8] == number.to_le_bytes() && cell[24..] == number.to_le_bytes()
    }

    #[test]
    fn what_the_system_refuses_to_lock_is_counted_apart_with_its_first_answer() {
        let denied = |call| Denied { call, answer: Errno::NOMEM };
        let mut memory = KeyMemory::default();
        for protected in [Ok(()), Err(denied("mlock")), Ok(()), Err(denied("madvise(MADV_DONTDUMP)"))] {
            memory.add(100, protected);
        }
        assert_eq!(memory, KeyMemory { locked: 200, unlocked: 200, denied: Some(denied("mlock")) });
    }

    #[test]
    fn the_processs_keys_are_counted() {
        let _key = KeyCell::zeroed();
        let KeyMemory { locked, unlocked, .. } = key_memory();
        assert!(locked + unlocked >= SLAB as u64);
    }

    #[test]
    fn every_cell_is_its_own_also_beyond_one_slab() {
        let (pool, count) = (pool(), 3 * cells_of_a_slab() + 1);
        let cells: Vec<_> = (0..count).map(|number| numbered(pool, number)).collect();
        assert!(cells.iter().enumerate().all(|(number, cell)| has_number(cell, number)));
        assert_eq!(cells.iter().map(place).collect::<HashSet<_>>().len(), count);
        assert!(cells.iter().all(|cell| place(cell).is_multiple_of(CELL)));
        assert_eq!(bytes(pool), 4 * (cells_of_a_slab() * CELL) as u64);
    }

    #[test]
    fn a_dropped_cell_is_wiped_and_becomes_another_keys() {
        let pool = pool();
        let (dropped, kept) = (numbered(pool, usize::MAX), numbered(pool, 7));
        let at = dropped.bytes;
        drop(dropped);
        // SAFETY: the slab stays mapped, and no cell has these bytes now.
        assert_eq!(unsafe { at.as_ref() }, &[0; CELL]);
        let next = numbered(pool, 8);
        assert_eq!(next.bytes, at);
        assert!(has_number(&kept, 7));
    }

    #[test]
    fn what_was_given_back_is_used_before_a_slab_is_added() {
        let (pool, count) = (pool(), cells_of_a_slab());
        for round in 0..5 {
            let cells: Vec<_> = (0..count).map(|number| numbered(pool, round + number)).collect();
            assert_eq!(bytes(pool), (cells.len() * CELL) as u64);
        }
        let state = pool.state();
        assert_eq!((state.free.len(), state.cells), (count, count));
        assert!(state.free.capacity() >= state.cells);
    }

    #[test]
    fn threads_that_take_and_drop_at_once_never_share_a_cell() {
        let (pool, threads) = (pool(), 4);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for step in 0..5_000 {
                        let number = thread * 1_000_000 + step;
                        held.push((number, numbered(pool, number)));
                        if step % 3 != 0 {
                            let (number, cell) = held.swap_remove(step % held.len());
                            assert!(has_number(&cell, number));
                        }
                    }
                    assert!(held.iter().all(|(number, cell)| has_number(cell, *number)));
                });
            }
        });
        let state = pool.state();
        assert_eq!(state.free.len(), state.cells, "every cell came back");
    }

    /// Returns begin, end, permissions and flags of each mapping of this process.
    fn mappings() -> Vec<(usize, usize, String, String)> {
        let mut found = Vec::new();
        for line in std::fs::read_to_string("/proc/self/smaps").expect("Linux").lines() {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            let address = |text| usize::from_str_radix(text, 16).ok();
            if let Some((begin, end)) = first.split_once('-')
                && let (Some(begin), Some(end)) = (address(begin), address(end))
            {
                found.push((begin, end, words.next().unwrap_or_default().to_owned(), String::new()));
            } else if let (Some(flags), Some(last)) = (line.strip_prefix("VmFlags:"), found.last_mut()) {
                last.3 = format!("{flags} ");
            }
        }
        found
    }

    #[test]
    fn a_slab_lies_between_guards_undumped_and_locked_where_the_system_allows_it() {
        let pool = pool();
        let cell = numbered(pool, 1);
        let all = mappings();
        let is_ours =
            |(begin, end, ..): &(usize, usize, String, String)| (*begin..*end).contains(&place(&cell));
        let at = all.iter().position(is_ours).expect("a mapping");
        let (begin, end, access, flags) = &all[at];
        assert_eq!((end - begin, access.as_str()), (SLAB.max(page_size()), "rw-p"));
        let (below, above) = (&all[at - 1], &all[at + 1]);
        assert_eq!((below.1, below.2.as_str()), (*begin, "---p"));
        assert_eq!((above.0, above.2.as_str()), (*end, "---p"));
        let memory = pool.state().memory;
        assert_eq!(
            (flags.contains(" dd "), flags.contains(" lo ")),
            (true, memory.unlocked == 0),
            "{memory:?}"
        );
        assert_eq!(memory.denied.is_some(), memory.unlocked > 0);
    }
}
