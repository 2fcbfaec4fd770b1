//! A lane's memory of outages, kept when one client replaces another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time for which an outage explains the fences that follow it.
const EXPLAINS: Duration = Duration::from_secs(60);

/// The time of the last outage of a broker, and the `InitProducerId` requests that had no answer.
///
/// A static member whose JoinGroup had no answer sends another one. A broker that wakes up serves both. The
/// second one fences the first, and the client gets `FENCED_INSTANCE_ID` although no other process has its
/// name. So soon after an outage, this error does not prove that another process has the name. The lane
/// joins again to find out: this fences a real twin, which has seen no outage and ends.
///
/// The same happens to a producer whose `InitProducerId` had no answer: if the request reaches the broker
/// late, it fences once.
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

    /// Notes an outage. librdkafka reports a consumer's unanswered requests only in its log, with these
    /// facilities at level INFO.
    pub(super) fn logged(&self, facility: &str) {
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
        assert!(!outages.explain(now), "without an outage nothing is explained");
        outages.seen(now);
        assert!(outages.clone().explain(now + Duration::from_secs(59)));
        assert!(!outages.explain(now + EXPLAINS));
    }
}
