//! Tests the engine on an in-memory log. It is a mock with the promises that `tests/cluster` checks on Kafka.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::model::{Millis, Started};

/// Broker, group and script of one test.
#[derive(Default)]
struct Log {
    /// Records per partition.
    input: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
    position: BTreeMap<i32, i64>,
    /// (partition, offset) of each record whose transaction was committed, in order.
    output: Vec<(i32, i64)>,
    open: Option<Vec<(i32, i64)>>,
    staged: Vec<NextOffset>,
    /// The partitions in each event of an assignment.
    notified: Vec<Vec<i32>>,
    /// Calls, in order.
    calls: Vec<&'static str>,
    /// The error of a stage's next call, and whether a commit took effect in spite of it.
    faults: VecDeque<(Stage, ErrorClass, bool)>,
    changes: Vec<Change>,
    /// Partitions that the next poll revokes.
    revoke: Vec<i32>,
    /// Records that the broker refuses unless they were condemned.
    poison: Vec<(i32, i64)>,
    /// The broker names them.
    names: bool,
    /// Places of named records in the transaction.
    refused: Vec<usize>,
    held: bool,
    /// Partitions whose records flow.
    flowing: BTreeSet<i32>,
    /// Looks that have no answer yet.
    looks: Vec<(u64, i32)>,
    /// The answer about a partition instead of the facts, that many times.
    reasons: BTreeMap<i32, (Park, usize)>,
    /// Markers behind the last record of each partition.
    markers: BTreeMap<i32, i64>,
    /// Partitions that were parked, and `None` for one that flowed again.
    parked: Vec<(i32, Option<&'static str>)>,
    /// The producer that sends the next offsets is tainted.
    taints: bool,
    /// A late request replaces these offsets when the next transaction is committed.
    late: Option<NextOffset>,
    outage: bool,
    unanswered_inits: u32,
    /// Number of answers, after the first commit, that report an old committed offset.
    stale: usize,
    /// The stop is requested while a producer is created.
    stop_at_init: bool,
    /// The broker refuses the batches of the first producer. It names no record, and smaller batches fit.
    shrinks: bool,
    /// A record arrives in partition 1 with each transaction, until there are ten.
    grows: bool,
    /// The source complains once after the first commit.
    complains: bool,
    /// Records that the source delivers twice.
    repeats: BTreeSet<(i32, i64)>,
    /// Lists of members that are not Hourseal, the next one last.
    foreign: Vec<Vec<ForeignMember>>,
    /// Number of such members in each event.
    told_foreign: Vec<usize>,
    /// The reasons of waits, and `resumed`, in order.
    waits: Vec<String>,
    over: Over,
}

/// A record that the step does not take.
#[derive(Default)]
struct Over {
    place: (i32, i64),
    times: usize,
    /// Time for which its partition stops.
    rest: Duration,
    /// At each time, number of earlier records of its partition in the batch.
    kept: Vec<usize>,
}

type Shared = Rc<RefCell<Log>>;

impl Log {
    fn fault(&mut self, stage: Stage) -> Option<(StreamError, bool)> {
        let at = self.faults.iter().position(|(s, ..)| *s == stage)?;
        let (stage, class, took_effect) = self.faults.remove(at).expect("just found");
        Some((StreamError { stage, class, name: format!("{class:?}") }, took_effect))
    }

    /// The answer to a look at a partition.
    fn answer(&mut self, partition: i32) -> Answer {
        if let Some((why, times)) = self.reasons.get_mut(&partition)
            && *times > 0
        {
            *times -= 1;
            return Answer::Park(why.clone());
        }
        let committed = self.committed.get(&partition);
        let committed = committed.map(|offset| Committed { offset: *offset, metadata: "us".to_owned() });
        let end = self.input[&partition] + self.markers.get(&partition).copied().unwrap_or(0);
        Answer::Facts(Facts { committed, log: (0, end), topic: None, started: None })
    }

