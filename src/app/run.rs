//! `hourseal run`: build everything, start the threads, wait for the stop or the first fault, end in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::lanes::{self, TopicSizes};
use super::observer::LaneObserver;
use super::starts::StoreStarts;
use super::watchdog::Watchdog;
use super::{Failure, Foundation, build};
use crate::config::Config;
use crate::edge::http::AdminPort;
use crate::edge::kafka::admin::{Role, TopicAdmin, TopicFacts};
use crate::edge::kafka::{ClientSettings, LaneIdentity};
use crate::keys::{Lease, Meta, Mint, Ring};
use crate::lane::Keys;
use crate::stream::{Halt, Pace, Pulse, StartLog, Stop};
use crate::telemetry::{Readiness, Telemetry, codes, error, info};

/// How long batches at hand may take to settle after the stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(25);

/// What the command line adds to the settings.
#[derive(Clone, Copy, Default, Debug)]
pub struct RunOptions {
    /// Go on at the log's start where committed offsets are missing or out of range.
    pub accept_gap: bool,
}

/// Runs until a signal or a fault.
///
/// # Errors
/// The first fault, with its exit code.
pub fn run(config: &Config, options: RunOptions) -> Result<(), Failure> {
    info!(codes::STARTED, version = env!("CARGO_PKG_VERSION"), instance = config.instance, "starting");
    let runtime = build::runtime()?;
    let foundation = build::open_foundation(config, build::system_clock(), true)?;
    let process = Process::new(config, options, &runtime, foundation)?;
    let telemetry = process.telemetry.clone();
    let port = runtime.block_on(AdminPort::open(config.admin.listen, telemetry));
    let port = port.map_err(|error| Failure::new(Failure::CONFIG, error.to_string()))?;
    let (stop_admin, mut stopped) = watch::channel(false);
    let admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
    let outcome = process.live(&runtime);
    // A closed channel stops the port as well.
    let _ = stop_admin.send(true);
    let _ = runtime.block_on(admin);
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

/// Everything that the threads share.
struct Process<'a> {
    config: &'a Config,
    options: RunOptions,
    foundation: Foundation,
    meta: Meta,
    facts: BTreeMap<Role, TopicFacts>,
    client: ClientSettings,
    telemetry: Telemetry,
    stop: Stop,
}

/// A thread's name and how it ended.
type Ended = (String, Result<(), Halt>);

impl<'a> Process<'a> {
    fn new(
        config: &'a Config,
        options: RunOptions,
        runtime: &Runtime,
        foundation: Foundation,
    ) -> Result<Self, Failure> {
        let meta = runtime.block_on(foundation.store.meta())?;
        info!(codes::STORE_OPENED, store = %meta.store, vault = %meta.vault, "key store opened");
        let client = build::client_settings(config);
        let facts = runtime.block_on(ready_topics(config, &client, &meta))?;
        let (telemetry, stop) = (Telemetry::new(), Stop::default());
        Ok(Self { config, options, foundation, meta, facts, client, telemetry, stop })
    }

    /// Starts the threads and waits for the first reason to end.
    fn live(&self, runtime: &Runtime) -> Result<(), Failure> {
        let (ended, mut endings) = mpsc::unbounded_channel();
        let threads = self.start(runtime, &ended)?;
        drop(ended);
        info!(codes::RUNNING, lanes = self.config.lane.count, "sealing");
        let fault = runtime.block_on(self.until_over(&mut endings))?;
        self.stop.request();
        let settled = join_within(threads, SHUTDOWN_LIMIT);
        match fault {
            Some((thread, halt)) => {
                error!(codes::GAVE_UP, thread, "{halt}");
                Err(halt.into())
            }
            None if settled => {
                info!(codes::STOPPED, "every batch is settled");
                Ok(())
            }
            None => Err(Failure::new(
                Failure::DEPENDENCY,
                format!("not every batch was settled within {} s", SHUTDOWN_LIMIT.as_secs()),
            )
            .hint("nothing is lost: the next start reads them again")),
        }
    }

