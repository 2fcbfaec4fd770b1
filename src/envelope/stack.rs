//! Stacks that keep no key.
//!
//! `ring` and HChaCha20 work on copies of keys in their own frames and leave them there; so would any other backend.

use std::hint::black_box;

/// How far below its caller's frame the stack is overwritten, in bytes: several times what a derivation or a seal takes, also
/// without optimisation. `cluster/keys/test_memory` finds what lies deeper.
const DEPTH: usize = 16 * 1024;

/// Does `act`, then overwrites the stack that it has used. Its answer must hold no key by value.
pub fn tidily<T>(act: impl FnOnce() -> T) -> T {
    let answer = below(act);
    overwrite();
    answer
}

/// In a frame of its own, so that all of `act` lies where `overwrite` will.
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

    /// Leaves the mark far down, as a library does that has many frames.
    #[inline(never)]
    fn litter(frames: u32) -> u32 {
        let mut frame = [0_u8; 256];
        let at = black_box(100);
        frame[at..at + MARK.len()].copy_from_slice(&MARK);
        black_box(&mut frame);
        let deeper = if frames > 1 { litter(frames - 1) } else { 0 };
        deeper + u32::from(black_box(frame)[at] == MARK[0])
    }

    /// How often the mark lies below this frame.
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
