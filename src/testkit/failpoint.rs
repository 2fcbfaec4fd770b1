//! Places at which a test kills the process, or stops it as a host that suspends it does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// `NAME` kills the process at that failpoint. `NAME/N` does so the Nth time that the process reaches it;
/// `NAME/N/stop` stops the process (SIGSTOP) instead.
pub const FAILPOINT_ENV: &str = "HOURSEAL_TESTKIT_FAILPOINT";

const UNTIL_STOPPED: Duration = Duration::from_millis(500);

struct Set {
    name: String,
    left: AtomicU32,
    signal: Signal,
}

fn set() -> Option<&'static Set> {
    static SET: OnceLock<Option<Set>> = OnceLock::new();
    let read = || {
        let text = std::env::var(FAILPOINT_ENV).ok()?;
        let mut words = text.split('/');
        let name = words.next()?.to_owned();
        let times = words.next().map_or(1, |times| times.parse().expect("how often a failpoint is reached"));
        let signal = if words.next() == Some("stop") { Signal::STOP } else { Signal::KILL };
        Some(Set { name, left: AtomicU32::new(times), signal })
    };
    SET.get_or_init(read).as_ref()
}

/// Kills or stops the process if the test has set this failpoint. After a stop it returns when the process is
/// continued (SIGCONT).
///
/// # Panics
/// When the variable is malformed.
pub fn failpoint(name: &str) {
    let Some(set) = set().filter(|set| set.name == name) else { return };
    let is_it = |left: u32| left.checked_sub(1);
    if set.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_it) == Ok(1) {
        kill_process(getpid(), set.signal).expect("a process may signal itself");
        // Another thread may take the signal: this one waits until all threads are stopped.
        std::thread::sleep(UNTIL_STOPPED);
        if set.signal == Signal::KILL {
            loop {
                std::thread::park();
            }
        }
    }
}

/// Panics if the test has named this thread or duty (`HOURSEAL_TESTKIT_PANIC`).
///
/// # Panics
/// If the test asks for it.
pub fn panic_point(name: &str) {
    assert!(std::env::var("HOURSEAL_TESTKIT_PANIC").as_deref() != Ok(name), "as the test says");
}
