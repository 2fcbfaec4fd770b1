//! Fences of a lane, from one producer to the next: which of them tell of another process.

use std::time::{Duration, Instant};

use super::fate::Fence;

/// A second fence within this time is no accident.
const WINDOW: Duration = Duration::from_secs(60);

/// When a young transaction was last fenced without an explanation.
///
/// A process that uses our transactional id fences us again and again. A fence that stands alone may come from a late
/// request of our own: no broker refuses a late `InitProducerId`.
#[derive(Default)]
pub(super) struct Fences {
    last: Option<Instant>,
}

impl Fences {
    /// What a fence at `now` means, and remembers it if nothing explains it. `ours`: an unanswered `InitProducerId` of
    /// this lane explains it.
    pub(super) fn judge(&mut self, now: Instant, ours: bool) -> Fence {
        if ours {
            return Fence::OurOwn;
        }
        match self.last.replace(now) {
            Some(last) if now.duration_since(last) < WINDOW => Fence::Repeated,
            _ => Fence::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_repeats_within_a_minute_unless_a_request_of_ours_explains_it() {
        let (mut fences, start) = (Fences::default(), Instant::now());
        assert_eq!(fences.judge(start, false), Fence::First);
        let soon = start + Duration::from_secs(59);
        assert_eq!(fences.judge(soon, true), Fence::OurOwn);
        assert_eq!(fences.judge(soon, false), Fence::Repeated);
        assert_eq!(fences.judge(soon + WINDOW, false), Fence::First);
    }
}
