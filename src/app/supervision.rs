//! Tells the supervisor, such as systemd, whether the process is ready and alive.
//!
//! Promise: a sign of life goes out only after the watchdog's thread has looked at the lanes once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::edge::supervisor::Supervisor;
use crate::telemetry::Readiness;

/// Time between two looks at the conditions of `/readyz`.
const LOOK: Duration = Duration::from_millis(500);

/// Sends the status when it changes, and a sign of life at half of the time after which the supervisor would
/// end the process. Does not return.
pub(super) async fn supervise(supervisor: Arc<Supervisor>, readiness: Readiness, heart: Heart) {
    let every = supervisor.watchdog().map(|limit| limit / 2);
    let mut looks = tokio::time::interval(every.map_or(LOOK, |every| every.min(LOOK)));
    let (mut status, mut last_sign) = (String::new(), None::<Instant>);
    loop {
        looks.tick().await;
        let now = text(&readiness);
        if status != now {
            supervisor.status(&now);
            status = now;
        }
        let is_due =
            every.is_some_and(|every| last_sign.is_none_or(|last| last.elapsed() >= every - LOOK.min(every)));
        if is_due && heart.has_beaten() {
            supervisor.is_alive();
            last_sign = Some(Instant::now());
        }
    }
}

fn text(readiness: &Readiness) -> String {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        return "ready".to_owned();
    }
    let reasons = reasons.iter().map(|reason| format!("{}: {}", reason.condition, reason.why));
    format!("not ready: {}", reasons.collect::<Vec<_>>().join("; "))
}

/// The heart of the process: the watchdog's thread lets it beat. In a process without that thread, it always
/// beats.
#[derive(Clone, Default)]
pub(super) struct Heart(Arc<AtomicU8>);

impl Heart {
    const NOT_WATCHED: u8 = 0;
    const BEATEN: u8 = 1;
    const SEEN: u8 = 2;

    pub(super) fn beat(&self) {
        self.0.store(Self::BEATEN, Ordering::Release);
    }

    /// Whether it has beaten since the last question.
    fn has_beaten(&self) -> bool {
        match self.0.compare_exchange(Self::BEATEN, Self::SEEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == Self::NOT_WATCHED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_that_no_longer_looks_gives_no_sign_of_life() {
        let heart = Heart::default();
        assert!(heart.has_beaten() && heart.has_beaten(), "nobody watches");
        heart.beat();
        assert!(heart.has_beaten());
        assert!(!heart.has_beaten(), "it hangs");
        heart.beat();
        assert!(heart.has_beaten());
    }

    #[test]
    fn the_status_names_each_reason() {
        let readiness = Readiness::default();
        let lane = readiness.condition("lane 0");
        lane.unmet("no broker");
        assert_eq!(text(&readiness), "not ready: lane 0: no broker");
        lane.met();
        assert_eq!(text(&readiness), "ready");
    }
}
