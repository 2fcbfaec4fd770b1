//! What a lane remembers of outages, from one client to the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an outage explains what follows it.
const EXPLAINS: Duration = Duration::from_secs(60);

/// When a broker was last seen to be away, and which `InitProducerId` had no answer.
///
/// A static member whose JoinGroup went unanswered sends another one. A broker that wakes up serves both, the second fences
/// the first, and the client hears `FENCED_INSTANCE_ID` although nobody else has its name. So soon after an outage that is
/// no duel: joining anew tells. A real twin is fenced by it, has seen no outage, and ends.
///
/// The same happens to a producer whose `InitProducerId` had no answer: when it reaches the broker late, it fences once.
#[derive(Clone, Default)]
pub(super) struct Outages(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    last: Option<Instant>,
    inits: Vec<Instant>,
}

impl Outages {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self, now: Instant) {
        self.lock().last = Some(now);
    }

    /// A consumer's requests that nobody answers are told in librdkafka's log alone: as these facilities, at level INFO.
    pub(super) fn hear(&self, facility: &str) {
        if matches!(facility, "FAIL" | "REQTMOUT" | "SESSTMOUT") {
            self.seen(Instant::now());
        }
    }

    pub(super) fn explain(&self, now: Instant) -> bool {
        self.lock().last.is_some_and(|last| now.duration_since(last) < EXPLAINS)
    }

    pub(super) fn init_unanswered(&self, now: Instant) {
        let mut seen = self.lock();
        seen.last = Some(now);
        seen.inits.retain(|at| now.duration_since(*at) < EXPLAINS);
        seen.inits.push(now);
    }

    /// Whether an `InitProducerId` had no answer within the last minute; each explains one fence.
    pub(super) fn take_unanswered_init(&self, now: Instant) -> bool {
        let inits = &mut self.lock().inits;
        inits.retain(|at| now.duration_since(*at) < EXPLAINS);
        inits.pop().is_some()
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
