//! What tests need inside the binary. Absent from a release build.
#![expect(clippy::disallowed_methods, reason = "the tests' own switches come by the environment")]

mod clock;
mod failpoint;

pub use clock::{CLOCK_ENV, STORE_CLOCK_ENV, clock_offset_ms, store_clock_offset_ms};
pub use failpoint::{FAILPOINT_ENV, failpoint, panic_point};

/// How long a change of a retention waits before it is settled, where a test cannot wait for what it is by the rules
/// (`HOURSEAL_TESTKIT_SETTLES_IN_MS`).
///
/// # Panics
/// When the variable holds something else than a number.
pub fn settles_in() -> Option<std::time::Duration> {
    let text = std::env::var("HOURSEAL_TESTKIT_SETTLES_IN_MS").ok()?;
    Some(std::time::Duration::from_millis(text.parse().expect("a number of milliseconds")))
}

/// Whether this is switched off, to see what it keeps broken: the negative controls (`HOURSEAL_TESTKIT_OFF`, names with commas).
///
/// | name | without it |
/// |---|---|
/// | `transactions` | outputs and offsets are committed apart |
/// | `redrive-marks` | a redrive passes over the marks of those before it |
/// | `late-marks` | who goes on late with a command does not see what was done for good meanwhile |
/// | `late-requests` | a producer goes on although a request of its transaction had no answer |
/// | `offset-check` | a lane goes on at any offset that the broker calls committed |
/// | `guard` | readers do not look whether the key store is behind its receipts |
pub fn is_off(what: &str) -> bool {
    std::env::var("HOURSEAL_TESTKIT_OFF").is_ok_and(|names| names.split(',').any(|name| name == what))
}