    /// A signal gives `None`, a thread that halts its name and reason. A second signal ends the process at once, which
    /// exactly-once makes safe.
    async fn until_over(
        &self,
        endings: &mut mpsc::UnboundedReceiver<Ended>,
    ) -> Result<Option<(String, Halt)>, Failure> {
        let no_signals = |error: std::io::Error| Failure::new(Failure::BUG, format!("cannot hear signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let fault = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            Some((thread, Err(halt))) = endings.recv() => Some((thread, halt)),
        };
        info!(codes::STOPPING, "stopping: batches at hand are settled");
        self.stop.request();
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            error!(codes::STOPPED_AT_ONCE, "second signal: ending at once");
            std::process::exit(i32::from(Failure::DEPENDENCY));
        });
        Ok(fault)
    }

    fn start(
        &self,
        runtime: &Runtime,
        ended: &mpsc::UnboundedSender<Ended>,
    ) -> Result<Vec<JoinHandle<()>>, Failure> {
        let lease_ms = u64::try_from(self.config.ring.lease.as_millis()).unwrap_or(u64::MAX);
        let lease = Arc::new(Lease::new(lease_ms, self.meta.max_lease_ms));
        let mint = Mint::new(
            Arc::clone(&self.foundation.store),
            Arc::clone(&self.foundation.vault),
            self.config.retention.quarantine,
        );
        let clock = Arc::clone(&self.foundation.clock);
        let ring = Ring::new(mint, Arc::clone(&lease), clock, self.config.ring.capacity, runtime.handle().clone());
        let keys = Keys { ring: Arc::new(ring), store: Arc::clone(&self.foundation.store) };
        let mut threads = Vec::new();
        let mut pulses = Vec::new();
        for lane in 0..self.config.lane.count {
            let pulse = Pulse::default();
            pulses.push((format!("lane {lane}"), pulse.clone()));
            threads.push(self.start_lane(lane, runtime, keys.clone(), pulse, ended.clone())?);
        }
        threads.push(self.start_watchdog(pulses)?);
        Ok(threads)
    }

    fn start_lane(
        &self,
        lane: usize,
        runtime: &Runtime,
        keys: Keys,
        pulse: Pulse,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Result<JoinHandle<()>, Failure> {
        let sizes = self.sizes();
        let clock = Arc::clone(&self.foundation.clock);
        let condition = self.readiness().condition(format!("lane {lane}"));
        let observer = LaneObserver::new(lane, self.telemetry.lane(lane), condition, Arc::clone(&clock));
        let step = lanes::sealing_lane(self.config, sizes, keys, clock, Box::new(observer))?;
        let topics = &self.config.topics;
        let identity = self.identity(
            &self.config.kafka.group,
            lane.to_string(),
            &topics.input,
            vec![topics.output.clone(), topics.quarantine.clone()],
            (sizes.output_bytes.min(sizes.quarantine_bytes), sizes.output_bytes.max(sizes.quarantine_bytes)),
        );
        let pace =
            Pace { batch_time: self.config.lane.batch_time, batch_events: self.config.lane.batch_events };
        let starts = self.starts(runtime, &identity);
        let name = format!("lane {lane}");
        // The receiver is gone only when the process ends anyway.
        let tell = move |outcome| drop(ended.send((name, outcome)));
        lanes::spawn(identity, starts, pace, self.stop.clone(), pulse, step, tell).map_err(no_thread)
    }

    fn start_watchdog(&self, pulses: Vec<(String, Pulse)>) -> Result<JoinHandle<()>, Failure> {
        let watchdog = Watchdog { pulses, condition: self.readiness().condition("broker answers") };
        let (stop, client) = (self.stop.clone(), self.client.clone());
        let watch = move || {
            let answers = || crate::edge::kafka::answers(&client);
            watchdog.watch(&stop, answers, |lane| {
                error!(codes::WATCHDOG, lane, "a call is stuck although a broker answers: ending at once");
                std::process::exit(i32::from(Failure::DEPENDENCY));
            });
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map_err(no_thread)
    }

    fn identity(
        &self,
        group: &str,
        lane: String,
        input: &str,
        outputs: Vec<String>,
        (batch_bytes, message_bytes): (usize, usize),
    ) -> LaneIdentity {
        LaneIdentity {
            settings: self.client.clone(),
            group: group.to_owned(),
            instance: self.config.instance.clone(),
            lane,
            input: input.to_owned(),
            outputs,
            batch_bytes,
            message_bytes,
            commit_metadata: format!("hourseal/1 store={}", self.meta.store),
            accept_gap: self.options.accept_gap,
        }
    }

    fn starts(&self, runtime: &Runtime, identity: &LaneIdentity) -> Arc<dyn StartLog> {
        let store = Arc::clone(&self.foundation.store);
        Arc::new(StoreStarts::new(store, runtime.handle().clone(), &identity.group, &identity.input))
    }

    fn sizes(&self) -> TopicSizes {
        let bytes = |role| self.facts.get(&role).map_or(0, TopicFacts::max_message_bytes);
        let bytes = |role| usize::try_from(bytes(role)).unwrap_or(usize::MAX);
        let partitions = self.facts.get(&Role::Output).map_or(0, |facts| facts.partitions);
        TopicSizes {
            output_partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            output_bytes: bytes(Role::Output),
            quarantine_bytes: bytes(Role::Quarantine),
        }
    }

    fn readiness(&self) -> &Readiness {
        &self.telemetry.readiness
    }
}

/// Creates what is missing where that is wanted, and refuses what breaks a promise.
async fn ready_topics(
    config: &Config,
    client: &ClientSettings,
    meta: &Meta,
) -> Result<BTreeMap<Role, TopicFacts>, Failure> {
    let plan = build::topic_plan(config, meta.default_retention.max(config.retention.quarantine));
    let admin = TopicAdmin::new(client)?;
    if config.topics.create {
        let created = admin.create(&plan, None).await?;
        if !created.is_empty() {
            info!(codes::TOPICS_CREATED, topics = created.join(" "), "topics created");
        }
    }
    Ok(admin.inspect(&plan).await?.accept(&plan)?)
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(Failure::DEPENDENCY, format!("cannot start a thread: {error}"))
}

/// Whether every thread ended within the limit.
fn join_within(threads: Vec<JoinHandle<()>>, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while threads.iter().any(|thread| !thread.is_finished()) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    threads.into_iter().all(|thread| thread.join().is_ok())
}
