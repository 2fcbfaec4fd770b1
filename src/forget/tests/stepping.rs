//! The executor as the engine drives it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::stream::{
    ErrorClass, Event, Input, NextOffset, NoHeaders, Outgoing, Park, Ready, Sink, Stage, Step, StreamError,
    Take, Txn, Wait, Waiting,
};

/// A sink that keeps what it is sent, and refuses what is longer than `limit`.
struct FakeSink {
    sent: Vec<Vec<u8>>,
    limit: usize,
}

impl Sink for FakeSink {
    type Membership = ();

    fn begin(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError> {
        let value = record.value.expect("a receipt has a value");
        if value.len() > self.limit {
            return Err(refusal());
        }
        self.sent.push(value.to_vec());
        Ok(())
    }

    fn send_offsets(&mut self, _: &[NextOffset], _: &()) -> Result<(), StreamError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn abort(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn refused(&mut self) -> Vec<usize> {
        Vec::new()
    }

    fn tainted(&self) -> bool {
        false
    }

    fn outdated(&self) -> Option<String> {
        None
    }
}

fn refusal() -> StreamError {
    StreamError {
        stage: Stage::Send,
        class: ErrorClass::RecordRefused,
        name: "MSG_SIZE_TOO_LARGE".to_owned(),
    }
}

#[derive(Clone)]
pub(super) struct Tallies {
    committed: Arc<Mutex<Vec<Tally>>>,
    /// Whether the executor is ready, by the last event; the reason if it is not.
    pub(super) said: Arc<Mutex<Result<(), String>>>,
}

impl Observer for Tallies {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally) {
        match event {
            Event::Committed { .. } => self.committed.lock().expect("not poisoned").push(tally.clone()),
            Event::Waiting(why) => *self.said.lock().expect("not poisoned") = Err(why.reason.clone()),
            Event::Resumed => *self.said.lock().expect("not poisoned") = Ok(()),
            _ => {}
        }
    }
}

pub(super) fn executor(world: &World) -> (Executor, Tallies) {
    executor_that_trusts(world, Arc::new(None))
}

pub(super) fn executor_that_trusts(world: &World, trust: Arc<dyn TrustSource>) -> (Executor, Tallies) {
    let tallies = Tallies { committed: Arc::default(), said: Arc::new(Mutex::new(Ok(()))) };
    let executor = Executor::new(ExecutorParts {
        store: Arc::clone(&world.store) as Arc<dyn Store>,
        vault: Arc::clone(&world.vault) as Arc<dyn KekVault>,
        clock: Arc::new(FakeClock),
        runtime: world.runtime.handle().clone(),
        trust,
        signatures_required: false,
        receipt_bytes: 1_000_000,
        assumptions: Vec::new(),
        settles_in: Duration::ZERO,
        observer: Box::new(tallies.clone()),
    });
    (executor, tallies)
}

pub(super) fn admit(executor: &mut Executor, partition: i32, offset: i64, value: Option<&[u8]>) -> Take {
    let headers = &NoHeaders;
    let input = Input { partition, offset, timestamp: Some(Millis(9)), key: None, value, headers };
    executor.admit(&input).expect("the executor takes every record")
}

/// Prepares for as long as the engine would; panics where that never ends.
fn ready(executor: &mut Executor) {
    for _ in 0..20 {
        if executor.prepare(Instant::now() + Duration::from_secs(1)) == Ready::Yes {
            return;
        }
    }
    panic!("it is never ready");
}

pub(super) fn emit(executor: &mut Executor, limit: usize) -> Result<Vec<Receipt>, StreamError> {
    let mut sink = FakeSink { sent: Vec::new(), limit };
    executor.emit(&mut Txn::begin(&mut sink)?)?;
    Ok(sink.sent.iter().map(|json| Receipt::parse(json).expect("a receipt")).collect())
}

pub(super) fn committed(executor: &mut Executor, offset: i64) {
    let offsets = [NextOffset { partition: 0, offset }];
    executor.observe(Event::Committed { offsets: &offsets, took: Duration::ZERO, lag: &[] });
    executor.clear();
}

#[test]
fn each_command_of_a_batch_has_its_receipt_in_order_and_what_is_none_has_none() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let (mut executor, tallies) = executor(&world);
    let early = bytes("c-2", "acme", (HOUR.0, HOUR.0 + 9), "retention-end");
    let records: [Option<&[u8]>; 6] = [
        Some(&due_hours("c-1")),
        Some(b"{}"),
        None,
        Some(&early),
        Some(&due_hours("c-1")),
        Some(&due_hours("c-3")),
    ];
    for (offset, record) in records.into_iter().enumerate() {
        assert_eq!(admit(&mut executor, 0, offset as i64, record), Take::More);
    }
    ready(&mut executor);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    let said: Vec<_> = receipts.iter().map(|receipt| (receipt.command.as_str(), receipt.outcome)).collect();
    assert_eq!(said, [("c-1", Outcome::Erased), ("c-2", Outcome::Refused), ("c-3", Outcome::NothingToErase)]);
    committed(&mut executor, 6);
    let outcomes = [Outcome::Erased, Outcome::NothingToErase, Outcome::Refused]
        .map(|outcome| ((Kind::Erase, outcome), 1));
    let tally = Tally {
        receipts: BTreeMap::from(outcomes),
        unreadable: 2,
        copies: 1,
        erased_keys: BTreeMap::from([(Kind::Erase, 1)]),
        ..Tally::default()
    };
    assert_eq!(*tallies.committed.lock().expect("not poisoned"), [tally]);
    assert_eq!(executor.prepare(Instant::now()), Ready::Yes, "an empty batch is ready at once");
}

