//! The loop: fill a batch, prepare it, settle it in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failures::{End, Failures, end_by, tainted_end};
use super::known::Known;
use super::offsets::Offsets;
use super::txn::{self, Txn};
use super::{
    Change, Connector, Event, Fate, Fault, Halt, NextOffset, Pulse, Ready, Sink, Source, Stage, Start,
    StartLog, Step, Stop, StreamError, Take, Wait, Waiting,
};

/// Longest time between two polls while a step waits.
const WAITING_POLL: Duration = Duration::from_millis(250);
/// Time that a step has to prepare a batch before the partitions are paused.
const QUICK: Duration = Duration::from_millis(250);
/// Time during which the lane doubts a committed offset that it did not commit. A broker that has just become
/// the coordinator may report an older offset for a moment.
const DOUBT: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 5_000 });
/// Pause before a failed client is replaced.
const BACKOFF: Duration = Duration::from_millis(500);

/// Limits that close a batch, whichever comes first. The step may close it earlier.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub batch_time: Duration,
    pub batch_events: usize,
}

/// One lane's engine.
pub struct Engine<'a, C: Connector> {
    pub connector: &'a C,
    pub pace: Pace,
    pub stop: Stop,
    pub pulse: Pulse,
    pub starts: Arc<dyn StartLog>,
}

