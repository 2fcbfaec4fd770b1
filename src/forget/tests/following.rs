//! The follower's thread against a topic in a script.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::stream::Stop;

/// A topic in a script: what each poll gives, and the ends that the broker tells.
struct FakeTail {
    start: i64,
    ends: VecDeque<Result<i64, TailError>>,
    polls: VecDeque<Poll>,
    position: i64,
    stop: Stop,
}

enum Poll {
    Record(i64, Vec<u8>),
    /// The client passes markers.
    Reads(i64),
    Fails(TailError),
}

impl Tail for FakeTail {
    fn log(&mut self) -> Result<(i64, i64), TailError> {
        let end = self.ends.pop_front().unwrap_or(Ok(self.position))?;
        Ok((self.start, end))
    }

    fn begin(&mut self, offset: i64) -> Result<(), TailError> {
        self.position = offset;
        Ok(())
    }

    fn poll(&mut self, _wait: Duration) -> Result<Option<TailRecord>, TailError> {
        match self.polls.pop_front() {
            Some(Poll::Record(offset, value)) => {
                self.position = offset + 1;
                Ok(Some(TailRecord { offset, at: None, value: Some(value), swept: None }))
            }
            Some(Poll::Reads(position)) => {
                self.position = position;
                Ok(None)
            }
            Some(Poll::Fails(error)) => Err(error),
            None => {
                self.stop.request();
                Ok(None)
            }
        }
    }

    fn position(&self) -> Result<i64, TailError> {
        Ok(self.position)
    }
}

/// The actions of the process in order, as words.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().expect("not poisoned").push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Cache for Diary {
    fn evict(&self, _token: Token, from: Hour, to: Hour) {
        self.write(format!("evict {} to {}", from.0 - HOUR.0, to.0 - HOUR.0));
    }

    fn forget_kek(&self, kek: &KekId) {
        self.write(format!("forget {kek}"));
    }

    fn evict_all(&self) {
        self.write("evict all");
    }
}

impl Prove for Diary {
    fn prove(&self, requested_at_boot_ms: u64) {
        self.write(format!("prove {requested_at_boot_ms}"));
    }
}

impl FollowObserver for Diary {
    fn observe(&mut self, event: Followed<'_>) {
        match event {
            Followed::Open => self.write("open"),
            Followed::Proven => {}
            Followed::Applied { offset, took_ms, .. } => {
                self.write(format!("applied {offset} after {took_ms}"));
            }
            Followed::Behind { offset, held } => self.write(format!("behind {offset} {held}")),
            Followed::Doubted { offset, .. } => self.write(format!("doubted {offset}")),
            Followed::Waiting(why) => self.write(format!("waiting: {why}")),
        }
    }
}

/// Follows the readings one after another until the last one's script is over.
fn follow(world: &World, readings: Vec<(Vec<i64>, Vec<Poll>)>) -> Vec<String> {
    let (diary, stop) = (Diary::default(), Stop::default());
    let following = Following {
        store: Arc::clone(&world.store) as Arc<dyn Store>,
        vault: Arc::clone(&world.vault) as Arc<dyn KekVault>,
        clock: Arc::new(FakeClock),
        runtime: world.runtime.handle().clone(),
        cache: Arc::new(diary.clone()),
        lease: Arc::new(diary.clone()),
        every: Duration::from_secs(15),
        marks: true,
        accepted_gaps: Vec::new(),
        observer: Box::new(diary.clone()),
    };
    let mut readings = readings.into_iter();
    let connect = || {
        let Some((ends, polls)) = readings.next() else {
            stop.request();
            return Err(TailError::Passing("the script is over".to_owned()));
        };
        let (ends, polls) = (ends.into_iter().map(Ok).collect(), polls.into());
        Ok(FakeTail { start: 0, ends, polls, position: 0, stop: stop.clone() })
    };
    following.run(connect, &stop);
    diary.lines()
}

#[test]
fn the_barrier_opens_when_all_that_was_there_is_read_and_applied() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let erased = a_receipt(Outcome::Erased).to_json();
    let script =
        vec![Poll::Record(0, erased.clone()), Poll::Reads(2), Poll::Record(2, erased), Poll::Reads(4)];
    let diary = follow(&world, vec![(vec![2], script)]);
    assert_eq!(
        diary,
        ["evict 0 to 1", "behind 0 false", "prove 1000", "open", "evict 0 to 1", "applied 2 after 0"]
    );
    assert_eq!((world.store.live_keys(), world.store.state().mark), (0, Some(0)));
}

#[test]
fn an_open_transaction_delays_the_barrier() {
    let world = World::of(FakeStore::default());
    assert_eq!(follow(&world, vec![(vec![3], vec![Poll::Reads(2), Poll::Reads(2)])]), [""; 0]);
    let diary = follow(&world, vec![(vec![3], vec![Poll::Reads(2), Poll::Reads(3)])]);
    assert_eq!(diary, ["prove 1000", "open"]);
}

#[test]
fn while_the_store_is_away_nothing_is_proven() {
    let world = World::of(FakeStore::default());
    // The mark is read once at the beginning.
    world.store.state().answers = Some(1);
    let diary = follow(&world, vec![(vec![0], vec![Poll::Reads(0)])]);
    assert!(
        diary.iter().all(|line| line == "waiting: the key store is unavailable: switched off by the test"),
        "{diary:?}"
    );
}

