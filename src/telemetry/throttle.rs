//! Decides which lines of the log are written: of each code at most one a second.
//!
//! Promise: a line that is left out is counted, and the newest of them is written when its second is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The time that a code stays quiet after each of its lines.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// The recent lines of each code. `L` is a line.
pub(super) struct Throttle<L>(BTreeMap<&'static str, Recent<L>>);

struct Recent<L> {
    written: Instant,
    /// The lines before `newest` that are in no line that was written.
    left_out: u64,
    newest: Option<L>,
}

/// A line to write, and the number of lines of its code that were left out before it.
pub(super) type Due<L> = (L, u64);

impl<L> Throttle<L> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Returns the line if it is to be written now, and keeps it otherwise.
    pub(super) fn take(&mut self, code: &'static str, line: L, now: Instant) -> Option<Due<L>> {
        let Some(recent) = self.0.get_mut(code) else {
            self.0.insert(code, Recent { written: now, left_out: 0, newest: None });
            return Some((line, 0));
        };
        let before = recent.newest.replace(line);
        recent.left_out += u64::from(before.is_some());
        recent.due(now)
    }

    /// Returns the kept lines whose second is over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Due<L>> {
        self.0.values_mut().filter_map(|recent| recent.due(now)).collect()
    }

    /// Returns every kept line: the process ends.
    pub(super) fn rest(&mut self) -> Vec<Due<L>> {
        self.0.values_mut().filter_map(Recent::release).collect()
    }

    /// Whether a line is kept.
    pub(super) fn keeps_one(&self) -> bool {
        self.0.values().any(|recent| recent.newest.is_some())
    }
}

impl<L> Recent<L> {
    fn due(&mut self, now: Instant) -> Option<Due<L>> {
        if now.saturating_duration_since(self.written) < QUIET {
            return None;
        }
        let due = self.release()?;
        self.written = now;
        Some(due)
    }

    fn release(&mut self) -> Option<Due<L>> {
        Some((self.newest.take()?, std::mem::take(&mut self.left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "HS0001";
    const B: &str = "HS0002";

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_code_has_one_line_a_second_and_the_next_one_counts_those_left_out() {
        let (mut throttle, start) = (Throttle::new(), Instant::now());
        assert_eq!(throttle.take(A, "1", start), Some(("1", 0)));
        assert_eq!(throttle.take(A, "2", at(start, 10)), None);
        assert_eq!(throttle.take(A, "3", at(start, 999)), None);
        assert_eq!(throttle.take(B, "other", at(start, 999)), Some(("other", 0)), "each code by itself");
        assert_eq!(throttle.take(A, "4", at(start, 1_000)), Some(("4", 2)));
        assert_eq!(throttle.take(A, "5", at(start, 1_999)), None);
    }

    #[test]
    fn the_newest_line_is_written_when_its_code_is_quiet() {
        let (mut throttle, start) = (Throttle::new(), Instant::now());
        for line in ["1", "2", "3"] {
            throttle.take(A, line, start);
        }
        assert!(throttle.keeps_one() && throttle.due(at(start, 999)).is_empty());
        assert_eq!(throttle.due(at(start, 1_000)), [("3", 1)]);
        assert!(!throttle.keeps_one() && throttle.due(at(start, 5_000)).is_empty());
        assert_eq!(throttle.take(A, "4", at(start, 1_500)), None, "its second began with the newest line");
        assert_eq!(throttle.take(A, "5", at(start, 2_000)), Some(("5", 1)));
        assert_eq!(throttle.take(A, "6", at(start, 9_000)), Some(("6", 0)));
    }

    #[test]
    fn nothing_is_lost_at_the_end_of_the_process() {
        let (mut throttle, start) = (Throttle::new(), Instant::now());
        for (code, line) in [(A, "1"), (A, "2"), (A, "3"), (B, "1"), (B, "2")] {
            throttle.take(code, line, start);
        }
        assert_eq!(throttle.rest(), [("3", 1), ("2", 0)]);
        assert!(throttle.rest().is_empty());
    }

    /// Whatever happens, each line is written or counted exactly once, and two lines are a second apart.
    #[test]
    fn every_line_is_written_or_counted() {
        let (mut throttle, start) = (Throttle::new(), Instant::now());
        let (mut counted, mut written) = (0, Vec::new());
        for ms in 0..10_000 {
            let now = at(start, ms);
            let due =
                if ms % 7 == 0 { throttle.take(A, ms, now).into_iter().collect() } else { throttle.due(now) };
            for (_, left_out) in due {
                counted += 1 + left_out;
                written.push(now);
            }
        }
        counted += throttle.rest().iter().map(|(_, left_out)| 1 + left_out).sum::<u64>();
        assert_eq!(counted, 10_000_u64.div_ceil(7));
        assert!(written.len() >= 10 && written.windows(2).all(|two| two[1] - two[0] >= QUIET), "{written:?}");
    }
}
