//! The environment of the demo: broker, store, vault, and the threads of `run`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::clock::DemoClock;
use crate::app::process::Process;
use crate::app::threads::Threads;
use crate::app::{Failure, Opening, build};
use crate::config::{Config, Layers};
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::mock::DemoCluster;
use crate::lane::{Observer, Tally};
use crate::model::{Hour, Millis};
use crate::stream::{Event, Stop};
use crate::telemetry::Registry;

/// Partitions of input and output.
const PARTITIONS: i32 = 4;
/// Retention of the demo's customers, in hours: the first hours become due during the demo.
pub(super) const RETENTION_HOURS: u32 = 2;
/// Longest wait for anything that the demo expects.
const PATIENCE: Duration = Duration::from_secs(45);

/// The counts and faults that the lane reports.
#[derive(Default)]
pub(super) struct Counts {
    committed: AtomicU64,
    quarantined: AtomicU64,
    fault: Mutex<Option<String>>,
}

/// Observes the lane of `run` for the demo.
struct DemoObserver(Arc<Counts>);

impl Observer for DemoObserver {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally) {
        match event {
            Event::Committed { .. } => {
                self.0.committed.fetch_add(tally.sealed, Ordering::Relaxed);
                self.0.quarantined.fetch_add(tally.quarantined.values().sum(), Ordering::Relaxed);
            }
            Event::Reincarnated(why, _) => self.0.fail(why),
            Event::Rejoined(error) => self.0.fail(&error.to_string()),
            Event::Aborted(error) => self.0.fail(&error.to_string()),
            Event::Parked { partition, why } => self.0.fail(&why.text(*partition)),
            Event::Assigned(_)
            | Event::Waiting(_)
            | Event::Resumed
            | Event::Flows(_)
            | Event::GapAccepted { .. }
            | Event::ForeignMembers(_)
            | Event::Lag(_) => {}
        }
    }
}

