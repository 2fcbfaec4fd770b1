//! One round: a step runs over the whole input. It measures the CPU time of this process, wall-clock
//! time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hourseal::edge::kafka::{LaneConnector, LaneIdentity};
use hourseal::lane::MaxMessageBytes;
use hourseal::model::Started;
use hourseal::stream::{Board, Engine, Gaps, Pace, Parking, Pulse, StartLog, StartRules, Step, Stop};

use crate::broker::Broker;

pub struct Figures {
    pub events_per_second: f64,
    pub cpu_micros: f64,
    pub rss_mib: u64,
}

/// A round with a fresh group and output topic.
pub struct Round<'b> {
    broker: &'b Broker,
    input: String,
    name: String,
    committed: Arc<AtomicU64>,
}

struct NothingStarted;

impl StartLog for NothingStarted {
    fn started(&self) -> Result<Vec<Started>, String> {
        Ok(Vec::new())
    }

    fn mark_started(&self, _partitions: &[Started]) -> Result<(), String> {
        Ok(())
    }
}

impl<'b> Round<'b> {
    pub fn new(broker: &'b Broker, input: &str, what: &str) -> Self {
        let name = broker.name(what);
        broker.create(&name);
        Self { broker, input: input.to_owned(), name, committed: Arc::default() }
    }

    pub fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.committed)
    }

    pub fn input(&self) -> &str {
        &self.input
    }

    pub fn output(&self) -> &str {
        &self.name
    }

    /// Starts the engine on its own thread.
    pub fn start<S: Step + Send + 'static>(&self, mut step: S, stop: Stop) -> std::thread::JoinHandle<()> {
        let identity = LaneIdentity {
            settings: self.broker.settings.clone(),
            group: self.name.clone(),
            instance: "bench".to_owned(),
            lane: "0".to_owned(),
            input: self.input.clone(),
            outputs: vec![self.name.clone(), self.name.clone()],
            max_message_bytes: vec![MaxMessageBytes::new(1 << 20)],
            placements: Vec::new(),
            commit_metadata: String::new(),
            mirrors: Vec::new(),
        };
        let rules = StartRules {
            input: identity.input.clone(),
            store: identity.commit_metadata.clone(),
            gaps: Gaps::These(Vec::new()),
        };
        std::thread::spawn(move || {
            let connector = LaneConnector::new(identity, Arc::new(NothingStarted));
            let pace = Pace { batch_time: Duration::from_millis(100), batch_events: 50_000 };
            let starts: Arc<dyn StartLog> = Arc::new(NothingStarted);
            let engine = Engine {
                connector: &connector,
                pace,
                stop,
                pulse: Pulse::default(),
                starts,
                rules,
                parking: Parking::Halt,
                board: Board::default(),
            };
            engine.run(&mut step).expect("a broker that stays");
        })
    }

    /// Runs until `events` are committed. The clock starts at the first commit, so the time to
    /// join does not count.
    pub fn run<S: Step + Send + 'static>(&self, step: S, events: u64) -> Figures {
        let stop = Stop::default();
        let thread = self.start(step, stop.clone());
        let (before, cpu_before, since) = self.wait_for(1);
        let (after, cpu_after, until) = self.wait_for(events);
        stop.request();
        thread.join().expect("a lane that ends");
        let counted = (after - before).max(1) as f64;
        Figures {
            events_per_second: counted / until.duration_since(since).as_secs_f64(),
            cpu_micros: (cpu_after - cpu_before).as_secs_f64() * 1e6 / counted,
            rss_mib: rss_mib(),
        }
    }

    fn wait_for(&self, events: u64) -> (u64, Duration, Instant) {
        loop {
            let committed = self.committed.load(Ordering::Relaxed);
            if committed >= events {
                return (committed, cpu_time(), Instant::now());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Returns the user and system time of the process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
