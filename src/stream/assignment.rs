//! The partitions of one membership: which flow, which are parked, and which are not known yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::known::Known;
use super::start::replaced;
use super::{Answer, Facts, NextOffset, Park, Start, StartRules, Waiting, start_at};
use crate::model::Started;

/// Time during which the lane doubts a committed offset that it did not commit. A broker that has just become
/// the coordinator may report an older offset for a moment.
const DOUBT: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 5_000 });
/// Time between two looks at a partition in doubt.
const LOOK_IN_DOUBT: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 250 });
/// Time until the next look at a partition about which nothing was found out.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Time after which such a partition is parked if others flow.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of a look that serves for the lag only.
pub(super) const LAG_ONLY: u64 = 0;

/// The state of each assigned partition.
#[derive(Default)]
pub(super) struct Assignment {
    partitions: BTreeMap<i32, Partition>,
    known: Known,
    /// Number of the last look at any partition.
    looks: u64,
}

struct Partition {
    state: State,
    /// Time of the next look. `None`: the partition flows, or an answer is on its way.
    look_at: Option<Instant>,
    /// Number of the last look. The answer to an older one is out of date.
    look: u64,
    /// The refused record because of which it was parked. It flows again to find out whether that record is
    /// still refused.
    trial: Option<Park>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// Its start is not known since this time.
    Unknown {
        since: Instant,
    },
    /// Its committed offset is wrong, which may be a stale answer until this time.
    Doubtful {
        until: Instant,
    },
    Flowing,
    Parked(Park),
}

/// The state of a partition before it flowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    Unknown,
    Parked,
    /// It is parked for a refused record, until a commit shows that it is not refused any more.
    OnTrial,
}

/// The consequence of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The records flow from this offset on. `start`: the partition was not started before by this
    /// membership. `mark`: what the start log must hold once the start is committed.
    Flow { at: i64, start: Option<Start>, mark: Option<Started>, was: Was },
    /// The partition is parked now, for a reason that was not reported yet.
    Park(Park),
    /// The partition stays as it is. `lag`: number of records that are not committed, if that is known.
    Stay { lag: Option<u64> },
    /// The partition stops until the next look.
    Doubt,
    /// Nothing was found out.
    Wait(Waiting),
}

impl Assignment {
    pub(super) fn assign(&mut self, partitions: &[i32], now: Instant) {
        for partition in partitions {
            let state = State::Unknown { since: now };
            self.partitions.insert(*partition, Partition { state, look_at: Some(now), look: 0, trial: None });
        }
    }

    pub(super) fn revoke(&mut self, partition: i32) {
        self.partitions.remove(&partition);
        self.known.revoke(partition);
    }

