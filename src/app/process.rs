//! What the threads of a process share, and how they are started: for `run` and for the demo alike.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::barrier::Barrier;
use super::calling::{ControlPost, Seat};
use super::caretaker::Caretaker;
use super::ending::Ending;
use super::failsafe::FailSafe;
use super::forgetting::FollowingObserver;
use super::lanes::{self, LaneThread, TopicSizes};
use super::logging::start_logging;
use super::observer::LaneObserver;
use super::preminting::Preminting;
use super::run::RunOptions;
use super::starts::StoreStarts;
use super::sweeping::Sweeping;
use super::threads::{Ended, RunningLane, Threads};
use super::topics::ready_topics;
use super::watchdog::Watchdog;
use super::{Failure, Foundation, Opening, build};
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, LaneIdentity, ReceiptTail};
use crate::forget::{FollowObserver, Following};
use crate::keys::{Lease, Meta, Mint, Premint, Ring};
use crate::lane::{Keys, Observer, Outputs};
use crate::stream::{Pace, Pulse, Stop};
use crate::telemetry::{Telemetry, codes, error, info};

/// Everything that the threads share.
pub(super) struct Process {
    pub(super) config: Config,
    options: RunOptions,
    pub(super) foundation: Foundation,
    meta: Meta,
    pub(super) sizes: TopicSizes,
    pub(super) client: ClientSettings,
    pub(super) telemetry: Telemetry,
    pub(super) stop: Stop,
    /// Opened when every receipt of the beginning has been applied.
    pub(super) barrier: Barrier,
}

impl Process {
    /// Opens store and vault (`create`: makes what is missing of them), asks the store who it is, and makes the topics ready.
    pub(super) fn for_run(
        config: &Config,
        options: RunOptions,
        runtime: &Runtime,
        create: bool,
    ) -> Result<Self, Failure> {
        let telemetry = Telemetry::new();
        let (clock, metrics) = (build::system_clock(), telemetry.store());
        let opening = Opening { clock, create, runtime: runtime.handle(), metrics };
        let foundation = build::open_foundation(config, opening)?;
        let meta = runtime.block_on(foundation.store.meta())?;
        info!(codes::STORE_OPENED, store = %meta.store, vault = %meta.vault, "key store opened");
        let client = build::client_settings(config);
        let sizes = runtime.block_on(ready_topics(config, &client, &meta))?;
        Ok(Self::new(config, client, options, foundation, meta, sizes, telemetry))
    }

    /// The demo's broker has neither topic settings nor a way to ask for them.
    pub(super) fn for_demo(
        config: &Config,
        runtime: &Runtime,
        foundation: Foundation,
        output_partitions: i32,
    ) -> Result<Self, Failure> {
        let meta = runtime.block_on(foundation.store.meta())?;
        let bytes = 1 << 20;
        let sizes = TopicSizes {
            outputs: Outputs { partitions: output_partitions, classes: Vec::new() },
            output_bytes: bytes,
            quarantine_bytes: bytes,
            receipts_bytes: bytes,
        };
        let client = build::client_settings(config);
        let (options, telemetry) = (RunOptions::default(), Telemetry::new());
        Ok(Self::new(config, client, options, foundation, meta, sizes, telemetry))
    }

    fn new(
        config: &Config,
        client: ClientSettings,
        options: RunOptions,
        foundation: Foundation,
        meta: Meta,
        sizes: TopicSizes,
        telemetry: Telemetry,
    ) -> Self {
        let config = config.clone();
        let stop = Stop::default();
        Self {
            config,
            options,
            foundation,
            meta,
            sizes,
            client,
            telemetry,
            stop,
            barrier: Barrier::default(),
        }
    }

