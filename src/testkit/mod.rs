//! Hooks for tests inside the binary. A release build does not contain them.
#![expect(clippy::disallowed_methods, reason = "the tests' own switches come by the environment")]

mod clock;
mod failpoint;

pub use clock::{CLOCK_ENV, STORE_CLOCK_ENV, clock_offset_ms, store_clock_offset_ms};
pub use failpoint::{FAILPOINT_ENV, failpoint, panic_point};

/// A test's own delay before a retention change is settled, for a test that cannot wait for the regular one
/// (`HOURSEAL_TESTKIT_SETTLES_IN_MS`).
///
/// # Panics
/// If the variable does not hold a number.
pub fn settles_in() -> Option<std::time::Duration> {
    milliseconds("HOURSEAL_TESTKIT_SETTLES_IN_MS")
}

/// A test's own length of the minute for which `lane.new_slots_per_minute` counts
/// (`HOURSEAL_TESTKIT_SLOT_MINUTE_MS`).
///
/// # Panics
/// If the variable does not hold a number.
pub fn slot_minute() -> Option<std::time::Duration> {
    milliseconds("HOURSEAL_TESTKIT_SLOT_MINUTE_MS")
}

fn milliseconds(variable: &str) -> Option<std::time::Duration> {
    let text = std::env::var(variable).ok()?;
    Some(std::time::Duration::from_millis(text.parse().expect("a number of milliseconds")))
}

/// Whether a test has switched this off, to see the promise broken that it keeps: the negative controls
/// (`HOURSEAL_TESTKIT_OFF`, names separated by commas).
///
/// | name | effect without it |
/// |---|---|
/// | `transactions` | outputs and offsets are committed separately |
/// | `redrive-marks` | a redrive ignores the marks of earlier redrives |
/// | `late-marks` | an executor that resumes a command late does not see what is permanently done |
/// | `late-requests` | a producer continues although a request of its transaction had no answer |
/// | `offset-check` | a lane continues at any offset that the broker reports as committed |
/// | `guard` | readers do not check whether the key store is behind its receipts |
pub fn is_off(what: &str) -> bool {
    std::env::var("HOURSEAL_TESTKIT_OFF").is_ok_and(|names| names.split(',').any(|name| name == what))
}