    /// Every partition of this member.
    pub(super) fn all(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    pub(super) fn flowing(&self) -> Vec<i32> {
        self.of(|state| *state == State::Flowing)
    }

    pub(super) fn flows(&self, partition: i32) -> bool {
        self.partitions.get(&partition).is_some_and(|it| it.state == State::Flowing)
    }

    /// Whether the lane knows of each partition that it flows, or why not.
    pub(super) fn is_settled(&self) -> bool {
        self.of(|state| matches!(state, State::Unknown { .. })).is_empty()
    }

    fn of(&self, wanted: impl Fn(&State) -> bool) -> Vec<i32> {
        let found = self.partitions.iter().filter(|(_, it)| wanted(&it.state));
        found.map(|(partition, _)| *partition).collect()
    }

    /// The partitions at which to look now, and the number of that look. Their answers are on their way from
    /// now on. A partition that is not `free` is looked at later.
    pub(super) fn take_due(&mut self, now: Instant, free: impl Fn(i32) -> bool) -> (u64, Vec<i32>) {
        self.looks += 1;
        let is_due = |it: &Partition| it.look_at.is_some_and(|at| at <= now);
        let due = self.partitions.iter_mut().filter(|(partition, it)| is_due(it) && free(**partition));
        let due = due.map(|(partition, it)| {
            (it.look_at, it.look) = (None, self.looks);
            *partition
        });
        (self.looks, due.collect())
    }

    /// Whether an answer is on its way.
    pub(super) fn awaits_answers(&self) -> bool {
        self.partitions.values().any(|it| it.look_at.is_none() && it.state != State::Flowing)
    }

    /// Stops a partition whose committed offset is not the expected one, until an answer explains it.
    pub(super) fn doubt(&mut self, partition: i32, now: Instant) {
        self.set(partition, State::Doubtful { until: now + DOUBT }, Some(now));
    }

    /// The partitions that flow to find out whether a record is still refused.
    pub(super) fn on_trial(&self) -> Vec<(i32, Park)> {
        let trials = self.partitions.iter().filter(|(_, it)| it.state == State::Flowing);
        trials.filter_map(|(partition, it)| Some((*partition, it.trial.clone()?))).collect()
    }

    /// Stops a partition for this reason. Returns whether the reason was not reported yet.
    pub(super) fn park(&mut self, partition: i32, why: Park, now: Instant) -> bool {
        let Some(it) = self.partitions.get_mut(&partition) else { return false };
        let reported = match (it.trial.take(), &it.state) {
            (Some(refused), _) => refused.is_same(&why),
            (None, State::Parked(before)) => before.is_same(&why),
            (None, _) => false,
        };
        it.look_at = Some(now + why.look_after());
        it.state = State::Parked(why);
        !reported
    }

    fn set(&mut self, partition: i32, state: State, look_at: Option<Instant>) {
        if let Some(it) = self.partitions.get_mut(&partition) {
            it.state = state;
            it.look_at = look_at;
        }
    }

    /// The committed offset at which a flowing partition continues. `found` is what the broker holds.
    pub(super) fn resume(&mut self, partition: i32, found: Option<i64>) -> Option<Result<i64, Park>> {
        self.known.resume(partition, found)
    }

    /// The offset at which the partition continues after the last commit.
    pub(super) fn position(&self, partition: i32) -> Option<i64> {
        self.known.position(partition)
    }

    /// Follows a commit. Returns the partitions whose record is not refused any more.
    pub(super) fn committed(&mut self, offsets: &[NextOffset]) -> Vec<i32> {
        self.known.committed(offsets);
        let ends = |next: &&NextOffset| match self.partitions.get_mut(&next.partition) {
            Some(Partition { trial: trial @ Some(Park::RecordRefused { .. }), .. }) => trial
                .take_if(|why| matches!(why, Park::RecordRefused { offset, .. } if *offset < next.offset))
                .is_some(),
            _ => false,
        };
        offsets.iter().filter(ends).map(|next| next.partition).collect()
    }

    pub(super) fn attempted(&mut self, offsets: &[NextOffset]) {
        self.known.attempted(offsets);
    }

    /// Decides about the answer to a look at a partition. `None`: the partition was revoked, or the answer is
    /// out of date.
    pub(super) fn answer(
        &mut self,
        look: u64,
        (partition, answer): (i32, Answer),
        rules: &StartRules,
        now: Instant,
    ) -> Option<Verdict> {
        let it = self.partitions.get(&partition)?;
        if it.state == State::Flowing {
            return self.answer_while_flowing(partition, answer, now);
        }
        if it.look != look || look == LAG_ONLY {
            return None;
        }
        let before = it.state.clone();
        Some(match answer {
            Answer::Unknown(waiting) => self.unanswered(partition, &before, waiting, now),
            Answer::Doubt => return None,
            Answer::Park(why) => self.parks(partition, why, None, now),
            Answer::Facts(facts) => match self.judge(partition, &facts, rules) {
                Ok((at, start)) => self.flow(partition, &before, (at, start), &facts),
                Err(why) => self.doubts(partition, &before, why, self.lag(partition, &facts), now),
            },
        })
    }

    /// While something flows, a partition without an answer is named as parked, like any other that stands.
    fn unanswered(&mut self, partition: i32, before: &State, waiting: Waiting, now: Instant) -> Verdict {
        let others_flow = self.partitions.values().any(|it| it.state == State::Flowing);
        match before {
            State::Unknown { since } if others_flow && now.duration_since(*since) >= PATIENCE => {
                return self.parks(partition, Park::Unanswered { why: waiting.reason }, None, now);
            }
            _ => self.set(partition, before.clone(), Some(now + LOOK_AGAIN)),
        }
        match before {
            State::Unknown { .. } if !others_flow => Verdict::Wait(waiting),
            _ => Verdict::Stay { lag: None },
        }
    }

    /// The committed offset may have changed since the look. So the answer shows only whether the partition
    /// can flow at all, and its lag.
    fn answer_while_flowing(&mut self, partition: i32, answer: Answer, now: Instant) -> Option<Verdict> {
        match answer {
            Answer::Unknown(_) => None,
            Answer::Doubt => {
                self.doubt(partition, now);
                Some(Verdict::Doubt)
            }
            Answer::Park(why) => Some(self.parks(partition, why, None, now)),
            Answer::Facts(facts) => Some(Verdict::Stay { lag: self.lag(partition, &facts) }),
        }
    }

    /// Decides where the partition continues.
    fn judge(
        &mut self,
        partition: i32,
        facts: &Facts,
        rules: &StartRules,
    ) -> Result<(i64, Option<Start>), Park> {
        let found = facts.committed.as_ref().map(|committed| committed.offset);
        let position = match self.known.resume(partition, found) {
            _ if replaced(facts).is_some() => None,
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(moved)) => return Err(foreign(facts, rules).unwrap_or(moved)),
        };
        let (first, end) = facts.log;
        match position {
            Some(position) if (first..=end).contains(&position) => Ok((position, None)),
            _ => start_at(partition, facts, rules).map(|start| (start.offset(), Some(start))),
        }
    }