    fn apply(&mut self) {
        let records = self.open.take().expect("a transaction is open");
        self.output.extend(records);
        for next in std::mem::take(&mut self.staged).into_iter().chain(self.late.take()) {
            self.committed.insert(next.partition, next.offset);
        }
    }
}

struct MemoryConnector(Shared);
struct MemorySource(Shared);
/// One producer.
struct MemorySink {
    log: Shared,
    is_tainted: bool,
    is_first: bool,
}

impl Connector for MemoryConnector {
    type Membership = ();
    type Source = MemorySource;
    type Sink = MemorySink;

    fn source(&self) -> Result<MemorySource, Halt> {
        let mut log = self.0.borrow_mut();
        log.position = log.input.keys().map(|p| (*p, 0)).collect();
        log.flowing.clear();
        log.looks.clear();
        log.changes = vec![Change::Assigned(log.input.keys().copied().collect())];
        Ok(MemorySource(Rc::clone(&self.0)))
    }

    fn sink(&self, stop: &Stop) -> Result<MemorySink, StreamError> {
        let mut log = self.0.borrow_mut();
        let is_first = !log.calls.contains(&"init");
        log.calls.push("init");
        if log.stop_at_init {
            stop.request();
        }
        log.open = None;
        match log.fault(Stage::Init) {
            Some((error, _)) => Err(error),
            None => Ok(MemorySink { log: Rc::clone(&self.0), is_tainted: false, is_first }),
        }
    }

    fn identity(&self) -> String {
        "test".to_owned()
    }

    fn transaction_timeout(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn outage(&self) -> bool {
        self.0.borrow().outage
    }

    fn take_unanswered_init(&self) -> bool {
        let mut log = self.0.borrow_mut();
        let some = log.unanswered_inits > 0;
        log.unanswered_inits = log.unanswered_inits.saturating_sub(1);
        some
    }
}

impl Source for MemorySource {
    type Membership = ();

    fn poll(&mut self, _wait: Duration, take: &mut dyn FnMut(Input<'_>) -> Take) -> Result<(), Fault> {
        let mut log = self.0.borrow_mut();
        assert!(log.open.is_none(), "polled while a transaction is open");
        log.calls.push("poll");
        let ready: Vec<(i32, i64)> = match log.held {
            true => Vec::new(),
            false => {
                let flowing = log.position.iter().filter(|(partition, _)| log.flowing.contains(partition));
                let ready = flowing.flat_map(|(p, from)| (*from..log.input[p]).map(|o| (*p, o)));
                let times = |record| if log.repeats.contains(&record) { 2 } else { 1 };
                ready.flat_map(|record| std::iter::repeat_n(record, times(record))).collect()
            }
        };
        if ready.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for (partition, offset) in ready {
            let is_repeated = log.repeats.remove(&(partition, offset));
            log.position.insert(partition, offset + i64::from(!is_repeated));
            let input =
                Input { partition, offset, timestamp: None, key: None, value: None, headers: &NoHeaders };
            if take(input) == Take::Enough {
                return Ok(());
            }
        }
        let revoked = std::mem::take(&mut log.revoke);
        if !revoked.is_empty() {
            log.position.retain(|partition, _| !revoked.contains(partition));
            log.flowing.retain(|partition| !revoked.contains(partition));
            log.changes.push(Change::Revoked(revoked));
        }
        Ok(())
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.0.borrow_mut().changes)
    }

    fn complaint(&mut self) -> Option<String> {
        let mut log = self.0.borrow_mut();
        let is_due = log.complains && log.calls.iter().filter(|call| **call == "commit").count() == 1;
        is_due.then(|| {
            log.complains = false;
            "the group is full".to_owned()
        })
    }

    fn foreign_members(&mut self) -> Option<Vec<ForeignMember>> {
        self.0.borrow_mut().foreign.pop()
    }

    fn hold(&mut self, held: bool) -> Result<(), StreamError> {
        self.0.borrow_mut().held = held;
        Ok(())
    }

    fn membership(&mut self) -> Option<()> {
        Some(())
    }

    fn look(&mut self, look: u64, partitions: &[i32]) {
        let looks = partitions.iter().map(|partition| (look, *partition));
        self.0.borrow_mut().looks.extend(looks);
    }

