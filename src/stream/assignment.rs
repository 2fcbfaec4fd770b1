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
    /// Its start is not known. `doubt`: time until which a wrong committed offset may be a stale answer.
    Unknown {
        doubt: Option<Instant>,
    },
    Flowing,
    Parked(Park),
}

/// What a partition was before it flowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    Unknown,
    Parked,
    /// It is parked for a refused record, until a commit shows that it is not refused any more.
    OnTrial,
}

/// What follows from an answer.
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
            let state = State::Unknown { doubt: None };
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
        self.of(|state| matches!(state, State::Unknown { doubt: None })).is_empty()
    }

    fn of(&self, wanted: impl Fn(&State) -> bool) -> Vec<i32> {
        let found = self.partitions.iter().filter(|(_, it)| wanted(&it.state));
        found.map(|(partition, _)| *partition).collect()
    }

    /// The partitions at which to look now, and the number of that look. Their answers are on their way from
    /// now on.
    pub(super) fn take_due(&mut self, now: Instant) -> (u64, Vec<i32>) {
        self.looks += 1;
        let due = self.partitions.iter_mut().filter(|(_, it)| it.look_at.is_some_and(|at| at <= now));
        let due = due.map(|(partition, it)| {
            (it.look_at, it.look) = (None, self.looks);
            *partition
        });
        (self.looks, due.collect())
    }

    /// Stops a partition whose committed offset is not the expected one, until an answer explains it.
    pub(super) fn doubt(&mut self, partition: i32, now: Instant) {
        self.set(partition, State::Unknown { doubt: Some(now + DOUBT) }, Some(now));
    }

    /// The partitions that flow to find out whether a record is still refused.
    pub(super) fn on_trial(&self) -> Vec<(i32, Park)> {
        let trials = self.partitions.iter().filter(|(_, it)| it.state == State::Flowing);
        trials.filter_map(|(partition, it)| Some((*partition, it.trial.clone()?))).collect()
    }

    /// Stops a partition for this reason. Returns whether the reason was not reported yet.
    pub(super) fn park(&mut self, partition: i32, why: Park, now: Instant) -> bool {
        let Some(it) = self.partitions.get_mut(&partition) else { return false };
        let is_new = it.state != State::Parked(why.clone()) && it.trial.take().as_ref() != Some(&why);
        it.look_at = Some(now + why.look_after());
        it.state = State::Parked(why);
        is_new
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

    /// Decides what follows from the answer to a look at a partition. `None`: nothing, because the partition
    /// was revoked or the answer is out of date.
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
            Answer::Unknown(waiting) => {
                self.set(partition, before.clone(), Some(now + LOOK_AGAIN));
                match before {
                    State::Parked(_) => Verdict::Stay { lag: None },
                    _ => Verdict::Wait(waiting),
                }
            }
            Answer::Doubt => return None,
            Answer::Park(why) => self.parks(partition, why, None, now),
            Answer::Facts(facts) => match self.judge(partition, &facts, rules) {
                Ok((at, start)) => self.flow(partition, &before, (at, start), &facts),
                Err(why) => self.doubts(partition, &before, why, self.lag(partition, &facts), now),
            },
        })
    }

    /// What is committed may have changed since the look. So the answer shows only whether the partition can
    /// flow at all, and its lag.
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
            State::Unknown { doubt: Some(until) } if now < *until => {
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

/// What the start log must hold about a partition, if it holds something else.
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
mod tests {
    use super::*;
    use crate::model::TopicId;
    use crate::stream::{Committed, Gaps, Wait};

    const P: i32 = 3;
    const US: &str = "hourseal/1 store=aa";

    struct Case {
        assignment: Assignment,
        now: Instant,
    }

    fn facts(committed: i64) -> Facts {
        let committed = Some(Committed { offset: committed, metadata: US.to_owned() });
        Facts { committed, log: (7, 20), topic: None, started: Some(STARTED) }
    }

    const STARTED: Started = Started { partition: P, topic: None, accepted: None };

    impl Case {
        /// A member with partition 3 only, not looked at yet.
        fn new() -> Self {
            let now = Instant::now();
            let mut assignment = Assignment::default();
            assignment.assign(&[P], now);
            Self { assignment, now }
        }

        /// A member whose partition 3 flows from offset 10.
        fn flowing() -> Self {
            let mut case = Self::new();
            assert!(matches!(case.look(Answer::Facts(facts(10))), Some(Verdict::Flow { at: 10, .. })));
            case
        }

        fn answer(&mut self, look: u64, answer: Answer) -> Option<Verdict> {
            let gaps = Gaps::These(vec!["jobs:3@4".parse().expect("a gap")]);
            let rules = StartRules { input: "jobs".to_owned(), store: US.to_owned(), gaps };
            self.assignment.answer(look, (P, answer), &rules, self.now)
        }

        /// The verdict after the next look.
        fn look(&mut self, answer: Answer) -> Option<Verdict> {
            self.now += Duration::from_secs(60);
            let (look, due) = self.assignment.take_due(self.now);
            assert_eq!(due, [P], "it is due");
            self.answer(look, answer)
        }
    }

    fn code(verdict: Option<Verdict>) -> &'static str {
        match verdict {
            Some(Verdict::Park(why)) => why.code(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_partition_flows_when_its_start_is_known_and_not_before() {
        let mut case = Case::new();
        assert!(!case.assignment.is_settled() && case.assignment.flowing().is_empty());
        let waiting = Waiting::new(Wait::Store, "the store is away");
        assert_eq!(case.look(Answer::Unknown(waiting.clone())), Some(Verdict::Wait(waiting)));
        assert!(!case.assignment.is_settled());
        let flows =
            Verdict::Flow { at: 10, start: Some(Start::Committed(10)), mark: None, was: Was::Unknown };
        assert_eq!(case.look(Answer::Facts(facts(10))), Some(flows));
        assert!(case.assignment.is_settled() && case.assignment.flows(P));
        assert_eq!(case.assignment.take_due(case.now).1, Vec::<i32>::new(), "nothing is left to find out");
    }

    #[test]
    fn a_parked_partition_is_reported_once_and_flows_when_its_reason_is_gone() {
        let mut case = Case::new();
        assert_eq!(code(case.look(Answer::Facts(facts(5)))), "input-gap");
        assert!(case.assignment.is_settled(), "its state is known");
        assert_eq!(case.look(Answer::Facts(facts(5))), Some(Verdict::Stay { lag: Some(13) }));
        let no_leader = Answer::Park(Park::NoLeader { why: "it has no leader".to_owned() });
        assert_eq!(code(case.look(no_leader)), "no-leader", "another reason is reported");
        let verdict = case.look(Answer::Facts(facts(10)));
        assert!(matches!(verdict, Some(Verdict::Flow { at: 10, was: Was::Parked, .. })), "{verdict:?}");
    }

    #[test]
    fn an_accepted_gap_is_marked_with_the_offset_that_was_given_up() {
        let mut case = Case::new();
        let Some(Verdict::Flow { at: 7, mark, .. }) = case.look(Answer::Facts(facts(4))) else {
            panic!("the flag names this gap")
        };
        assert_eq!(mark, Some(Started { accepted: Some(4), ..STARTED }));
    }

    #[test]
    fn a_flowing_partition_continues_at_its_own_position_after_it_was_parked() {
        let mut case = Case::flowing();
        case.assignment.committed(&[NextOffset { partition: P, offset: 12 }]);
        let refused = Park::RecordRefused { offset: 12, name: "MSG_SIZE_TOO_LARGE".to_owned() };
        assert!(case.assignment.park(P, refused.clone(), case.now));
        assert_eq!(case.assignment.on_trial(), []);
        let on_trial = Some(Verdict::Flow { at: 12, start: None, mark: None, was: Was::OnTrial });
        assert_eq!(case.look(Answer::Facts(facts(12))), on_trial);
        assert_eq!(case.assignment.on_trial(), [(P, refused.clone())]);
        assert!(!case.assignment.park(P, refused, case.now), "it is still refused: that is no news");
        assert_eq!(case.look(Answer::Facts(facts(12))), on_trial);
        let ended = |case: &mut Case| case.assignment.committed(&[NextOffset { partition: P, offset: 13 }]);
        assert_eq!((ended(&mut case), ended(&mut case)), (vec![P], vec![]), "reported once");
    }

    #[test]
    fn a_moved_offset_is_doubted_first_and_parks_when_it_stays() {
        let mut case = Case::flowing();
        case.assignment.doubt(P, case.now);
        let (look, _) = case.assignment.take_due(case.now);
        assert_eq!(case.answer(look, Answer::Facts(facts(9))), Some(Verdict::Stay { lag: Some(10) }));
        assert_eq!(code(case.look(Answer::Facts(facts(9)))), "offset-moved");
        let verdict = case.look(Answer::Facts(facts(10)));
        assert!(matches!(verdict, Some(Verdict::Flow { at: 10, start: None, .. })), "{verdict:?}");
    }

    #[test]
    fn a_foreign_commit_at_run_time_is_named_even_if_the_start_is_not_stored() {
        let mut case = Case::flowing();
        case.assignment.doubt(P, case.now);
        let committed = Some(Committed { offset: 15, metadata: String::new() });
        let facts = Facts { committed, started: None, ..facts(15) };
        assert_eq!(code(case.look(Answer::Facts(facts))), "foreign-offset");
    }

    #[test]
    fn records_that_were_deleted_before_a_flowing_partition_read_them_are_a_gap() {
        let mut case = Case::flowing();
        case.assignment.doubt(P, case.now);
        let facts = Facts { log: (11, 20), ..facts(10) };
        assert_eq!(code(case.look(Answer::Facts(facts))), "input-gap");
    }

    #[test]
    fn a_topic_that_was_created_again_parks_although_its_offsets_fit() {
        let mut case = Case::flowing();
        case.assignment.doubt(P, case.now);
        let started = Some(Started { topic: Some(TopicId([1; 16])), ..STARTED });
        let facts = Facts { topic: Some(TopicId([2; 16])), started, ..facts(10) };
        assert_eq!(code(case.look(Answer::Facts(facts))), "topic-replaced");
        let mut case = Case::flowing();
        assert_eq!(case.answer(LAG_ONLY, Answer::Doubt), Some(Verdict::Doubt));
        assert!(!case.assignment.flows(P));
    }

    #[test]
    fn an_answer_to_an_older_look_decides_nothing() {
        let mut case = Case::flowing();
        case.assignment.doubt(P, case.now);
        let (old, _) = case.assignment.take_due(case.now);
        case.assignment.doubt(P, case.now);
        case.assignment.take_due(case.now);
        assert_eq!(case.answer(old, Answer::Facts(facts(10))), None);
        assert!(!case.assignment.flows(P));
    }

    #[test]
    fn an_answer_about_a_revoked_partition_decides_nothing() {
        let mut case = Case::new();
        let (look, _) = case.assignment.take_due(case.now);
        case.assignment.revoke(P);
        assert_eq!(case.answer(look, Answer::Facts(facts(10))), None);
    }
}
