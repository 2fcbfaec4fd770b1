//! Follows the changes of a lane's partitions: assigned, revoked, started, parked.

use std::time::{Duration, Instant};

use super::assignment::{LAG_ONLY, Verdict, Was};
use super::engine::Parking;
use super::member::Member;
use super::{Change, Connector, Event, Fault, Halt, NextOffset, Park, Source, Start, Step, Wait, Waiting};

/// Time between two reports of the lag.
const LAG: Duration = Duration::from_secs(5);
/// The same while nothing flows: then the brokers must be asked for it.
const LAG_WHILE_HELD: Duration = Duration::from_secs(15);

impl<C: Connector> Member<'_, C> {
    pub(super) fn follow_changes<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        for change in self.source.changes() {
            match change {
                Change::Assigned(partitions) => {
                    self.changed = true;
                    self.engine.board.assign(&partitions);
                    self.assignment.assign(&partitions, Instant::now());
                }
                Change::Revoked(partitions) => {
                    self.changed = true;
                    for partition in &partitions {
                        self.assignment.revoke(*partition);
                        self.offsets.revoke(*partition);
                        self.marks.remove(partition);
                    }
                    self.engine.board.revoke(&partitions);
                    step.drop_partitions(&partitions);
                }
                Change::OutOfRange => {
                    let flowing = self.assignment.flowing();
                    self.doubt(step, &flowing)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at partitions whose state is unknown or parked, and follows the answers of earlier looks. Also
    /// passes on who else is in the group. Waits for none of them.
    pub(super) fn look<S: Step>(&mut self, step: &mut S) -> Result<(), Fault> {
        // A look while the batch has records of the partition would find the offset before them.
        let offsets = &self.offsets;
        let (look, due) = self.assignment.take_due(Instant::now(), |partition| !offsets.holds(partition));
        if !due.is_empty() {
            self.source.look(look, &due);
        }
        let mut starts = Vec::new();
        for (look, partition, answer) in self.source.answers()? {
            let verdict =
                self.assignment.answer(look, (partition, answer), &self.engine.rules, Instant::now());
            if let Some(verdict) = verdict {
                starts.extend(self.follow(step, partition, verdict)?);
            }
        }
        if !starts.is_empty() {
            self.source.start(&starts)?;
        }
        if let Some(members) = self.source.foreign_members() {
            step.observe(Event::ForeignMembers(&members));
        }
        self.tell_assigned(step);
        Ok(())
    }

    /// Returns the offset from which the partition's records must flow, if they do not yet.
    fn follow<S: Step>(
        &mut self,
        step: &mut S,
        partition: i32,
        verdict: Verdict,
    ) -> Result<Option<NextOffset>, Fault> {
        match verdict {
            Verdict::Flow { at, start, mark, was } => {
                if let Some(start) = start {
                    self.offsets.assign(partition, start);
                    if let Start::Fresh { at, committed, accepted: true } = start {
                        step.observe(Event::GapAccepted { partition, committed, at });
                    }
                }
                self.marks.extend(mark.map(|mark| (partition, mark)));
                match was {
                    Was::Unknown => self.engine.board.flows(partition),
                    Was::Parked => self.flows_again(step, partition),
                    Was::OnTrial => {}
                }
                return Ok(Some(NextOffset { partition, offset: at }));
            }
            Verdict::Park(why) => self.parked(step, partition, &why)?,
            Verdict::Doubt => self.stop_flow(step, &[partition])?,
            Verdict::Stay { lag } => {
                if let Some(lag) = lag {
                    step.observe(Event::Lag(&[(partition, lag)]));
                }
            }
            Verdict::Wait(waiting) => {
                self.complained = true;
                step.observe(Event::Waiting(&waiting));
            }
        }
        Ok(None)
    }

    /// Parks a partition that flows.
    pub(super) fn park<S: Step>(&mut self, step: &mut S, partition: i32, why: Park) -> Result<(), Fault> {
        if !self.assignment.flows(partition) {
            return Ok(());
        }
        match self.assignment.park(partition, why.clone(), Instant::now()) {
            true => self.parked(step, partition, &why),
            false => self.stop_flow(step, &[partition]),
        }
    }

    pub(super) fn flows_again<S: Step>(&self, step: &mut S, partition: i32) {
        self.engine.board.flows(partition);
        step.observe(Event::Flows(partition));
    }

    /// Parks a partition behind the records that the batch has of it. These are settled with the batch.
    pub(super) fn park_behind_batch<S: Step>(
        &mut self,
        step: &mut S,
        partition: i32,
        why: &Park,
    ) -> Result<(), Fault> {
        self.source.stop(&[partition])?;
        match self.assignment.park(partition, why.clone(), Instant::now()) {
            true => self.report_parked(step, partition, why),
            false => Ok(()),
        }
    }

    fn parked<S: Step>(&mut self, step: &mut S, partition: i32, why: &Park) -> Result<(), Fault> {
        self.stop_flow(step, &[partition])?;
        self.report_parked(step, partition, why)
    }

    fn report_parked<S: Step>(&self, step: &mut S, partition: i32, why: &Park) -> Result<(), Fault> {
        self.engine.board.parks(partition, why);
        step.observe(Event::Parked { partition, why });
        let halts = self.engine.parking == Parking::Halt && !why.is_outage();
        match self.engine.board.other_store() {
            Some((partition, why)) => Err(Halt::Parked { partition, why }.into()),
            None if halts => Err(Halt::Parked { partition, why: why.clone() }.into()),
            None => Ok(()),
        }
    }

    /// Stops these partitions until a look has shown where they continue.
    pub(super) fn doubt<S: Step>(&mut self, step: &mut S, partitions: &[i32]) -> Result<(), Fault> {
        let now = Instant::now();
        partitions.iter().for_each(|partition| self.assignment.doubt(*partition, now));
        self.stop_flow(step, partitions)
    }

    /// Stops the flow of these partitions, and removes their records from the batch.
    fn stop_flow<S: Step>(&mut self, step: &mut S, partitions: &[i32]) -> Result<(), Fault> {
        if partitions.is_empty() {
            return Ok(());
        }
        partitions.iter().for_each(|partition| self.offsets.drop_taken(*partition));
        step.drop_partitions(partitions);
        Ok(self.source.stop(partitions)?)
    }

    /// Remembers the positions behind markers that the client has reached.
    pub(super) fn pass(&mut self) {
        for NextOffset { partition, offset } in self.source.passed() {
            let position = self.offsets.next(partition).or_else(|| self.assignment.position(partition));
            if self.assignment.flows(partition) && position.is_some_and(|position| offset > position) {
                self.offsets.pass(partition, offset);
                self.passed_at.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Reports the lag of the flowing partitions from time to time, also if nothing is committed.
    pub(super) fn tell_lag<S: Step>(&mut self, step: &mut S) {
        if Instant::now() < self.lag_at {
            return;
        }
        self.lag_at = Instant::now() + LAG;
        let next = |partition: &i32| {
            let offset = self.offsets.passed(*partition).or_else(|| self.assignment.position(*partition))?;
            Some((*partition, self.source.lag(NextOffset { partition: *partition, offset })?))
        };
        let lag: Vec<(i32, u64)> = self.assignment.flowing().iter().filter_map(next).collect();
        if !lag.is_empty() {
            step.observe(Event::Lag(&lag));
        }
    }

    /// Asks the brokers for the lag from time to time. While the partitions are paused, the client does not
    /// hear of new records.
    pub(super) fn look_at_lag(&mut self) {
        if Instant::now() >= self.lag_at {
            self.lag_at = Instant::now() + LAG_WHILE_HELD;
            self.source.look(LAG_ONLY, &self.assignment.flowing());
        }
    }

    /// Passes a complaint of the source on. A record that arrives, or a change of the assignment, shows that
    /// it no longer holds.
    pub(super) fn complain<S: Step>(&mut self, step: &mut S) {
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

    /// Reports the assignment once the state of each partition is known. A member may have no partition.
    fn tell_assigned<S: Step>(&mut self, step: &mut S) {
        if self.joined && !self.changed {
            return;
        }
        let all = self.assignment.all();
        let joins = !self.joined && all.is_empty() && self.filled == 0 && self.source.membership().is_some();
        if joins || (self.changed && self.assignment.is_settled()) {
            (self.joined, self.changed) = (true, false);
            self.withdraw_complaint(step);
            step.observe(Event::Assigned(&all));
        }
    }
}