    fn answers(&mut self) -> Result<Vec<(u64, i32, Answer)>, Fault> {
        let mut log = self.0.borrow_mut();
        let looks = std::mem::take(&mut log.looks);
        Ok(looks.into_iter().map(|(look, partition)| (look, partition, log.answer(partition))).collect())
    }

    fn start(&mut self, at: &[NextOffset]) -> Result<(), StreamError> {
        self.0.borrow_mut().flowing.extend(at.iter().map(|next| next.partition));
        self.seek(at).map(drop)
    }

    fn stop(&mut self, partitions: &[i32]) -> Result<(), StreamError> {
        self.0.borrow_mut().flowing.retain(|partition| !partitions.contains(partition));
        Ok(())
    }

    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, StreamError> {
        let mut log = self.0.borrow_mut();
        let is_stale = log.stale > 0 && !log.committed.is_empty();
        log.stale -= usize::from(is_stale);
        let found = |partition| if is_stale { Some(1) } else { log.committed.get(partition).copied() };
        Ok(partitions.iter().map(|partition| (*partition, found(partition))).collect())
    }

    fn seek(&mut self, to: &[NextOffset]) -> Result<Vec<i32>, StreamError> {
        let mut log = self.0.borrow_mut();
        for next in to {
            log.position.insert(next.partition, next.offset);
        }
        Ok(Vec::new())
    }

    fn passed(&mut self) -> Vec<NextOffset> {
        let log = self.0.borrow();
        let ended =
            log.markers.iter().filter(|(partition, _)| log.position[*partition] == log.input[*partition]);
        ended
            .map(|(&partition, markers)| NextOffset { partition, offset: log.input[&partition] + markers })
            .collect()
    }

    fn lag(&self, _next: NextOffset) -> Option<u64> {
        None
    }
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        self.log.borrow_mut().open = None;
    }
}

impl Sink for MemorySink {
    type Membership = ();

    fn begin(&mut self) -> Result<(), StreamError> {
        let mut log = self.log.borrow_mut();
        log.calls.push("begin");
        if log.grows && log.input[&1] < 10 {
            *log.input.entry(1).or_default() += 1;
        }
        log.open = Some(Vec::new());
        Ok(())
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError> {
        let mut log = self.log.borrow_mut();
        let record = (record.partition.expect("the step says"), record.timestamp.0);
        log.open.as_mut().expect("a transaction is open").push(record);
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[NextOffset], _member: &()) -> Result<(), StreamError> {
        let mut log = self.log.borrow_mut();
        log.staged = offsets.to_vec();
        self.is_tainted |= std::mem::take(&mut log.taints);
        log.fault(Stage::Offsets).map_or(Ok(()), |(error, _)| Err(error))
    }

    fn commit(&mut self) -> Result<(), StreamError> {
        let mut log = self.log.borrow_mut();
        log.calls.push("commit");
        let open = log.open.as_deref().unwrap_or_default().iter().enumerate();
        let poisoned: Vec<usize> =
            open.filter(|(_, record)| log.poison.contains(record)).map(|(place, _)| place).collect();
        if log.shrinks && self.is_first {
            let name = "MSG_SIZE_TOO_LARGE".to_owned();
            return Err(StreamError { stage: Stage::Commit, class: ErrorClass::RecordRefused, name });
        }
        if !poisoned.is_empty() {
            let name = if log.names { "INVALID_RECORD" } else { "MSG_SIZE_TOO_LARGE" }.to_owned();
            log.refused = if log.names { poisoned } else { Vec::new() };
            return Err(StreamError { stage: Stage::Commit, class: ErrorClass::RecordRefused, name });
        }
        match log.fault(Stage::Commit) {
            Some((error, took_effect)) => {
                if took_effect {
                    log.apply();
                }
                Err(error)
            }
            None => {
                log.apply();
                Ok(())
            }
        }
    }

    fn abort(&mut self) -> Result<(), StreamError> {
        let mut log = self.log.borrow_mut();
        log.calls.push("abort");
        log.open = None;
        log.fault(Stage::Abort).map_or(Ok(()), |(error, _)| Err(error))
    }

    fn refused(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.log.borrow_mut().refused)
    }