impl Counts {
    /// The mock isolates nothing: records that were aborted, or sent by an older producer, would be
    /// duplicates.
    fn fail(&self, why: &str) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

/// Broker, keys and threads, and the clock that moves them.
pub(super) struct Stage {
    pub(super) config: Config,
    pub(super) clock: Arc<DemoClock>,
    pub(super) process: Process,
    pub(super) runtime: Runtime,
    pub(super) counts: Arc<Counts>,
    pub(super) first_hour: Hour,
    /// The person's stop.
    stop: Stop,
    threads: Threads,
    _cluster: DemoCluster,
}

impl Stage {
    pub(super) fn build(folder: &Path, stop: Stop) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Failure::BUG, error.to_string());
        let now = build::system_clock().now();
        let first_hour = Hour::containing(now.plus(-12 * 3_600_000))
            .ok_or_else(|| Failure::new(Failure::DEPENDENCY, "the system's clock is before 1970"))?;
        let clock = Arc::new(DemoClock::at(first_hour.start()));
        let mut config = settings(folder, "127.0.0.1:0")?;
        let topics = &config.topics;
        let cluster = DemoCluster::start(&[
            (&topics.input, PARTITIONS),
            (&topics.output, PARTITIONS),
            (&topics.quarantine, 1),
            (&topics.control, 1),
            (&topics.receipts, 1),
        ])
        .map_err(|error| failed(&error))?;
        config.kafka.bootstrap = cluster.bootstrap();
        let runtime = build::runtime()?;
        let opening = Opening {
            clock: Arc::<DemoClock>::clone(&clock),
            create: true,
            runtime: runtime.handle(),
            registry: &Registry::default(),
            waits: &|_| (),
            stop: &stop,
        };
        let foundation = build::open_foundation(&config, opening)?;
        let process = Process::for_demo(&config, runtime.handle(), foundation, PARTITIONS)?;
        let counts = Arc::new(Counts::default());
        let listener = Arc::clone(&counts);
        let threads =
            process.start(runtime.handle(), &|_| Some(Box::new(DemoObserver(Arc::clone(&listener)))))?;
        Ok(Self { config, clock, process, runtime, counts, first_hour, stop, threads, _cluster: cluster })
    }

    pub(super) fn client(&self) -> &ClientSettings {
        &self.process.client
    }

    pub(super) fn committed(&self) -> u64 {
        self.counts.committed.load(Ordering::Relaxed)
    }

    /// Waits until the lane has committed `wanted` events in total, quarantined ones included.
    pub(super) fn until_committed(&self, wanted: u64, report: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        self.until(&format!("the lane to commit {wanted} events"), || {
            let committed = self.committed() + self.counts.quarantined.load(Ordering::Relaxed);
            report(committed);
            committed >= wanted
        })
    }

    /// # Errors
    /// If a person has stopped the demo.
    pub(super) fn goes_on(&self) -> Result<(), Failure> {
        if self.stop.requested() {
            return Err(Failure::new(Failure::DEPENDENCY, "a signal has ended the demo before its end"));
        }
        Ok(())
    }

    /// Waits for a condition. Fails if the lane reports a fault, or if a person has stopped the demo.
    pub(super) fn until(&self, what: &str, mut met: impl FnMut() -> bool) -> Result<(), Failure> {
        let since = Instant::now();
        while !met() {
            self.goes_on()?;
            let fault = self.counts.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(why) = fault {
                let message = format!("the lane had to restart ({why}), which the demo's broker cannot undo");
                return Err(Failure::new(Failure::DEPENDENCY, message).hint("run the demo again"));
            }
            if since.elapsed() > PATIENCE {
                return Err(Failure::new(
                    Failure::DEPENDENCY,
                    format!("waited {} s for {what}", PATIENCE.as_secs()),
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// A time within an hour of the demo.
    pub(super) fn time(&self, hour: u32, minute: i64) -> Millis {
        self.first_hour.plus(hour).start().plus(minute * 60_000)
    }

    pub(super) fn close(self) {
        // It does not matter whether the last batch was settled: the broker ends with the demo.
        self.process.stop.request();
        let _ = self.threads.settle();
        self.runtime.shutdown_timeout(Duration::from_secs(2));
    }
}

/// The demo's settings. Also writes them to its folder, for `open` and `keys`.
fn settings(folder: &Path, bootstrap: &str) -> Result<Config, Failure> {
    let at = |name: &str| folder.join(name).display().to_string();
    let values = [
        ("instance", "demo".to_owned()),
        ("kafka.bootstrap", bootstrap.to_owned()),
        ("lane.count", "1".to_owned()),
        ("store.path", at("data/keys.db")),
        ("kek.path", at("kek")),
        ("kek.root_key_file", at("root.key")),
        ("retention.default", format!("{RETENTION_HOURS}h")),
        ("control.require_signatures", "false".to_owned()),
        // The demo's clock jumps from hour to hour.
        ("ring.premint", "0s".to_owned()),
        ("retention.sweep", "0s".to_owned()),
        ("kek.destroy", "0s".to_owned()),
    ];
    write_settings(folder, &values)?;
    let flags = values.map(|(key, value)| ("demo".to_owned(), format!("{key}={value}")));
    let layers = Layers { flags: flags.to_vec(), host: "demo".to_owned(), cores: 1, ..Layers::default() };
    Config::load(&layers).map_err(|error| Failure::new(Failure::BUG, error.to_string()))
}

fn write_settings(folder: &Path, values: &[(&str, String)]) -> Result<(), Failure> {
    let line = |(key, value): &(&str, String)| format!("{key} = {value:?}\n");
    let text: String = values.iter().filter(|(key, _)| *key != "kafka.bootstrap").map(line).collect();
    std::fs::write(folder.join("hourseal.toml"), text)
        .map_err(|error| Failure::io("cannot write into the demo's folder", folder, &error))
}
