//! A clock that a test moves from outside.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Names the file that holds the offset of this process's wall clock: seconds as decimal text, signed.
pub const CLOCK_ENV: &str = "HOURSEAL_TESTKIT_CLOCK";

/// Like [`CLOCK_ENV`], for the time of a key store on a server: a test cannot move that server's clock.
pub const STORE_CLOCK_ENV: &str = "HOURSEAL_TESTKIT_STORE_CLOCK";

/// Milliseconds to add to the system's wall clock; 0 without the variable. Reads the file at each call.
///
/// # Panics
/// If the file is missing or does not hold a number: a test that assumes another time than the process proves
/// nothing.
pub fn clock_offset_ms() -> i64 {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    offset_ms(FILE.get_or_init(|| std::env::var_os(CLOCK_ENV).map(PathBuf::from)).as_deref())
}

/// Milliseconds to add to the clock of a key store on a server.
///
/// # Panics
/// As [`clock_offset_ms`].
pub fn store_clock_offset_ms() -> i64 {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    offset_ms(FILE.get_or_init(|| std::env::var_os(STORE_CLOCK_ENV).map(PathBuf::from)).as_deref())
}

fn offset_ms(file: Option<&Path>) -> i64 {
    let Some(file) = file else { return 0 };
    let text = std::fs::read_to_string(file).expect("the testkit clock's variable names a readable file");
    let seconds: i64 = text.trim().parse().expect("the testkit clock's file holds a number of seconds");
    seconds * 1_000
}