    fn tainted(&self) -> bool {
        self.is_tainted
    }

    fn outdated(&self) -> Option<String> {
        let log = self.log.borrow();
        (log.shrinks && self.is_first && log.calls.contains(&"abort")).then(|| "smaller batches".to_owned())
    }
}

/// Copies records, and stops when the committed offsets add up to `wanted`. A condemned record becomes its
/// negative.
struct Copy {
    batch: Vec<(i32, i64)>,
    condemned: Vec<(i32, i64)>,
    over: Over,
    waits: u32,
    wanted: i64,
    log: Shared,
    stop: Stop,
}

struct Copied(i32, i64);

impl Publish for Copied {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: TopicIndex(0),
            partition: Some(self.0),
            timestamp: Millis(self.1),
            key: None,
            value: None,
            headers: &[],
        }
    }
}

impl Step for Copy {
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park> {
        if self.over.times > 0 && self.over.place == (input.partition, input.offset) {
            self.over.times -= 1;
            self.over.kept.push(self.batch.iter().filter(|it| it.0 == input.partition).count());
            return Err(Park::SlotBudget { limit: 1, rest: self.over.rest });
        }
        self.batch.push((input.partition, input.offset));
        Ok(Take::More)
    }

    fn prepare(&mut self, _deadline: Instant) -> Ready {
        assert!(self.log.borrow().open.is_none(), "keys are obtained while no transaction is open");
        match self.waits.checked_sub(1) {
            Some(left) => {
                self.waits = left;
                Ready::Wait(Waiting::new(Wait::Store, "the store is away"))
            }
            None => Ready::Yes,
        }
    }

    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError> {
        for (partition, offset) in &self.batch {
            let sign = if self.condemned.contains(&(*partition, *offset)) { -1 } else { 1 };
            txn.send(&Copied(*partition, sign * offset))?;
        }
        Ok(())
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.batch.retain(|(partition, _)| !partitions.contains(partition));
    }

    fn clear(&mut self) {
        self.batch.clear();
    }

    fn origin(&self, place: usize) -> Option<(i32, i64)> {
        self.batch.get(place).copied()
    }

    fn condemn(&mut self, partition: i32, offset: i64, _why: &StreamError) -> Result<(), Park> {
        self.condemned.push((partition, offset));
        Ok(())
    }

    fn observe(&mut self, event: Event<'_>) {
        if let Event::Assigned(partitions) = event {
            self.log.borrow_mut().notified.push(partitions.to_vec());
        }
        match &event {
            Event::Parked { partition, why } => {
                self.log.borrow_mut().parked.push((*partition, Some(why.code())));
            }
            Event::Flows(partition) => self.log.borrow_mut().parked.push((*partition, None)),
            Event::Waiting(waiting) => {
                self.log.borrow_mut().waits.push(waiting.reason.clone());
            }
            Event::ForeignMembers(members) => self.log.borrow_mut().told_foreign.push(members.len()),
            Event::Resumed => self.log.borrow_mut().waits.push("resumed".to_owned()),
            _ => {}
        }
        if matches!(event, Event::Committed { .. })
            && self.log.borrow().committed.values().sum::<i64>() >= self.wanted
        {
            self.stop.request();
        }
    }
}

struct Forgetful;

impl StartLog for Forgetful {
    fn started(&self) -> Result<Vec<Started>, String> {
        Ok(Vec::new())
    }

    fn mark_started(&self, _partitions: &[Started]) -> Result<(), String> {
        Ok(())
    }
}

/// Result of a run.
struct Ran {
    outcome: Result<(), Halt>,
    log: Log,
    condemned: Vec<(i32, i64)>,
    /// See [`Over::kept`].
    kept: Vec<usize>,
}

/// Runs the engine over two partitions of ten records until the committed offsets add up to `wanted`.
fn run(wanted: i64, waits: u32, script: impl FnOnce(&mut Log)) -> Ran {
    run_and(Parking::GoOn, wanted, waits, script)
}