    fn flow(
        &mut self,
        partition: i32,
        before: &State,
        (at, start): (i64, Option<Start>),
        facts: &Facts,
    ) -> Verdict {
        let mark = start.and_then(|start| {
            self.known.assign(partition, start);
            mark(partition, start, facts)
        });
        self.set(partition, State::Flowing, None);
        let was = match before {
            State::Parked(Park::RecordRefused { .. }) => Was::OnTrial,
            State::Parked(_) => Was::Parked,
            _ => Was::Unknown,
        };
        if let (Was::OnTrial, State::Parked(why), Some(it)) =
            (was, before, self.partitions.get_mut(&partition))
        {
            it.trial = Some(why.clone());
        }
        Verdict::Flow { at, start, mark, was }
    }

    /// A partition in doubt is looked at again, any other one is parked.
    fn doubts(
        &mut self,
        partition: i32,
        before: &State,
        why: Park,
        lag: Option<u64>,
        now: Instant,
    ) -> Verdict {
        match before {
            State::Doubtful { until } if now < *until => {
                self.set(partition, before.clone(), Some(now + LOOK_IN_DOUBT));
                Verdict::Stay { lag }
            }
            _ => self.parks(partition, why, lag, now),
        }
    }

    fn parks(&mut self, partition: i32, why: Park, lag: Option<u64>, now: Instant) -> Verdict {
        match self.park(partition, why.clone(), now) {
            true => Verdict::Park(why),
            false => Verdict::Stay { lag },
        }
    }

    /// Number of records between the next offset to commit and the end of the log.
    fn lag(&self, partition: i32, facts: &Facts) -> Option<u64> {
        let committed = facts.committed.as_ref().map(|committed| committed.offset);
        let next = self.position(partition).or(committed).unwrap_or(facts.log.0);
        u64::try_from(facts.log.1 - next.max(facts.log.0)).ok()
    }
}

/// The reason to park if a client that is not Hourseal committed the offset.
fn foreign(facts: &Facts, rules: &StartRules) -> Option<Park> {
    let committed = facts.committed.as_ref().filter(|committed| committed.metadata.is_empty())?;
    Some(Park::ForeignOffset { input: rules.input.clone(), offset: committed.offset })
}

/// The entry that the start log must hold about a partition, if it holds another one.
fn mark(partition: i32, start: Start, facts: &Facts) -> Option<Started> {
    let before = facts.started;
    let accepted = match start {
        Start::Fresh { committed, accepted: true, .. } => Some(committed.unwrap_or(-1)),
        _ => before.and_then(|before| before.accepted),
    };
    let topic = facts.topic.or(before.and_then(|before| before.topic));
    let mark = Started { partition, topic, accepted };
    (before != Some(mark)).then_some(mark)
}

#[cfg(test)]
mod tests;
