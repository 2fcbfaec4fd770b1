//! Runs one lane: membership after membership, until the stop or a halt.

use std::sync::Arc;
use std::time::Duration;

use super::failures::Failures;
use super::member::Member;
use super::{Board, Connector, Event, Halt, Pulse, StartLog, StartRules, Step, Stop};

/// Pause before a failed client is replaced.
pub(super) const BACKOFF: Duration = Duration::from_millis(500);

/// Limits that close a batch, whichever comes first. The step may close it earlier.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub batch_time: Duration,
    pub batch_events: usize,
}

/// The behaviour of a lane when a partition cannot continue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parking {
    /// Continues with the others.
    GoOn,
    /// Halts, unless the reason is an outage: the work has an end, which this partition would not reach.
    Halt,
}

/// One lane's engine.
pub struct Engine<'a, C: Connector> {
    pub connector: &'a C,
    pub pace: Pace,
    pub stop: Stop,
    pub pulse: Pulse,
    pub starts: Arc<dyn StartLog>,
    pub rules: StartRules,
    pub parking: Parking,
    /// Shared by the lanes of a process that read the same topic.
    pub board: Board,
}

impl<C: Connector> Engine<'_, C> {
    /// Runs until the stop is requested. The current batch is settled first.
    ///
    /// # Errors
    /// [`Halt`] if it would be wrong to continue.
    pub fn run<S: Step>(&self, step: &mut S) -> Result<(), Halt> {
        let mut failures = Failures::default();
        while !self.stop.requested() {
            let mut lane = Member::new(self, &mut failures, self.connector.source()?);
            let ended = lane.run(step).or_else(|fault| lane.failures.may_join_again(self.connector, fault));
            self.board.revoke(&lane.assignment.all());
            let closing = self.pulse.enter();
            drop(lane);
            drop(closing);
            match ended? {
                None => return Ok(()),
                Some(error) => {
                    step.clear();
                    step.observe(Event::Rejoined(&error));
                    std::thread::sleep(BACKOFF);
                }
            }
        }
        Ok(())
    }
}
