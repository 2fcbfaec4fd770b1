//! One member of the group: fill a batch, prepare it, settle it in one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::assignment::Assignment;
use super::engine::{BACKOFF, Engine};
use super::failures::{End, Failures};
use super::offsets::Offsets;
use super::{Connector, Event, Fault, NextOffset, Ready, Source, Step, StreamError, Take};
use crate::model::Started;

/// Longest time between two polls while a step waits.
const WAITING_POLL: Duration = Duration::from_millis(250);
/// The same while the start of a partition is being found out.
const AWAITING_POLL: Duration = Duration::from_millis(10);
/// Time that a step has to prepare a batch before the partitions are paused.
const QUICK: Duration = Duration::from_millis(250);
/// Time after which an idle lane commits positions behind markers.
const IDLE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 3_000 });

/// A lane as a member of its group, from joining until it leaves.
pub(super) struct Member<'a, C: Connector> {
    pub(super) engine: &'a Engine<'a, C>,
    pub(super) failures: &'a mut Failures,
    pub(super) source: C::Source,
    pub(super) offsets: Offsets,
    pub(super) assignment: Assignment,
    /// Whether the step was notified that the lane joined the group. A member may have no partition.
    pub(super) joined: bool,
    /// Whether a change of the assignment was not reported yet: the state of some partition is unknown.
    pub(super) changed: bool,
    /// Whether the step was notified of a complaint that no record and no assignment has contradicted yet.
    pub(super) complained: bool,
    /// The entries that the start log must hold after the next commit.
    pub(super) marks: BTreeMap<i32, Started>,
    /// Time of the next report of the lag.
    pub(super) lag_at: Instant,
    /// Time at which the oldest uncommitted position behind markers was reached.
    pub(super) passed_at: Option<Instant>,
    /// Number of records in the current batch.
    pub(super) filled: usize,
    /// Most records per batch: lower after the broker refused a batch, until batches are committed again.
    pub(super) limit: usize,
}

impl<'a, C: Connector> Member<'a, C> {
    pub(super) fn new(engine: &'a Engine<'a, C>, failures: &'a mut Failures, source: C::Source) -> Self {
        Self {
            engine,
            failures,
            source,
            offsets: Offsets::default(),
            assignment: Assignment::default(),
            joined: false,
            changed: false,
            complained: false,
            marks: BTreeMap::new(),
            lag_at: Instant::now(),
            passed_at: None,
            filled: 0,
            limit: engine.pace.batch_events,
        }
    }

    /// Runs until the stop is requested.
    pub(super) fn run<S: Step>(&mut self, step: &mut S) -> Result<Option<StreamError>, Fault> {
        while !self.engine.stop.requested() {
            match self.incarnation(step)? {
                End::Stopped => break,
                End::Again(name, cause) => {
                    step.observe(Event::Reincarnated(&name, cause));
                    self.failures.restarted(&name, cause)?;
                    self.breathe(step, BACKOFF)?;
                }
            }
        }
        Ok(None)
    }

    /// Runs one producer, from `init_transactions` to its end.
    fn incarnation<S: Step>(&mut self, step: &mut S) -> Result<End, Fault> {
        self.discard(step);
        let created = self.calling(|lane| lane.engine.connector.sink(&lane.engine.stop));
        let mut sink = match created {
            Ok(sink) => sink,
            Err(error) => return self.after_failure(error, Duration::ZERO),
        };
        self.rewind(step)?;
        step.observe(Event::Resumed);
        while !self.engine.stop.requested() {
            self.fill(step)?;
            if let Some(end) = self.settle(&mut sink, step)? {
                return Ok(end);
            }
        }
        Ok(End::Stopped)
    }

