//! Random bytes. Only they and the keys' memory (`locked`) are not pure in this room.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::NONCE_LEN;

/// Fills `out` from the system's random generator (getrandom(2) on Linux).
///
/// # Panics
/// If the system has no generator. No event may be sealed and no key minted then, and a retry does not help.
pub fn random(out: &mut [u8]) {
    SystemRandom::new()
        .fill(out)
        .expect("getrandom(2) does not fail for a valid buffer once the system is up");
}

/// Generates nonces in pools. Each pool is the ChaCha20 keystream of a seed of 32 random bytes from the
/// system. A system call for each nonce costs about as much as sealing a short event. Even a whole pool from
/// the system costs more than expanding a seed here.
///
/// Not `Clone`, because a nonce must be used only once. A forked process must make its own `Nonces`. A
/// machine that is resumed twice from one image repeats the rest of the pool, as it repeats all memory, so
/// make one for each batch.
pub struct Nonces {
    pool: Box<[[u8; NONCE_LEN]; Self::POOL]>,
    used: usize,
}

impl Nonces {
    /// 4,080 bytes at a time.
    const POOL: usize = 170;

    pub fn new() -> Self {
        Self { pool: Box::new([[0; NONCE_LEN]; Self::POOL]), used: Self::POOL }
    }

    /// Returns 24 random bytes that it has never returned before.
    pub fn take(&mut self) -> [u8; NONCE_LEN] {
        if self.used == Self::POOL {
            self.refill();
        }
        self.used += 1;
        self.pool[self.used - 1]
    }

    fn refill(&mut self) {
        let mut seed = Zeroizing::new([0; 32]);
        random(seed.as_mut());
        let pool = self.pool.as_flattened_mut();
        pool.fill(0);
        ChaCha20::new((&*seed).into(), &[0; 12].into()).apply_keystream(pool);
        self.used = 0;
    }
}

impl Default for Nonces {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_is_drawn_twice() {
        let mut nonces = Nonces::new();
        let distinct: HashSet<_> = (0..3 * Nonces::POOL + 1).map(|_| nonces.take()).collect();
        assert_eq!(distinct.len(), 3 * Nonces::POOL + 1);
        assert!(!distinct.contains(&[0; NONCE_LEN]));
    }
}