    /// Starts every thread; `ear` makes a further listener for each lane.
    pub(super) fn start(
        &self,
        runtime: &Runtime,
        ear: &dyn Fn(usize) -> Option<Box<dyn Observer>>,
    ) -> Result<Threads, Failure> {
        let (ended, endings) = mpsc::unbounded_channel();
        let (keys, lease) = self.keys(runtime);
        let seat = Seat::default();
        let mut lanes = Vec::new();
        for lane in 0..self.config.lane.count {
            let (name, pulse) = (format!("lane {lane}"), Pulse::default());
            let thread =
                self.start_lane(lane, runtime, keys.clone(), pulse.clone(), ear(lane), ended.clone())?;
            lanes.push(RunningLane { name, pulse, thread });
        }
        if self.config.control.execute {
            let (name, pulse) = ("the executor".to_owned(), Pulse::default());
            let thread = self.start_executor(runtime, seat.clone(), pulse.clone(), ended)?;
            lanes.push(RunningLane { name, pulse, thread });
        }
        let pulses = lanes.iter().map(|lane| (lane.name.clone(), lane.pulse.clone())).collect();
        let mut handles = vec![self.start_watchdog(pulses)?];
        handles.push(self.start_following(runtime, &keys.ring, lease, self.following_observer())?);
        handles.extend(self.start_logging()?);
        if !self.config.ring.premint.is_zero() {
            handles.push(self.start_preminting(&keys.ring)?);
        }
        handles.extend(self.start_canary(runtime, &keys.ring)?);
        let caretaker = Caretaker::new(&self.foundation, keys.ring, &self.telemetry);
        let mut tasks = vec![runtime.spawn(caretaker.watch(self.stop.clone())).abort_handle()];
        if self.config.control.execute {
            let (foundation, barrier) = (self.foundation.clone(), self.barrier.clone());
            let failsafe = FailSafe { foundation, metrics: self.telemetry.keys(), barrier };
            tasks.push(runtime.spawn(failsafe.watch(self.stop.clone())).abort_handle());
        }
        if self.config.control.execute && !self.config.retention.sweep.is_zero() {
            tasks.push(runtime.spawn(self.sweeping(seat.clone()).watch(self.stop.clone())).abort_handle());
        }
        if self.config.control.execute {
            tasks.push(runtime.spawn(self.scrubbing(seat.clone()).watch()).abort_handle());
        }
        if self.config.control.execute && !self.config.reclaim.every.is_zero() {
            tasks.push(runtime.spawn(self.reclaiming(seat.clone()).watch(self.stop.clone())).abort_handle());
        }
        if self.config.control.execute && !self.config.kek.destroy.is_zero() {
            tasks.push(runtime.spawn(self.ending(seat).watch(self.stop.clone())).abort_handle());
        }
        Ok(Threads { lanes, handles, tasks, endings })
    }

    pub(super) fn keys(&self, runtime: &Runtime) -> (Keys, Arc<Lease>) {
        let lease_ms = u64::try_from(self.config.ring.lease.as_millis()).unwrap_or(u64::MAX);
        let lease = Arc::new(Lease::new(lease_ms, self.meta.max_lease_ms));
        let Foundation { store, vault, clock } = &self.foundation;
        let mint = Mint::new(Arc::clone(store), Arc::clone(vault), self.config.retention.quarantine);
        let capacity = self.config.ring.capacity;
        let ring = Ring::new(mint, Arc::clone(&lease), Arc::clone(clock), capacity, runtime.handle().clone());
        (Keys { ring: Arc::new(ring), store: Arc::clone(store) }, lease)
    }