fn run_and(parking: Parking, wanted: i64, waits: u32, script: impl FnOnce(&mut Log)) -> Ran {
    let log = Shared::default();
    log.borrow_mut().input = BTreeMap::from([(0, 10), (1, 10)]);
    script(&mut log.borrow_mut());
    let stop = Stop::default();
    let connector = MemoryConnector(Rc::clone(&log));
    let mut step = Copy {
        batch: Vec::new(),
        condemned: Vec::new(),
        over: std::mem::take(&mut log.borrow_mut().over),
        waits,
        wanted,
        log: Rc::clone(&log),
        stop: stop.clone(),
    };
    let engine = Engine {
        connector: &connector,
        pace: Pace { batch_time: Duration::ZERO, batch_events: 8 },
        stop,
        pulse: Pulse::default(),
        starts: Arc::new(Forgetful),
        rules: StartRules { input: "jobs".to_owned(), store: "us".to_owned(), gaps: Gaps::These(Vec::new()) },
        parking,
        board: Board::default(),
    };
    let outcome = engine.run(&mut step);
    let condemned = std::mem::take(&mut step.condemned);
    let kept = std::mem::take(&mut step.over.kept);
    drop(step);
    let log = log.take();
    Ran { outcome, log, condemned, kept }
}

fn sorted(mut records: Vec<(i32, i64)>) -> Vec<(i32, i64)> {
    records.sort_unstable();
    records
}

fn every_record() -> Vec<(i32, i64)> {
    (0..2).flat_map(|partition| (0..10).map(move |offset| (partition, offset))).collect()
}

#[track_caller]
fn check_once(ran: &Ran) {
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(sorted(ran.log.output.clone()), every_record());
    assert_eq!(ran.log.committed, BTreeMap::from([(0, 10), (1, 10)]));
}

#[test]
fn every_record_is_committed_once_with_the_offset_after_it() {
    check_once(&run(20, 0, |_| {}));
}

#[test]
fn a_generation_that_is_over_aborts_and_the_batch_is_read_again() {
    let ran = run(20, 0, |log| log.faults.push_back((Stage::Offsets, ErrorClass::Generation, false)));
    check_once(&ran);
    assert_eq!(ran.log.calls.iter().filter(|call| **call == "abort").count(), 1);
    assert_eq!(ran.log.calls.iter().filter(|call| **call == "init").count(), 1, "the producer stays");
}

#[test]
fn after_a_commit_of_unknown_outcome_nothing_is_aborted_and_the_broker_is_the_truth() {
    for took_effect in [true, false] {
        for class in [ErrorClass::Fatal, ErrorClass::Unflagged] {
            let ran = run(20, 0, |log| log.faults.push_back((Stage::Commit, class, took_effect)));
            check_once(&ran);
            assert!(!ran.log.calls.contains(&"abort"), "{class:?}, took effect: {took_effect}");
            assert_eq!(ran.log.calls.iter().filter(|call| **call == "init").count(), 2);
        }
    }
}

#[test]
fn a_tainted_producer_begins_no_other_transaction_whether_it_committed_or_aborted() {
    for fault in [None, Some((Stage::Offsets, ErrorClass::Abortable, false))] {
        let ran = run(20, 0, |log| {
            log.taints = true;
            log.faults.extend(fault);
        });
        check_once(&ran);
        let calls = ran.log.calls.iter().filter(|call| ["init", "begin"].contains(call));
        assert_eq!(
            calls.copied().take(4).collect::<Vec<_>>(),
            ["init", "begin", "init", "begin"],
            "{fault:?}"
        );
    }
}

#[test]
fn after_a_call_that_does_not_return_the_next_producer_ends_the_transaction() {
    let ran = run(20, 0, |log| log.faults.push_back((Stage::Offsets, ErrorClass::Stuck, false)));
    check_once(&ran);
    assert!(!ran.log.calls.contains(&"abort"), "{:?}", ran.log.calls);
    assert_eq!(ran.log.calls.iter().filter(|call| **call == "init").count(), 2);
}

