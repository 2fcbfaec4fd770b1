//! A limit for a call that may never return.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

/// Runs `call` on a thread of its own, and waits at most `limit` for its result.
///
/// If there is a result, the call has dropped all that it owned. `None` = no result yet: the thread keeps
/// what the call owns, and drops it when the call returns. No caller waits for that, not even at the end of
/// the process.
///
/// # Panics
/// If the call panics, or if the system cannot start a thread.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (result, results) = sync_channel(1);
    let run = move || {
        let value = call();
        // After `limit`, no caller waits for the result.
        let _ = result.send(value);
    };
    // A process that cannot start threads ends.
    let thread =
        Builder::new().name("bounded call".to_owned()).spawn(run).expect("the system has a thread left");
    match results.recv_timeout(limit) {
        Ok(value) => Some(value),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(()) => unreachable!("a call that returns sends its result"),
            Err(panic) => resume_unwind(panic),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Weak};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn owned() -> (Arc<()>, Weak<()>) {
        let owned = Arc::new(());
        let seen = Arc::downgrade(&owned);
        (owned, seen)
    }

    #[test]
    fn a_call_that_does_not_return_is_given_up_and_keeps_what_it_owns() {
        let (release, released) = channel::<()>();
        let (owned, seen) = owned();
        let call = move || {
            let _until_the_end = &owned;
            released.recv()
        };
        assert_eq!(within(Duration::from_millis(20), call), None);
        assert!(seen.upgrade().is_some(), "the call is still under way");
        release.send(()).expect("the call waits");
        while seen.upgrade().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_result_comes_after_the_call_has_dropped_what_it_owned() {
        let (owned, seen) = owned();
        let call = move || Arc::strong_count(&owned);
        assert_eq!(within(LONG, call), Some(1));
        assert!(seen.upgrade().is_none());
    }

    #[test]
    #[should_panic(expected = "as the test says")]
    fn a_panic_of_the_call_is_one_of_its_caller() {
        within(LONG, || panic!("as the test says"));
    }
}
