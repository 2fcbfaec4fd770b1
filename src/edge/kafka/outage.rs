//! What a lane remembers of outages, from one client to the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an outage explains what follows it.
const EXPLAINS: Duration = Duration::from_secs(60);

/// When a broker was last seen to be away.
///
/// A static member whose JoinGroup went unanswered sends another one. A broker that wakes up serves both, the second fences
/// the first, and the client hears `FENCED_INSTANCE_ID` although nobody else has its name. So soon after an outage that is
/// no duel: joining anew tells. A real twin is fenced by it, has seen no outage, and ends.
#[derive(Clone, Default)]
pub(super) struct Outages(Arc<Mutex<Option<Instant>>>);

impl Outages {
    pub(super) fn seen(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Requests that nobody answers are told in librdkafka's log alone: as these facilities.
    pub(super) fn hear(&self, facility: &str) {
        if matches!(facility, "FAIL" | "REQTMOUT" | "SESSTMOUT") {
            self.seen(Instant::now());
        }
    }

    pub(super) fn explain(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| now.duration_since(last) < EXPLAINS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_explains_what_follows_it_for_a_minute() {
        let (outages, now) = (Outages::default(), Instant::now());
        assert!(!outages.explain(now), "without one nothing is explained");
        outages.seen(now);
        assert!(outages.clone().explain(now + Duration::from_secs(59)));
        assert!(!outages.explain(now + EXPLAINS));
    }
}
