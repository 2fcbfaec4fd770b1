use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A duty that fails or panics as the test asks, and counts.
struct Recorded<const AFTER_RECEIPTS: bool, const LEADER: bool> {
    panics: bool,
    turns: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
}

impl<const AFTER_RECEIPTS: bool, const LEADER: bool> Duty for Recorded<AFTER_RECEIPTS, LEADER> {
    const NAME: &'static str = "recorded";
    const WHO: Who = if LEADER { Who::Leader } else { Who::Everyone };
    const AFTER_RECEIPTS: bool = AFTER_RECEIPTS;

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        assert!(!self.panics, "as the test asks");
        match self.turns.fetch_add(1, Ordering::Relaxed) {
            2 => Ok(Duration::from_secs(1)),
            _ => Err("as the test asks".to_owned()),
        }
    }

    fn log_failure(&self, _why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

struct World {
    duties: Duties,
    turns: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
}

impl World {
    fn of<const AFTER_RECEIPTS: bool, const LEADER: bool>(panics: bool) -> Self {
        let (turns, failures) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let mut duties = Duties {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            runtime: Handle::current(),
            surroundings: Surroundings {
                leadership: Leadership::default(),
                barrier: Barrier::default(),
                stop: Stop::default(),
            },
        };
        let (turns_of, failures_of) = (Arc::clone(&turns), Arc::clone(&failures));
        duties.start(Recorded::<AFTER_RECEIPTS, LEADER> { panics, turns: turns_of, failures: failures_of });
        Self { duties, turns, failures }
    }

    /// Lets the virtual time of the runtime pass. Returns the turns and the logged failures.
    async fn pass(&self, milliseconds: u64) -> (u32, u32) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        (self.turns.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_duty_logs_the_first_failure_of_several_and_goes_on() {
    let world = World::of::<false, false>(false);
    assert_eq!(world.pass(1_500).await, (2, 1), "two failed turns");
    assert_eq!(world.pass(1_000).await, (3, 1), "one that did not");
    assert_eq!(world.pass(2_000).await, (5, 2), "two that failed again");
}

#[tokio::test(start_paused = true)]
async fn a_leaders_duty_waits_for_leadership() {
    let world = World::of::<false, true>(false);
    assert_eq!(world.pass(5_000).await.0, 0);
    world.duties.surroundings.leadership.set_held(true);
    assert_eq!(world.pass(100).await.0, 1, "at once");
    world.duties.surroundings.leadership.set_held(false);
    assert_eq!(world.pass(5_000).await.0, 1);
}

#[tokio::test]
async fn a_duty_waits_until_every_receipt_was_read() {
    let world = World::of::<true, false>(false);
    assert_eq!(world.pass(300).await.0, 0);
    world.duties.surroundings.barrier.open();
    while world.pass(10).await.0 == 0 {}
}

#[tokio::test]
async fn a_duty_that_panics_is_reported_by_its_name() {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let _watch = World::of::<false, false>(true).duties.watch(ended);
    assert_eq!(endings.recv().await, Some(("recorded".to_owned(), Err(Halt::Panicked))));
}

#[tokio::test(start_paused = true)]
async fn leadership_that_was_gained_during_a_turn_ends_the_rest() {
    let leadership = Leadership::default();
    let seen = leadership.now();
    leadership.set_held(true);
    leadership.rest(seen, Duration::from_secs(3_600), false).await;
    let begun = tokio::time::Instant::now();
    let seen = leadership.now();
    leadership.swept();
    leadership.rest(seen, Duration::from_secs(60), false).await;
    assert!(begun.elapsed() >= Duration::from_secs(60), "a sweep wakes only duties that ask for it");
    leadership.rest(seen, Duration::from_secs(3_600), true).await;
    assert!(begun.elapsed() < Duration::from_secs(3_600));
}