impl<C: Connector> Engine<'_, C> {
    /// Runs until the stop is requested. The current batch is settled first.
    ///
    /// # Errors
    /// [`Halt`] if it would be wrong to continue.
    pub fn run<S: Step>(&self, step: &mut S) -> Result<(), Halt> {
        let mut failures = Failures::default();
        while !self.stop.requested() {
            let mut lane = Lane {
                engine: self,
                failures: &mut failures,
                source: self.connector.source()?,
                offsets: Offsets::default(),
                known: Known::default(),
                assigned: Vec::new(),
                joined: false,
                complained: false,
                unmarked: Vec::new(),
                filled: 0,
                limit: self.pace.batch_events,
            };
            let ended = lane.run(step).or_else(|fault| lane.failures.may_join_again(self.connector, fault));
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

/// One membership of the group.
struct Lane<'a, C: Connector> {
    engine: &'a Engine<'a, C>,
    failures: &'a mut Failures,
    source: C::Source,
    offsets: Offsets,
    known: Known,
    assigned: Vec<i32>,
    /// Whether the step was notified that the lane joined the group. A member may have no partition.
    joined: bool,
    /// Whether the step was notified of a complaint that no record and no assignment has contradicted yet.
    complained: bool,
    /// Started partitions that are not in the start log yet.
    unmarked: Vec<i32>,
    /// Number of records in the current batch.
    filled: usize,
    /// Most records per batch: halved while the engine searches for a refused record.
    limit: usize,
}

impl<C: Connector> Lane<'_, C> {
    /// Runs until the stop is requested.
    fn run<S: Step>(&mut self, step: &mut S) -> Result<Option<StreamError>, Fault> {
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
    /// no records, but starts to commit.
    fn fill<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        self.filled = 0;
        let mut closes = None;
        loop {
            let wait =
                closes.map_or(WAITING_POLL, |at: Instant| at.saturating_duration_since(Instant::now()));
            let (offsets, count, limit) = (&mut self.offsets, &mut self.filled, self.limit);
            let mut enough = false;
            let pulse = self.engine.pulse.clone();
            let call = pulse.enter();
            self.source.poll(wait, &mut |input| {
                offsets.take(input.partition, input.offset);
                *count += 1;
                enough = step.admit(&input) == Take::Enough || *count >= limit;
                if enough { Take::Enough } else { Take::More }
            })?;
            drop(call);
            self.complain(step);
            self.follow_changes(step);
            self.tell_joined(step);
            if self.filled > 0 && closes.is_none() {
                closes = Some(Instant::now() + self.engine.pace.batch_time);
            }
            let over = closes.is_some_and(|at| Instant::now() >= at);
            let starts_only = self.filled == 0 && !self.offsets.to_commit().is_empty();
            if enough || over || starts_only || self.engine.stop.requested() {
                return Ok(());
            }
        }
    }

    /// Waits until the step is ready, then commits the batch with its offsets. `Some` ends the incarnation.
    fn settle<S: Step>(&mut self, sink: &mut C::Sink, step: &mut S) -> Result<Option<End>, Fault> {
        if !self.ready(step)? {
            return self.redo(step).map(|()| None);
        }
        let offsets = self.offsets.to_commit();
        if offsets.is_empty() {
            step.clear();
            return Ok(None);
        }
        let Some(member) = self.source.membership() else {
            return self.redo(step).map(|()| None);
        };
        if sink.tainted() {
            return Ok(Some(tainted_end()));
        }
        let began = Instant::now();
        let settled = self.calling(|lane| {
            let mut txn = Txn::begin(&mut *sink)?;
            step.emit(&mut txn)?;
            let txn = txn.stage(&offsets, &member)?;
            let _commit = lane.engine.pulse.commit();
            txn.commit()
        });
        match settled {
            Ok(took) => Ok(self.committed(step, &offsets, took, sink.tainted())),
            Err(error) => self.failed(sink, step, error, began.elapsed(), &offsets),
        }
    }

    fn committed<S: Step>(
        &mut self,
        step: &mut S,
        offsets: &[NextOffset],
        took: Duration,
        tainted: bool,
    ) -> Option<End> {
        let lag: Vec<(i32, u64)> =
            offsets.iter().filter_map(|next| Some((next.partition, self.source.lag(*next)?))).collect();
        step.observe(Event::Committed { offsets, took, lag: &lag });
        step.clear();
        self.known.committed(offsets);
        self.unmarked.extend(self.offsets.committed());
        self.mark_started();
        self.limit = self.limit.saturating_mul(2).min(self.engine.pace.batch_events);
        tainted.then(tainted_end)
    }

    /// Records the started partitions, so that a loss of the committed offsets never looks like a first run.
    fn mark_started(&mut self) {
        if self.unmarked.is_empty() {
            return;
        }
        // The start log reports the error. The next commit retries.
        if self.engine.starts.mark_started(&self.unmarked).is_ok() {
            self.unmarked.clear();
        }
    }

    /// Decides about a call that failed `age` after its transaction began, and about its producer.
    fn after_failure(&mut self, error: StreamError, age: Duration) -> Result<End, Fault> {
        let fate = self.failures.fate(self.engine.connector, &error, age);
        end_by(self.engine.connector, fate, error)
    }

    fn failed<S: Step>(
        &mut self,
        sink: &mut C::Sink,
        step: &mut S,
        error: StreamError,
        age: Duration,
        offsets: &[NextOffset],
    ) -> Result<Option<End>, Fault> {
        let fate = self.failures.fate(self.engine.connector, &error, age);
        // While a request has no answer, not even an abort is sent: the next producer ends the transaction.
        if !matches!(fate, Fate::Redo | Fate::Bisect) || sink.tainted() {
            if error.stage == Stage::Commit {
                self.known.attempted(offsets);
            }
            return end_by(self.engine.connector, fate, error).map(Some);
        }
        if let Err(error) = self.calling(|_| txn::persist(|| sink.abort())) {
            return self.after_failure(error, age).map(Some);
        }
        step.observe(Event::Aborted(&error));
        let mut are_named = false;
        if fate == Fate::Bisect {
            let named: Vec<_> = sink.refused().into_iter().filter_map(|place| step.origin(place)).collect();
            are_named = !named.is_empty();
            match are_named {
                true => named.into_iter().try_for_each(|(p, offset)| step.condemn(p, offset, &error))?,
                false => self.narrow(step, &error, offsets)?,
            }
        }
        if sink.tainted() {
            return Ok(Some(tainted_end()));
        }
        match are_named {
            true => {
                self.discard(step);
                self.rewind(step)?;
            }
            false => self.redo(step)?,
        }
        Ok(None)
    }

    /// Halves the batch, because no record was named. A record that is refused alone is condemned.
    fn narrow<S: Step>(
        &mut self,
        step: &mut S,
        error: &StreamError,
        offsets: &[NextOffset],
    ) -> Result<(), Halt> {
        match (self.filled, offsets) {
            (1, [next, ..]) => step.condemn(next.partition, next.offset - 1, error),
            (filled, _) => {
                self.limit = (filled / 2).max(1);
                Ok(())
            }
        }
    }

    /// Waits until the step is ready. The group is polled, and no record flows. False: read the batch again.
    fn ready<S: Step>(&mut self, step: &mut S) -> Result<bool, Fault> {
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
            self.follow_changes(step);
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
            self.follow_changes(step);
        }
        self.source.hold(false)?;
        Ok(())
    }

    fn redo<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        self.discard(step);
        self.breathe(step, WAITING_POLL)?;
        self.rewind(step)
    }

    /// Rewinds to the committed offsets, if the broker reports those that this lane expects. If not, the lane
    /// asks again for [`DOUBT`] and then halts. After the stop it reads nothing, so it leaves the question to
    /// the next start.
    fn rewind<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        let (until, mut doubted) = (Instant::now() + DOUBT, false);
        loop {
            let found = self.calling(|lane| lane.source.committed())?;
            match self.known.resume(&found) {
                Ok(positions) => {
                    if doubted {
                        step.observe(Event::Resumed);
                    }
                    return Ok(self.calling(|lane| lane.source.seek(&positions))?);
                }
                Err(_) if self.engine.stop.requested() => return Ok(()),
                Err(halt) if Instant::now() >= until => return Err(halt.into()),
                Err(halt) => {
                    doubted = true;
                    step.observe(Event::Waiting(&Waiting::new(Wait::Broker, halt.to_string())));
                    self.breathe(step, WAITING_POLL)?;
                }
            }
        }
    }

    fn discard<S: Step>(&mut self, step: &mut S) {
        self.offsets.discard();
        step.clear();
    }

    fn follow_changes<S: Step>(&mut self, step: &mut S) {
        let changes = self.source.changes();
        if changes.is_empty() {
            return;
        }
        for change in changes {
            match change {
                Change::Assigned(starts) => {
                    for (partition, start) in starts {
                        self.assigned.push(partition);
                        self.offsets.assign(partition, start);
                        self.known.assign(partition, start);
                        if matches!(start, Start::Committed(_)) {
                            self.unmarked.push(partition);
                        }
                    }
                }
                Change::Revoked(partitions) => {
                    self.assigned.retain(|partition| !partitions.contains(partition));
                    for partition in &partitions {
                        self.offsets.revoke(*partition);
                        self.known.revoke(*partition);
                    }
                    step.drop_partitions(&partitions);
                }
            }
        }
        self.joined = true;
        self.withdraw_complaint(step);
        step.observe(Event::Assigned(&self.assigned));
    }

    /// Passes a complaint of the source on. A record that arrives, or a change of the assignment, shows that
    /// it no longer holds.
    fn complain<S: Step>(&mut self, step: &mut S) {
        match self.source.complaint() {
            Some(why) => {
                self.complained = true;
                step.observe(Event::Waiting(&Waiting::new(Wait::Broker, why)));
            }
            None if self.filled > 0 => self.withdraw_complaint(step),
            None => {}
        }
    }

    fn withdraw_complaint<S: Step>(&mut self, step: &mut S) {
        if std::mem::replace(&mut self.complained, false) {
            step.observe(Event::Resumed);
        }
    }

    fn tell_joined<S: Step>(&mut self, step: &mut S) {
        if !self.joined && self.filled == 0 && self.source.membership().is_some() {
            self.joined = true;
            step.observe(Event::Assigned(&[]));
        }
    }

    /// Marks a call that may hang, for the watchdog.
    fn calling<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let pulse = self.engine.pulse.clone();
        let _call = pulse.enter();
        call(self)
    }
}