#[test]
fn an_abort_that_fails_ends_the_producer() {
    let ran = run(20, 0, |log| {
        log.faults.push_back((Stage::Offsets, ErrorClass::Abortable, false));
        log.faults.push_back((Stage::Abort, ErrorClass::Fatal, false));
    });
    check_once(&ran);
    assert_eq!(ran.log.calls.iter().filter(|call| **call == "init").count(), 2);
}

#[test]
fn a_refused_record_is_found_alone_and_the_others_flow() {
    let ran = run(20, 0, |log| log.poison = vec![(1, 3)]);
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.condemned, [(1, 3)]);
    let expected = every_record().into_iter().map(|r| if r == (1, 3) { (1, -3) } else { r });
    assert_eq!(sorted(ran.log.output), sorted(expected.collect()));
}

#[test]
fn refused_records_that_the_broker_names_cost_one_transaction() {
    let poison = [(1, 1), (1, 3), (1, 5)];
    let ran = run(20, 0, |log| {
        log.poison = poison.to_vec();
        log.names = true;
    });
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.condemned, poison);
    assert_eq!(ran.log.calls.iter().filter(|call| **call == "abort").count(), 1);
    let expected =
        every_record().into_iter().map(|(p, o)| if poison.contains(&(p, o)) { (p, -o) } else { (p, o) });
    assert_eq!(sorted(ran.log.output), sorted(expected.collect()));
}

/// Found with a live worker: it aborted for as long as such records came.
#[test]
fn a_stream_of_records_that_the_broker_names_does_not_keep_a_batch_from_its_commit() {
    let ran = run(10, 0, |log| {
        log.input = BTreeMap::from([(1, 1)]);
        (log.grows, log.names) = (true, true);
        log.poison = (1..10).map(|offset| (1, offset)).collect();
    });
    assert_eq!(ran.outcome, Ok(()));
    let count = |what| ran.log.calls.iter().filter(|call| **call == what).count();
    assert!(2 * count("abort") <= count("commit"), "each batch is committed at the second attempt");
    assert_eq!(ran.log.output.len(), 10);
}

#[test]
fn an_outdated_producer_is_replaced_before_its_batch_is_halved_to_the_end() {
    let ran = run(20, 0, |log| log.shrinks = true);
    check_once(&ran);
    assert_eq!(ran.condemned, [], "each record fits");
    let calls = ran.log.calls.iter().filter(|call| ["init", "begin", "abort"].contains(call));
    let calls: Vec<_> = calls.copied().take(5).collect();
    assert_eq!(calls, ["init", "begin", "abort", "init", "begin"]);
}

#[test]
fn records_of_a_revoked_partition_are_dropped_with_their_offsets() {
    let ran = run(3, 0, |log| {
        log.input = BTreeMap::from([(0, 4), (1, 3)]);
        log.revoke = vec![0];
    });
    assert_eq!(ran.outcome, Ok(()));
    assert!(ran.log.output.iter().all(|(partition, _)| *partition == 1), "{:?}", ran.log.output);
    assert_eq!(ran.log.committed, BTreeMap::from([(1, 3)]));
    assert_eq!(ran.log.notified, [[1]], "the step is notified which partition is left");
}

/// The last record of the first batch is among them.
#[test]
fn a_record_that_the_client_delivers_twice_is_committed_once() {
    let ran = run(20, 0, |log| log.repeats = BTreeSet::from([(0, 0), (0, 7), (1, 3), (1, 4), (1, 9)]));
    check_once(&ran);
    assert!(ran.log.repeats.is_empty(), "each was delivered");
}

#[test]
fn while_the_step_waits_the_group_is_polled_and_nothing_flows() {
    let ran = run(20, 5, |_| {});
    check_once(&ran);
    let before = ran.log.calls.iter().position(|call| *call == "begin").expect("a transaction");
    assert!(
        ran.log.calls[..before].iter().filter(|call| **call == "poll").count() >= 4,
        "{:?}",
        ran.log.calls
    );
}

