//! The fences of a lane, from one producer to the next. Tells which of them come from another process.

use std::time::{Duration, Instant};

use super::fate::Fence;

/// Within this time, a second fence is not an accident.
const WINDOW: Duration = Duration::from_secs(60);

/// The time of the last unexplained fence on a young transaction.
///
/// Another process with this lane's transactional id fences the lane again and again. A single fence may come
/// from a late request of the lane itself: no broker refuses a late `InitProducerId`.
#[derive(Default)]
pub(super) struct Fences {
    last: Option<Instant>,
}

impl Fences {
    /// Judges a fence at `now`, and remembers it if nothing explains it. `ours`: an unanswered
    /// `InitProducerId` of this lane explains it.
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
