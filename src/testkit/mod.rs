//! What tests need inside the binary. Absent from a release build.
#![expect(clippy::disallowed_methods, reason = "the tests' own switches come by the environment")]

mod clock;

pub use clock::{CLOCK_ENV, STORE_CLOCK_ENV, clock_offset_ms, store_clock_offset_ms};

/// Whether outputs and offsets are committed apart (`HOURSEAL_TESTKIT_NO_TRANSACTIONS=1`): the negative control.
pub fn transactions_off() -> bool {
    static OFF: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os("HOURSEAL_TESTKIT_NO_TRANSACTIONS").is_some())
}
