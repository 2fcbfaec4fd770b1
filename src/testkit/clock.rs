//! A clock that a test moves from outside.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Names the file that holds the offset of this process's wall clock: seconds as decimal text, signed.
pub const CLOCK_ENV: &str = "HOURSEAL_TESTKIT_CLOCK";

/// Milliseconds that are added to the system's wall clock; 0 without the variable. The file is read anew each time.
///
/// # Panics
/// When the file is missing or holds something else: a test that believes in another time than the process proves nothing.
pub fn clock_offset_ms() -> i64 {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os(CLOCK_ENV).map(PathBuf::from)) else { return 0 };
    let text = std::fs::read_to_string(file).expect("HOURSEAL_TESTKIT_CLOCK names a readable file");
    let seconds: i64 =
        text.trim().parse().expect("the file of HOURSEAL_TESTKIT_CLOCK holds a number of seconds");
    seconds * 1_000
}