#[test]
fn a_thousand_commands_are_enough() {
    let world = World::of(FakeStore::default());
    let (mut executor, _) = executor(&world);
    for offset in 0..999 {
        assert_eq!(admit(&mut executor, 0, offset, Some(&due_hours("c-1"))), Take::More);
    }
    assert_eq!(admit(&mut executor, 0, 999, Some(&due_hours("c-1"))), Take::Enough);
}

#[test]
fn while_the_store_is_away_it_waits_with_the_reason_and_then_goes_on() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let (mut executor, _) = executor(&world);
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    admit(&mut executor, 0, 1, Some(&due_hours("c-2")));
    world.store.state().answers = Some(12);
    let Ready::Wait(why) = executor.prepare(Instant::now() + Duration::from_secs(10)) else {
        panic!("the store is away")
    };
    assert_eq!(why, Waiting::new(Wait::Store, "the key store is unavailable: switched off by the test"));
    assert!(emit(&mut executor, usize::MAX).is_err(), "no command goes without its receipt");
    world.store.state().answers = None;
    ready(&mut executor);
    assert_eq!(emit(&mut executor, usize::MAX).expect("sent").len(), 2);
}

/// A trust store that can be read from the second time on.
#[derive(Default)]
struct Fixed(AtomicBool);

impl TrustSource for Fixed {
    fn trust(&self) -> Result<Option<Arc<Trust>>, String> {
        if self.0.swap(true, Ordering::SeqCst) { Ok(None) } else { Err("malformed".to_owned()) }
    }
}

#[test]
fn while_nobody_knows_whom_to_trust_commands_wait() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let (mut executor, _) = executor_that_trusts(&world, Arc::new(Fixed::default()));
    admit(&mut executor, 0, 0, Some(&due_hours("c-1")));
    let why = executor.prepare(Instant::now() + Duration::from_secs(10));
    assert_eq!(why, Ready::Wait(Waiting::new(Wait::Trust, "malformed")));
    ready(&mut executor);
    assert_eq!(emit(&mut executor, usize::MAX).expect("sent").len(), 1);
}

#[test]
fn a_batch_that_is_read_again_gives_the_same_receipts() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 2));
    let (mut executor, _) = executor(&world);
    let mut receipts = Vec::new();
    for _ in 0..3 {
        admit(&mut executor, 0, 7, Some(&due_hours("c-1")));
        ready(&mut executor);
        receipts.push(emit(&mut executor, usize::MAX).expect("sent"));
        executor.clear();
    }
    assert_eq!(receipts[0][0].key_count, 2);
    assert!(receipts.iter().all(|again| *again == receipts[0]));
}

#[test]
fn records_of_a_lost_partition_are_forgotten_and_the_others_keep_their_receipts() {
    let world = World::of(FakeStore::default());
    let (mut executor, _) = executor(&world);
    for (partition, id) in [(0, "c-1"), (1, "c-2"), (0, "c-3")] {
        admit(&mut executor, partition, 4, Some(&due_hours(id)));
    }
    ready(&mut executor);
    executor.drop_partitions(&[0]);
    ready(&mut executor);
    let receipts = emit(&mut executor, usize::MAX).expect("sent");
    assert_eq!(receipts.iter().map(|receipt| receipt.command.as_str()).collect::<Vec<_>>(), ["c-2"]);
}

#[test]
fn a_receipt_that_the_broker_refuses_goes_without_its_keys_and_then_not_at_all() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 50));
    let (mut executor, _) = executor(&world);
    let limit = 2_000;
    admit(&mut executor, 0, 3, Some(&due_hours("c-1")));
    ready(&mut executor);
    assert_eq!(emit(&mut executor, limit).expect_err("too long"), refusal());
    assert_eq!(executor.condemn(0, 3, &refusal()), Ok(()));
    executor.clear();
    admit(&mut executor, 0, 3, Some(&due_hours("c-1")));
    ready(&mut executor);
    let receipts = emit(&mut executor, limit).expect("short enough");
    assert_eq!((receipts[0].keys.len(), receipts[0].key_count), (0, 50));
    assert!(matches!(executor.condemn(0, 3, &refusal()), Err(Park::RecordRefused { .. })));
    committed(&mut executor, 4);
    assert_eq!(executor.condemn(0, 3, &refusal()), Ok(()), "what is committed is forgotten");
}