#[test]
fn one_fence_on_a_young_transaction_is_a_restart_and_two_are_a_duel() {
    let fenced = (Stage::Commit, ErrorClass::Fenced, false);
    check_once(&run(20, 0, |log| log.faults.push_back(fenced)));
    let ran = run(20, 0, |log| log.faults.extend([fenced, fenced]));
    assert!(matches!(ran.outcome, Err(Halt::Duel { .. })));
    assert!(ran.log.output.is_empty());
}

#[test]
fn a_fence_that_an_unanswered_init_explains_is_no_duel() {
    let fenced = (Stage::Offsets, ErrorClass::Fenced, false);
    check_once(&run(20, 0, |log| {
        log.faults.extend([fenced, fenced, fenced]);
        log.unanswered_inits = 2;
    }));
}

#[test]
fn a_fenced_instance_is_a_duel_unless_an_outage_explains_it() {
    let fenced = (Stage::Offsets, ErrorClass::FencedInstance, false);
    let ran = run(20, 0, |log| log.faults.push_back(fenced));
    assert!(matches!(ran.outcome, Err(Halt::Duel { .. })));
    check_once(&run(20, 0, |log| {
        log.faults.push_back(fenced);
        log.outage = true;
    }));
}

#[test]
fn a_committed_offset_that_this_lane_did_not_commit_parks_its_partition() {
    for offset in [3, 9] {
        let ran = run(offset + 10, 0, |log| {
            log.late = Some(NextOffset { partition: 0, offset });
            log.taints = true;
        });
        assert_eq!(ran.outcome, Ok(()));
        let of = |wanted| ran.log.output.iter().filter(|(partition, _)| *partition == wanted).count();
        assert_eq!((of(0), of(1)), (0, 10), "the other partition is read to its end");
        assert_eq!(ran.log.committed, BTreeMap::from([(0, offset), (1, 10)]));
    }
}

#[test]
fn a_parked_partition_stops_only_itself_and_flows_when_its_reason_is_gone() {
    let ran = run(10, 0, |log| {
        let why = Park::NoLeader { why: "it has no leader".to_owned() };
        log.reasons = BTreeMap::from([(1, (why, usize::MAX))]);
    });
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.log.committed, BTreeMap::from([(0, 10)]));
    assert_eq!(ran.log.parked, [(1, Some("no-leader"))]);
    assert_eq!(ran.log.notified, [[0, 1]], "it is still a partition of this member");
}

/// The step does not take record 5 of partition 0, so many times.
fn over(times: usize, rest: Duration) -> Over {
    Over { place: (0, 5), times, rest, kept: Vec::new() }
}

const SLOTS: (i32, Option<&str>) = (0, Some("slot-budget"));

#[test]
fn a_record_over_a_budget_stops_only_its_partition() {
    let ran = run(15, 0, |log| log.over = over(usize::MAX, Duration::from_secs(3_600)));
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.log.committed, BTreeMap::from([(0, 5), (1, 10)]), "what came before it is committed");
    assert_eq!(ran.log.output.iter().filter(|(partition, _)| *partition == 0).count(), 5);
    assert_eq!((ran.log.parked, ran.kept), (vec![SLOTS], vec![5]));
}

#[test]
fn a_partition_over_a_budget_continues_there_when_its_time_is_over() {
    for rest in [0, 30] {
        let ran = run(20, 0, |log| log.over = over(2, Duration::from_millis(rest)));
        check_once(&ran);
        assert_eq!(ran.log.parked, [SLOTS, (0, None), SLOTS, (0, None)]);
        assert_eq!(ran.kept, [5, 0], "the second time it is the first record that is read");
    }
}

#[test]
fn a_batch_before_a_record_over_a_budget_is_read_again_after_an_abort() {
    for fault in [
        (Stage::Offsets, ErrorClass::Generation, false),
        (Stage::Commit, ErrorClass::Abortable, false),
        (Stage::Commit, ErrorClass::Fatal, false),
        (Stage::Commit, ErrorClass::Fatal, true),
    ] {
        let ran = run(20, 0, |log| {
            log.over = over(1, Duration::ZERO);
            log.faults.push_back(fault);
        });
        check_once(&ran);
        assert_eq!(ran.log.parked, [SLOTS, (0, None)], "{fault:?}");
    }
}

