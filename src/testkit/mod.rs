//! What tests need inside the binary. Absent from a release build.
#![expect(clippy::disallowed_methods, reason = "the tests' own switches come by the environment")]

mod clock;
mod failpoint;

pub use clock::{CLOCK_ENV, STORE_CLOCK_ENV, clock_offset_ms, store_clock_offset_ms};
pub use failpoint::{FAILPOINT_ENV, failpoint};

/// How long a change of a retention waits before it is settled, where a test cannot wait for what it is by the rules
/// (`HOURSEAL_TESTKIT_SETTLES_IN_MS`).
///
/// # Panics
/// When the variable holds something else than a number.
pub fn settles_in() -> Option<std::time::Duration> {
    let text = std::env::var("HOURSEAL_TESTKIT_SETTLES_IN_MS").ok()?;
    Some(std::time::Duration::from_millis(text.parse().expect("a number of milliseconds")))
}

/// Whether a redrive passes over the marks of those before it (`HOURSEAL_TESTKIT_NO_MARKS=1`): the negative control.
pub fn marks_off() -> bool {
    std::env::var_os("HOURSEAL_TESTKIT_NO_MARKS").is_some()
}

/// Whether readers pass over what the receipts say (`HOURSEAL_TESTKIT_NO_GUARD=1`): the negative control.
pub fn guard_off() -> bool {
    std::env::var_os("HOURSEAL_TESTKIT_NO_GUARD").is_some()
}

/// Whether outputs and offsets are committed apart (`HOURSEAL_TESTKIT_NO_TRANSACTIONS=1`): the negative control.
pub fn transactions_off() -> bool {
    static OFF: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os("HOURSEAL_TESTKIT_NO_TRANSACTIONS").is_some())
}
