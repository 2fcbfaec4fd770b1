//! Limits the unexplained failures of a lane.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Halt;

const RESTARTS: usize = 5;
const WINDOW: Duration = Duration::from_secs(600);

/// Allows five unexplained replacements of the producer in ten minutes.
#[derive(Default)]
pub(super) struct Budget(VecDeque<Instant>);

impl Budget {
    /// # Errors
    /// [`Halt::TooManyRestarts`] if the budget is spent.
    pub(super) fn take(&mut self, now: Instant, name: &str) -> Result<(), Halt> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        if self.0.len() > RESTARTS {
            let minutes = WINDOW.as_secs() / 60;
            return Err(Halt::TooManyRestarts { restarts: self.0.len(), minutes, name: name.to_owned() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_within_ten_minutes_halts_and_old_ones_are_forgotten() {
        let start = Instant::now();
        let mut budget = Budget::default();
        for second in 0..5 {
            assert!(budget.take(start + Duration::from_secs(second), "X").is_ok());
        }
        assert!(budget.take(start + Duration::from_secs(700), "X").is_ok(), "the window has moved on");
        let mut budget = Budget::default();
        for _ in 0..5 {
            assert!(budget.take(start, "X").is_ok());
        }
        assert!(matches!(budget.take(start, "X"), Err(Halt::TooManyRestarts { restarts: 6, .. })));
    }
}