    fn start_lane(
        &self,
        lane: usize,
        runtime: &Runtime,
        keys: Keys,
        pulse: Pulse,
        ear: Option<Box<dyn Observer>>,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Result<JoinHandle<()>, Failure> {
        let clock = Arc::clone(&self.foundation.clock);
        let condition = self.telemetry.readiness.condition(format!("lane {lane}"));
        let observer = LaneObserver::new(lane, self.telemetry.lane(lane), condition, Arc::clone(&clock), ear);
        let step = lanes::sealing_lane(&self.config, &self.sizes, keys, clock, Box::new(observer))?;
        let identity =
            self.sealing_identity(&self.config.kafka.group, lane.to_string(), &self.config.topics.input);
        let pace =
            Pace { batch_time: self.config.lane.batch_time, batch_events: self.config.lane.batch_events };
        let name = format!("lane {lane}");
        // The receiver is gone only when the process ends anyway.
        let tell = move |outcome| drop(ended.send((name, outcome)));
        self.thread(runtime, identity, pace, pulse).spawn(step, tell).map_err(no_thread)
    }

    fn sweeping(&self, seat: Seat) -> Sweeping {
        Sweeping {
            foundation: self.foundation.clone(),
            metrics: self.telemetry.forget(),
            post: self.control_post(),
            every: self.config.retention.sweep,
            seat,
            barrier: self.barrier.clone(),
        }
    }

    fn ending(&self, seat: Seat) -> Ending {
        Ending {
            foundation: self.foundation.clone(),
            metrics: self.telemetry.forget(),
            post: self.control_post(),
            every: self.config.kek.destroy,
            seat,
            barrier: self.barrier.clone(),
        }
    }

    fn control_post(&self) -> ControlPost {
        ControlPost { client: self.client.clone(), topic: self.config.topics.control.clone() }
    }

    /// Opens the barrier, and tells metrics, readiness and log.
    pub(super) fn following_observer(&self) -> Box<dyn FollowObserver> {
        let condition = self.telemetry.readiness.condition("receipts read");
        Box::new(FollowingObserver::new(&self.telemetry, condition, self.barrier.clone()))
    }

    pub(super) fn start_following(
        &self,
        runtime: &Runtime,
        ring: &Arc<Ring>,
        lease: Arc<Lease>,
        observer: Box<dyn FollowObserver>,
    ) -> Result<JoinHandle<()>, Failure> {
        // A quarter of the lease, and often enough that `/readyz` soon says when a broker is away.
        let every = Duration::from_millis((lease.length_ms() / 4).clamp(250, 5_000));
        let following = Following {
            store: Arc::clone(&self.foundation.store),
            vault: Arc::clone(&self.foundation.vault),
            clock: Arc::clone(&self.foundation.clock),
            runtime: runtime.handle().clone(),
            cache: Arc::<Ring>::clone(ring),
            lease,
            every,
            marks: self.config.control.execute,
            accept_gap: self.options.accept_gap,
            observer,
        };
        let (client, topic, stop) =
            (self.client.clone(), self.config.topics.receipts.clone(), self.stop.clone());
        let follow = move || following.run(|| ReceiptTail::connect(&client, &topic), &stop);
        std::thread::Builder::new().name("receipts".to_owned()).spawn(follow).map_err(no_thread)
    }

    fn start_logging(&self) -> Result<Option<JoinHandle<()>>, Failure> {
        let clock = Arc::clone(&self.foundation.clock);
        start_logging(&self.config, self.meta.store, &self.client, clock, &self.telemetry, &self.stop)
    }

    fn start_preminting(&self, ring: &Ring) -> Result<JoinHandle<()>, Failure> {
        let premint = Premint::new(ring.clone(), self.config.ring.premint);
        let preminting = Preminting::new(premint, self.telemetry.keys());
        let stop = self.stop.clone();
        let run = move || preminting.run(&stop);
        std::thread::Builder::new().name("premint".to_owned()).spawn(run).map_err(no_thread)
    }

    fn start_watchdog(&self, pulses: Vec<(String, Pulse)>) -> Result<JoinHandle<()>, Failure> {
        let condition = self.telemetry.readiness.condition("broker answers");
        let watchdog = Watchdog { pulses, condition };
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

    /// Of who writes to output and quarantine.
    pub(super) fn sealing_identity(&self, group: &str, lane: String, input: &str) -> LaneIdentity {
        let topics = &self.config.topics;
        let (output, quarantine) = (self.sizes.output_bytes, self.sizes.quarantine_bytes);
        LaneIdentity {
            // As `lane::Sealed` counts them.
            outputs: [&topics.output, &topics.quarantine]
                .into_iter()
                .chain(topics.class.values())
                .cloned()
                .collect(),
            batch_bytes: output.min(quarantine),
            message_bytes: output.max(quarantine),
            ..self.identity(group, lane, input)
        }
    }

    pub(super) fn identity(&self, group: &str, lane: String, input: &str) -> LaneIdentity {
        LaneIdentity {
            settings: self.client.clone(),
            group: group.to_owned(),
            instance: self.config.instance.clone(),
            lane,
            input: input.to_owned(),
            outputs: Vec::new(),
            batch_bytes: 1 << 20,
            message_bytes: 1 << 20,
            commit_metadata: format!("hourseal/1 store={}", self.meta.store),
            accept_gap: self.options.accept_gap,
        }
    }

    pub(super) fn thread(
        &self,
        runtime: &Runtime,
        identity: LaneIdentity,
        pace: Pace,
        pulse: Pulse,
    ) -> LaneThread {
        let store = Arc::clone(&self.foundation.store);
        let starts = StoreStarts::new(store, runtime.handle().clone(), &identity.group, &identity.input);
        let (stop, barrier) = (self.stop.clone(), self.barrier.clone());
        LaneThread { identity, starts: Arc::new(starts), pace, stop, pulse, barrier }
    }
}

pub(super) fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(Failure::DEPENDENCY, format!("cannot start a thread: {error}"))
}
