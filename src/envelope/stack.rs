//! Removes keys from the stack.
//!
//! `ring` and HChaCha20 copy keys to their stack frames and leave them there. So would any other backend.

use std::hint::black_box;

/// Number of bytes that are overwritten below the caller's frame. It is several times the stack of a
/// derivation or a seal, also without optimisation. `cluster/keys/test_memory` finds keys that are deeper.
const DEPTH: usize = 16 * 1024;

/// Runs `act`, then overwrites the stack that it has used. The return value must not hold a key by value.
pub fn tidily<T>(act: impl FnOnce() -> T) -> T {
    let answer = below(act);
    overwrite();
    answer
}

/// Runs `act` in a separate frame, so that all of its stack is in the range that `overwrite` covers.
#[inline(never)]
fn below<T>(act: impl FnOnce() -> T) -> T {
    act()
}

#[inline(never)]
fn overwrite() {
    let mut stack = [0_u8; DEPTH];
    black_box(&mut stack);
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    const MARK: [u8; 16] = *b"a key's halfling";

    /// Leaves the mark deep in the stack, like a library with many frames.
    #[inline(never)]
    fn litter(frames: u32) -> u32 {
        let mut frame = [0_u8; 256];
        let at = black_box(100);
        frame[at..at + MARK.len()].copy_from_slice(&MARK);
        black_box(&mut frame);
        let deeper = if frames > 1 { litter(frames - 1) } else { 0 };
        deeper + u32::from(black_box(frame)[at] == MARK[0])
    }

    /// Counts the marks below this frame.
    #[inline(never)]
    fn found() -> usize {
        let mut memory = vec![0; 2 * DEPTH];
        let here = (&raw const memory).addr() as u64;
        let own = File::open("/proc/self/mem").expect("Linux");
        own.read_exact_at(&mut memory, here - 2 * DEPTH as u64).expect("a thread's stack is larger");
        memory.windows(MARK.len()).filter(|window| *window == MARK).count()
    }

    #[test]
    fn what_a_call_leaves_on_the_stack_is_gone() {
        assert_eq!(below(|| litter(8)), 8);
        assert!(found() > 2, "without `tidily` it stays");
        assert_eq!(tidily(|| litter(8)), 8);
        assert_eq!(found(), 0);
    }
}
