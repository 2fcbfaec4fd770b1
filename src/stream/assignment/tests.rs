//! Tests the decisions about partitions, without a source.

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
        let (look, due) = self.assignment.take_due(self.now, |_| true);
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
    let flows = Verdict::Flow { at: 10, start: Some(Start::Committed(10)), mark: None, was: Was::Unknown };
    assert_eq!(case.look(Answer::Facts(facts(10))), Some(flows));
    assert!(case.assignment.is_settled() && case.assignment.flows(P));
    assert_eq!(
        case.assignment.take_due(case.now, |_| true).1,
        Vec::<i32>::new(),
        "nothing is left to find out"
    );
}

#[test]
fn a_parked_partition_is_reported_once_and_flows_when_its_reason_is_gone() {
    let mut case = Case::new();
    assert_eq!(code(case.look(Answer::Facts(facts(5)))), "input-gap");
    assert!(case.assignment.is_settled(), "its state is known");
    let grown = Facts { log: (7, 25), ..facts(5) };
    assert_eq!(case.look(Answer::Facts(grown)), Some(Verdict::Stay { lag: Some(18) }), "records arrive");
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
    assert!(!case.assignment.park(P, refused, case.now), "a repeated refusal is not reported");
    assert_eq!(case.look(Answer::Facts(facts(12))), on_trial);
    let ended = |case: &mut Case| case.assignment.committed(&[NextOffset { partition: P, offset: 13 }]);
    assert_eq!((ended(&mut case), ended(&mut case)), (vec![P], vec![]), "reported once");
}

#[test]
fn a_moved_offset_is_doubted_first_and_parks_when_it_stays() {
    let mut case = Case::flowing();
    case.assignment.doubt(P, case.now);
    let (look, _) = case.assignment.take_due(case.now, |_| true);
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
fn a_partition_without_an_answer_is_parked_if_others_flow() {
    let mut case = Case::flowing();
    let away = || Answer::Unknown(Waiting::new(Wait::Store, "the store is away"));
    case.assignment.assign(&[P + 1], case.now);
    let rules = StartRules { input: "jobs".to_owned(), store: US.to_owned(), gaps: Gaps::Any };
    let mut codes = Vec::new();
    for seconds in [1, 9, 20] {
        let now = case.now + Duration::from_secs(seconds);
        let (look, due) = case.assignment.take_due(now, |_| true);
        assert_eq!(due, [P + 1]);
        codes.push(case.assignment.answer(look, (P + 1, away()), &rules, now));
    }
    let why = Park::Unanswered { why: "the store is away".to_owned() };
    let stays = Some(Verdict::Stay { lag: None });
    assert_eq!(codes, [stays, Some(Verdict::Stay { lag: None }), Some(Verdict::Park(why))]);
}

#[test]
fn an_answer_to_an_older_look_decides_nothing() {
    let mut case = Case::flowing();
    case.assignment.doubt(P, case.now);
    let (old, _) = case.assignment.take_due(case.now, |_| true);
    case.assignment.doubt(P, case.now);
    case.assignment.take_due(case.now, |_| true);
    assert_eq!(case.answer(old, Answer::Facts(facts(10))), None);
    assert!(!case.assignment.flows(P));
}

#[test]
fn an_answer_about_a_revoked_partition_decides_nothing() {
    let mut case = Case::new();
    let (look, _) = case.assignment.take_due(case.now, |_| true);
    case.assignment.revoke(P);
    assert_eq!(case.answer(look, Answer::Facts(facts(10))), None);
}
