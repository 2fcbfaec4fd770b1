//! Settles a batch: in one transaction with its offsets, or not at all.

use std::time::{Duration, Instant};

use super::failures::{End, end_by, tainted_end};
use super::member::Member;
use super::txn::{self, Txn};
use super::{Cause, Connector, Event, Fate, Fault, NextOffset, Sink, Source, Stage, Step, StreamError};

/// The way in which a batch is read again after its transaction was aborted.
enum Again {
    /// At once, because the refused records are known.
    Now,
    /// After a pause.
    Later,
}

impl<C: Connector> Member<'_, C> {
    /// Waits until the step is ready, then commits the batch with its offsets. `Some` ends the incarnation.
    pub(super) fn settle<S: Step>(&mut self, sink: &mut C::Sink, step: &mut S) -> Result<Option<End>, Fault> {
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
        if let Some(why) = sink.outdated() {
            return Ok(Some(End::Again(why, Cause::Explained)));
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
        for partition in self.assignment.committed(offsets) {
            self.flows_again(step, partition);
        }
        self.offsets.committed();
        self.passed_at = None;
        self.mark_started();
        self.limit = self.limit.saturating_mul(2).min(self.engine.pace.batch_events);
        tainted.then(tainted_end)
    }

    /// Records the started partitions, so that a loss of the committed offsets never looks like a first run.
    fn mark_started(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        let marks: Vec<_> = self.marks.values().copied().collect();
        // The start log reports the error. The next commit retries.
        if self.engine.starts.mark_started(&marks).is_ok() {
            self.marks.clear();
        }
    }

    /// Decides about a call that failed `age` after its transaction began, and about its producer.
    pub(super) fn after_failure(&mut self, error: StreamError, age: Duration) -> Result<End, Fault> {
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
                self.assignment.attempted(offsets);
            }
            return end_by(self.engine.connector, fate, error).map(Some);
        }
        if let Err(error) = self.calling(|_| txn::persist(|| sink.abort())) {
            return self.after_failure(error, age).map(Some);
        }
        step.observe(Event::Aborted(&error));
        let again = match fate {
            Fate::Bisect => self.condemn(sink, step, &error)?,
            _ => Again::Later,
        };
        if sink.tainted() {
            return Ok(Some(tainted_end()));
        }
        match again {
            Again::Now => {
                self.discard(step);
                self.rewind(step)?;
            }
            Again::Later => self.redo(step)?,
        }
        Ok(None)
    }

    /// Condemns the records that the broker named. No batch has more records than this one until the next
    /// commit: a stream of such records would abort each larger batch, too. If the broker named none, parks
    /// the partitions whose record was refused before. If there are none of these either, halves the batch
    /// until the refused record is alone in it.
    fn condemn<S: Step>(
        &mut self,
        sink: &mut C::Sink,
        step: &mut S,
        error: &StreamError,
    ) -> Result<Again, Fault> {
        let named: Vec<_> = sink.refused().into_iter().filter_map(|place| step.origin(place)).collect();
        let on_trial = self.assignment.on_trial();
        if named.is_empty() && !on_trial.is_empty() {
            on_trial.into_iter().try_for_each(|(partition, why)| self.park(step, partition, why))?;
            return Ok(Again::Later);
        }
        let (refused, again) = match (named.is_empty(), self.filled) {
            (false, filled) => {
                self.limit = filled.max(1);
                (named, Again::Now)
            }
            (true, 1) => (self.offsets.first_taken().into_iter().collect(), Again::Later),
            (true, filled) => {
                self.limit = (filled / 2).max(1);
                (Vec::new(), Again::Later)
            }
        };
        for (partition, offset) in refused {
            if let Err(why) = step.condemn(partition, offset, error) {
                self.park(step, partition, why)?;
            }
        }
        Ok(again)
    }
}