#[test]
fn while_a_batch_waits_its_partition_over_a_budget_does_not_flow_again() {
    let ran = run(20, 8, |log| log.over = over(1, Duration::ZERO));
    check_once(&ran);
    assert_eq!(ran.log.parked, [SLOTS, (0, None)]);
}

#[test]
fn work_with_an_end_waits_for_a_budget() {
    check_once(&run_and(Parking::Halt, 20, 0, |log| log.over = over(1, Duration::ZERO)));
}

#[test]
fn if_every_partition_belongs_to_another_store_the_lane_halts() {
    let why = Park::OtherStore { ours: "us".to_owned(), theirs: "them".to_owned() };
    let ran = run(20, 0, |log| log.reasons = (0..2).map(|p| (p, (why.clone(), usize::MAX))).collect());
    let Err(halt) = ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!(halt.exit_code(), 78);
    for refused in 0..2 {
        let ran = run(10, 0, |log| log.reasons = BTreeMap::from([(refused, (why.clone(), usize::MAX))]));
        assert_eq!(ran.outcome, Ok(()), "partition {refused} stops only itself");
    }
}

#[test]
fn work_with_an_end_halts_at_a_parked_partition_but_not_at_an_outage() {
    let gap = || Park::OffsetMoved { known: None, found: None };
    let ran = run_and(Parking::Halt, 20, 0, |log| log.reasons = BTreeMap::from([(1, (gap(), usize::MAX))]));
    assert!(matches!(ran.outcome, Err(Halt::Parked { partition: 1, .. })), "{:?}", ran.outcome);
    let outage = Park::NoLeader { why: "it has no leader".to_owned() };
    let ran = run_and(Parking::Halt, 10, 0, |log| log.reasons = BTreeMap::from([(1, (outage, usize::MAX))]));
    assert_eq!(ran.outcome, Ok(()));
}

#[test]
fn an_idle_partition_commits_the_position_behind_its_markers() {
    let ran = run(23, 0, |log| log.markers = BTreeMap::from([(1, 3)]));
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.log.committed, BTreeMap::from([(0, 10), (1, 13)]));
    assert_eq!(ran.log.output.len(), 20);
}

#[test]
fn a_committed_offset_that_is_stale_for_a_moment_is_asked_for_again() {
    check_once(&run(20, 0, |log| {
        log.stale = 1;
        log.faults.push_back((Stage::Commit, ErrorClass::Abortable, false));
        log.faults.push_back((Stage::Commit, ErrorClass::Fenced, true));
    }));
}

#[test]
fn a_complaint_of_the_source_is_reported_until_a_record_arrives() {
    let ran = run(20, 0, |log| log.complains = true);
    check_once(&ran);
    assert_eq!(ran.log.waits, ["resumed", "the group is full", "resumed"]);
}

#[test]
fn each_list_of_foreign_members_is_passed_on_and_stops_no_record() {
    let foreign = ForeignMember::of("rdkafka", "/10.0.0.7").expect("it is foreign");
    let ran = run(20, 0, |log| log.foreign = vec![Vec::new(), vec![foreign]]);
    check_once(&ran);
    assert_eq!(ran.log.told_foreign, [1, 0]);
    assert_eq!(ran.log.waits, ["resumed"]);
}

#[test]
fn a_stop_ends_a_lane_that_gets_no_producer() {
    let ran = run(20, 0, |log| {
        log.stop_at_init = true;
        log.faults.extend([(Stage::Init, ErrorClass::Retriable, false); 3]);
    });
    assert_eq!(ran.outcome, Ok(()));
    assert_eq!(ran.log.calls, ["init"]);
}

#[test]
fn a_fence_at_the_start_is_tried_again_within_the_budget() {
    check_once(&run(20, 0, |log| log.faults.push_back((Stage::Init, ErrorClass::Fenced, false))));
}

#[test]
fn a_partition_without_records_commits_its_start_once() {
    let ran = run(7, 0, |log| log.input = BTreeMap::from([(0, 7), (1, 0)]));
    assert_eq!(ran.log.committed, BTreeMap::from([(0, 7), (1, 0)]));
}