#[test]
fn a_broken_reading_forgets_all_and_begins_again_at_the_mark() {
    let world = World::of(FakeStore::default());
    let broken = Poll::Fails(TailError::Broken("OFFSET_OUT_OF_RANGE".to_owned()));
    let passing = Poll::Fails(TailError::Passing("BrokerTransportFailure".to_owned()));
    let refused = a_receipt(Outcome::Refused).to_json();
    let first = (vec![1], vec![Poll::Record(0, refused), passing, broken]);
    let diary = follow(&world, vec![first, (vec![2], vec![Poll::Reads(2)])]);
    assert_eq!(
        diary,
        [
            "prove 1000",
            "open",
            "waiting: the broker does not answer for the receipts topic: BrokerTransportFailure",
            "evict all",
            "waiting: the receipts topic cannot be read: OFFSET_OUT_OF_RANGE",
            "prove 1000",
            "open"
        ]
    );
    assert_eq!(world.store.state().mark, Some(0));
}

#[test]
fn a_record_that_is_no_receipt_forgets_all_and_a_newer_one_keeps_the_barrier_closed() {
    let world = World::of(FakeStore::default());
    let newer = || br#"{"version":2}"#.to_vec();
    let script = vec![Poll::Record(0, b"x".to_vec()), Poll::Record(1, newer())];
    let diary = follow(&world, vec![(vec![1], script)]);
    assert_eq!(diary, ["evict all", "doubted 0", "prove 1000", "open", "evict all", "doubted 1"]);
    let world = World::of(FakeStore::default());
    let diary = follow(&world, vec![(vec![1], vec![Poll::Record(0, newer())])]);
    assert!(diary.contains(&"evict all".to_owned()) && !diary.contains(&"open".to_owned()), "{diary:?}");
}

#[test]
fn what_is_not_due_in_the_store_keeps_the_barrier_closed() {
    let world = World::of(FakeStore::default().with_keys(HOUR.plus(9), 1));
    let early = Receipt { to: HOUR.plus(9), ..a_receipt(Outcome::Erased) }.to_json();
    let diary = follow(&world, vec![(vec![1], vec![Poll::Record(0, early)])]);
    assert!(!diary.contains(&"open".to_owned()), "{diary:?}");
    assert_eq!((world.store.live_keys(), world.store.state().mark), (1, None));
}

/// A reader checks the records of this script, which are the whole topic.
fn look(world: &World, values: Vec<Vec<u8>>) -> Result<(), NotFresh> {
    let end = i64::try_from(values.len()).expect("few");
    let polls = (0..).zip(values).map(|(offset, value)| Poll::Record(offset, value)).collect();
    let (ends, stop) = (VecDeque::from([Ok(end)]), Stop::default());
    let mut tail = FakeTail { start: 0, ends, polls, position: 0, stop };
    let (store, vault) = (Arc::clone(&world.store), Arc::clone(&world.vault));
    ensure_fresh(&mut tail, &*store, &(vault as Arc<dyn KekVault>), world.runtime.handle())
}

#[test]
fn who_only_reads_is_refused_a_store_that_has_what_a_receipt_says_is_gone_and_changes_nothing() {
    let (receipt, erased) = (a_receipt(Outcome::Refused).to_json(), a_receipt(Outcome::Erased).to_json());
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let looked = look(&world, vec![receipt.clone(), erased.clone()]);
    assert!(matches!(looked, Err(NotFresh::Behind { offset: 1 })), "{looked:?}");
    assert_eq!((world.store.live_keys(), world.store.state().mark), (1, None));
    assert!(look(&world, vec![receipt]).is_ok(), "what was refused is not gone");
    let elsewhere = World::of(FakeStore::default().with_keys(HOUR.plus(9), 1));
    assert!(look(&elsewhere, vec![erased]).is_ok(), "another hour's key is nobody's matter");
}

#[test]
fn who_only_reads_is_refused_what_nobody_understands_and_a_topic_that_is_not_the_stores() {
    let world = World::of(FakeStore::default());
    let newer = look(&world, vec![br#"{"version":2}"#.to_vec()]);
    assert!(matches!(newer, Err(NotFresh::Unknown { offset: 0, .. })), "{newer:?}");
    assert!(look(&world, vec![b"x".to_vec()]).is_ok(), "anybody can write a record that is not a receipt");
    world.store.state().mark = Some(7);
    assert!(matches!(look(&world, Vec::new()), Err(NotFresh::Gap(_))));
    let away = World::of(FakeStore::default());
    away.store.state().answers = Some(0);
    assert!(matches!(look(&away, Vec::new()), Err(NotFresh::Store(_))));
}

#[test]
fn what_an_incomplete_erasure_did_not_reach_is_not_missed() {
    let world = World::of(FakeStore::default().with_keys(HOUR, 1));
    let looked = |key_id| {
        let kek = KekId::of_due(Due::of(HOUR, meta(None).default_retention));
        let reached = ErasedKey { hour: HOUR, generation: Generation(0), key_id, kek };
        let partial = Receipt { keys: vec![reached], ..a_receipt(Outcome::Incomplete) };
        look(&world, vec![partial.to_json()])
    };
    assert!(matches!(looked(KeyId([0; 16])), Err(NotFresh::Behind { .. })), "it reached this one");
    assert!(looked(KeyId([0xEE; 16])).is_ok(), "and this one not");
}