    /// Polls until the batch is full, its time is over, or the stop is requested. Also returns if there are
    /// no records, but starts or positions behind markers to commit.
    fn fill<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        self.filled = 0;
        let mut closes = None;
        loop {
            let idle = if self.assignment.awaits_answers() { AWAITING_POLL } else { WAITING_POLL };
            let wait = closes.map_or(idle, |at: Instant| at.saturating_duration_since(Instant::now()));
            let enough = self.take(step, wait.min(idle))?;
            self.complain(step);
            self.follow_changes(step)?;
            self.look(step)?;
            self.pass();
            self.tell_lag(step);
            if self.filled > 0 && closes.is_none() {
                closes = Some(Instant::now() + self.engine.pace.batch_time);
            }
            let over = closes.is_some_and(|at| Instant::now() >= at);
            if enough || over || self.commits_without_records() || self.engine.stop.requested() {
                return Ok(());
            }
        }
    }

    /// Takes the available records into the batch. Returns whether it is full.
    ///
    /// The poll ends at a record that the step does not take, and its partition is parked before it. A record
    /// that the client delivers again is skipped: librdkafka does so if it pauses a partition, as at each
    /// rebalance, while a record of it is taken.
    fn take<S: Step>(&mut self, step: &mut S, wait: Duration) -> Result<bool, Fault> {
        let (offsets, count, limit) = (&mut self.offsets, &mut self.filled, self.limit);
        let assignment = &self.assignment;
        let (mut enough, mut over) = (false, None);
        let call = self.engine.pulse.enter();
        self.source.poll(wait, &mut |input| {
            let next = offsets.next(input.partition).or_else(|| assignment.position(input.partition));
            if next.is_some_and(|next| input.offset < next) {
                return Take::More;
            }
            match step.admit(&input) {
                Ok(take) => {
                    offsets.take(input.partition, input.offset);
                    *count += 1;
                    enough = take == Take::Enough || *count >= limit;
                    if enough { Take::Enough } else { Take::More }
                }
                Err(why) => {
                    over = Some((input.partition, why));
                    Take::Enough
                }
            }
        })?;
        drop(call);
        if let Some((partition, why)) = over {
            self.park_behind_batch(step, partition, &why)?;
        }
        Ok(enough)
    }

    fn commits_without_records(&self) -> bool {
        let is_idle = self.passed_at.is_some_and(|at| at.elapsed() >= IDLE);
        self.filled == 0 && (self.offsets.has_starts() || is_idle && self.offsets.has_passed())
    }

    /// Waits until the step is ready. The group is polled, and no record flows. False: read the batch again.
    pub(super) fn ready<S: Step>(&mut self, step: &mut S) -> Result<bool, Fault> {
        if step.prepare(Instant::now() + QUICK) == Ready::Yes {
            return Ok(true);
        }
        self.source.hold(true)?;
        let ready = self.wait_until_ready(step)?;
        self.source.hold(false)?;
        step.observe(Event::Resumed);
        Ok(ready)
    }

    /// False if the stop was requested, or if a record slipped past the pause and would be missed.
    fn wait_until_ready<S: Step>(&mut self, step: &mut S) -> Result<bool, Fault> {
        while let Ready::Wait(waiting) = step.prepare(Instant::now() + WAITING_POLL) {
            step.observe(Event::Waiting(&waiting));
            let mut slipped = false;
            self.calling(|lane| {
                lane.source.poll(Duration::from_millis(100), &mut |_| {
                    slipped = true;
                    Take::More
                })
            })?;
            self.follow_changes(step)?;
            self.look(step)?;
            self.look_at_lag();
            if slipped || self.engine.stop.requested() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Polls the group for a while without taking records.
    fn breathe<S: Step>(&mut self, step: &mut S, time: Duration) -> Result<(), Fault> {
        let until = Instant::now() + time;
        self.source.hold(true)?;
        while Instant::now() < until && !self.engine.stop.requested() {
            self.calling(|lane| lane.source.poll(Duration::from_millis(50), &mut |_| Take::More))?;
            self.follow_changes(step)?;
        }
        self.source.hold(false)?;
        Ok(())
    }

    pub(super) fn redo<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        self.discard(step);
        self.breathe(step, WAITING_POLL)?;
        self.rewind(step)
    }

    /// Rewinds to the committed offsets. A partition of which the broker reports another offset than this
    /// lane expects, or none at all, stops until it was looked at again.
    pub(super) fn rewind<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        let flowing = self.assignment.flowing();
        if flowing.is_empty() {
            return Ok(());
        }
        let found = self.calling(|lane| lane.source.committed(&flowing))?;
        let (mut positions, mut doubtful) = (Vec::new(), Vec::new());
        for partition in flowing {
            let found = found.get(&partition).and_then(|found| self.assignment.resume(partition, *found));
            match found {
                Some(Ok(offset)) => positions.push(NextOffset { partition, offset }),
                Some(Err(_)) | None => doubtful.push(partition),
            }
        }
        doubtful.extend(self.calling(|lane| lane.source.seek(&positions))?);
        self.doubt(step, &doubtful)
    }

    pub(super) fn discard<S: Step>(&mut self, step: &mut S) {
        self.offsets.discard();
        self.passed_at = None;
        step.clear();
    }

    /// Marks a call that may hang, for the watchdog.
    pub(super) fn calling<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let pulse = self.engine.pulse.clone();
        let _call = pulse.enter();
        call(self)
    }
}
