//! The state that the threads of a process share, and their start: the same for `run` and for the demo.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::barrier::Barrier;
use super::basis::Basis;
use super::duty::Duties;
use super::forgetting::FollowingObserver;
use super::lanes::{self, LaneThread};
use super::leadership::Leadership;
use super::metrics::Metrics;
use super::receipt_log::receipt_log;
use super::run::RunOptions;
use super::sizes::TopicSizes;
use super::starts::StoreStarts;
use super::supervision::Heart;
use super::threads::Threads;
use super::topics::ready_topics;
use super::watchdog::{Broker, Watchdog};
use super::{Failure, Foundation, build};
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, LaneIdentity, ReceiptTail};
use crate::forget::log::NewestCheckpoint;
use crate::forget::{FollowObserver, Following};
use crate::keys::{Lease, Meta, Mint, Ring};
use crate::lane::{
    GroupView, Keys, LaneObserver, LaneReport, Observer, Outputs, ParkedView, Partitioner, Placement, Reads,
};
use crate::stream::{Board, Gaps, Pace, Parking, Pulse, Stop};
use crate::telemetry::{Telemetry, codes, end_log, error, info};

/// The state that the threads share.
pub(super) struct Process {
    pub(super) config: Config,
    options: RunOptions,
    pub(super) foundation: Foundation,
    pub(super) meta: Meta,
    pub(super) sizes: TopicSizes,
    /// Whether the broker can report the topics' settings. The demo's broker cannot.
    pub(super) checks_topics: bool,
    pub(super) client: ClientSettings,
    pub(super) telemetry: Telemetry,
    pub(super) metrics: Metrics,
    /// The newest checkpoint, for `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
    heart: Heart,
    /// Opens when every receipt that existed at the start has been applied.
    pub(super) barrier: Barrier,
}

/// The views that the lanes share.
#[derive(Clone)]
struct Views {
    parked: Arc<ParkedView>,
    group: Arc<GroupView>,
}

impl Process {
    /// Opens store and vault (`create`: creates their missing parts), reads the store's identity, and
    /// prepares the topics.
    pub(super) fn for_run(
        config: &Config,
        options: RunOptions,
        basis: Basis,
        runtime: &Handle,
        create: bool,
    ) -> Result<Self, Failure> {
        let foundation = basis.open(config, runtime, create)?;
        let meta = runtime.block_on(foundation.store.meta())?;
        info!(codes::STORE_OPENED, store = %meta.store, vault = %meta.vault, "key store opened");
        basis.starting.at("the topics are being checked");
        let sizes = runtime.block_on(ready_topics(config, &basis.client, &*foundation.store, &meta))?;
        let process = Self::new(config, options, basis, foundation, meta, sizes);
        Ok(Self { checks_topics: true, ..process })
    }

    /// Builds the demo's process. The demo's broker has no topic settings and cannot report any, so the sizes
    /// are fixed.
    pub(super) fn for_demo(
        config: &Config,
        runtime: &Handle,
        foundation: Foundation,
        output_partitions: i32,
    ) -> Result<Self, Failure> {
        let meta = runtime.block_on(foundation.store.meta())?;
        let outputs = Outputs { output: Placement::new(output_partitions), classes: Vec::new() };
        let sizes = TopicSizes::new(outputs, 1 << 20);
        let basis = Basis::of(build::client_settings(config));
        Ok(Self::new(config, RunOptions::default(), basis, foundation, meta, sizes))
    }

    fn new(
        config: &Config,
        options: RunOptions,
        basis: Basis,
        foundation: Foundation,
        meta: Meta,
        sizes: TopicSizes,
    ) -> Self {
        let config = config.clone();
        let Basis { client, telemetry, newest, stop, heart, .. } = basis;
        let metrics = Metrics::register(&telemetry.registry, foundation.clock.now());
        Self {
            config,
            options,
            foundation,
            meta,
            sizes,
            checks_topics: false,
            client,
            telemetry,
            metrics,
            newest,
            stop,
            heart,
            barrier: Barrier::default(),
        }
    }

    /// Starts every thread. `listener` returns an additional observer for each lane.
    pub(super) fn start(
        &self,
        runtime: &Handle,
        listener: &dyn Fn(usize) -> Option<Box<dyn Observer>>,
    ) -> Result<Threads, Failure> {
        let (keys, lease) = self.keys(runtime);
        let leadership = Leadership::default();
        let mut threads = Threads::default();
        let views = self.views();
        for lane in 0..self.config.lane.count {
            self.start_lane(&mut threads, runtime, lane, (keys.clone(), views.clone()), listener(lane))?;
        }
        if self.config.control.execute {
            self.start_executor(&mut threads, runtime, leadership.clone())?;
        }
        threads.start("watchdog", self.watchdog(threads.pulses()))?;
        threads.start("receipts", self.following(runtime, &keys.ring, lease, self.following_observer()))?;
        if let Some(log) = receipt_log(self)? {
            threads.start("receipt log", log)?;
        }
        threads.watch(Duties::of(self, runtime, &keys.ring, &leadership));
        Ok(threads)
    }

    fn views(&self) -> Views {
        let readiness = &self.telemetry.readiness;
        let parked = ParkedView::new(&self.config.topics.input, readiness.clone());
        let groups = self.metrics.groups.clone();
        let group = GroupView::new(&self.config.kafka.group, Reads::Input, groups, readiness);
        Views { parked: Arc::new(parked), group: Arc::new(group) }
    }

    pub(super) fn keys(&self, runtime: &Handle) -> (Keys, Arc<Lease>) {
        let lease_ms = u64::try_from(self.config.ring.lease.as_millis()).unwrap_or(u64::MAX);
        let lease = Arc::new(Lease::new(lease_ms, self.meta.max_lease_ms));
        let Foundation { store, vault, clock } = &self.foundation;
        let mint = Mint::new(store.clone(), Arc::clone(vault), self.config.retention.quarantine);
        let capacity = self.config.ring.capacity;
        let ring = Ring::new(mint, Arc::clone(&lease), Arc::clone(clock), capacity, runtime.clone());
        (Keys { ring: Arc::new(ring), token_key: Arc::clone(store.token_key()) }, lease)
    }

    fn start_lane(
        &self,
        threads: &mut Threads,
        runtime: &Handle,
        lane: usize,
        (keys, Views { parked, group }): (Keys, Views),
        listener: Option<Box<dyn Observer>>,
    ) -> Result<(), Failure> {
        let clock = Arc::clone(&self.foundation.clock);
        let condition = self.telemetry.readiness.condition(format!("lane {lane}"));
        let board = parked.board().clone();
        let report = LaneReport { metrics: self.metrics.lanes.clone(), condition, view: parked, group };
        let observer = LaneObserver::new(lane, report, Arc::clone(&clock), listener);
        let step = lanes::sealing_lane(&self.config, &self.sizes, keys, clock, Box::new(observer))?;
        let identity =
            self.sealing_identity(&self.config.kafka.group, lane.to_string(), &self.config.topics.input);
        let identity = LaneIdentity { mirrors: self.mirrors(), ..identity };
        let pace =
            Pace { batch_time: self.config.lane.batch_time, batch_events: self.config.lane.batch_events };
        let (name, pulse) = (format!("lane {lane}"), Pulse::default());
        let thread = self.thread(runtime, identity, pace, pulse.clone(), board);
        let thread = thread.spawn(step, threads.ended_of(&name))?;
        threads.add_lane(name, pulse, thread);
        Ok(())
    }

    /// Returns the topics that must have each partition of the input.
    fn mirrors(&self) -> Vec<String> {
        let topics = &self.config.topics;
        match self.config.seal.partitioner {
            Partitioner::Input => topics.class.values().chain([&topics.output]).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the observer that opens the barrier and reports to metrics, readiness and the log.
    pub(super) fn following_observer(&self) -> Box<dyn FollowObserver> {
        let condition = self.telemetry.readiness.condition("receipts read");
        let clock = Arc::clone(&self.foundation.clock);
        Box::new(FollowingObserver::new(self.metrics.forget.clone(), condition, self.barrier.clone(), clock))
    }

    /// Returns the closure of the thread that follows the receipts.
    pub(super) fn following(
        &self,
        runtime: &Handle,
        ring: &Arc<Ring>,
        lease: Arc<Lease>,
        observer: Box<dyn FollowObserver>,
    ) -> impl FnOnce() + Send + 'static + use<> {
        // A quarter of the lease, and at most 5 s, so that `/readyz` soon reports a broker that is away.
        let every = Duration::from_millis((lease.length_ms() / 4).clamp(250, 5_000));
        let following = Following {
            store: Arc::clone(&self.foundation.store),
            vault: Arc::clone(&self.foundation.vault),
            clock: Arc::clone(&self.foundation.clock),
            runtime: runtime.clone(),
            cache: Arc::<Ring>::clone(ring),
            lease,
            every,
            marks: self.config.control.execute,
            accepted_gaps: self.accepted_receipts(),
            observer,
        };
        let (client, topic, stop) =
            (self.client.clone(), self.config.topics.receipts.clone(), self.stop.clone());
        move || following.run(|| ReceiptTail::connect(&client, &topic), &stop)
    }

    /// The offsets of missing receipts that the operator accepts.
    fn accepted_receipts(&self) -> Vec<i64> {
        let receipts = &self.config.topics.receipts;
        let gaps = self.options.accepted_gaps.iter().filter(|gap| gap.topic == *receipts);
        gaps.filter_map(|gap| gap.offset).collect()
    }

    fn watchdog(&self, pulses: Vec<(String, Pulse)>) -> impl FnOnce() + Send + 'static + use<> {
        let condition = self.telemetry.readiness.condition("broker answers");
        let watchdog = Watchdog { pulses, condition, heart: self.heart.clone() };
        let (stop, client) = (self.stop.clone(), self.client.clone());
        move || {
            let broker = Broker {
                answers: &|| crate::edge::kafka::answers(&client),
                last_failure: &|| client.last_failure(),
            };
            watchdog.watch(&stop, &broker, |lane| {
                error!(
                    codes::WATCHDOG,
                    lane, "no progress in a Kafka call although a broker answers; exiting"
                );
                end_log();
                std::process::exit(i32::from(Failure::DEPENDENCY));
            });
        }
    }

    /// Returns the identity of a lane that writes to output and quarantine.
    pub(super) fn sealing_identity(&self, group: &str, lane: String, input: &str) -> LaneIdentity {
        let topics = &self.config.topics;
        LaneIdentity {
            // As `lane::Sealed` counts them.
            outputs: [&topics.output, &topics.quarantine]
                .into_iter()
                .chain(topics.class.values())
                .cloned()
                .collect(),
            max_message_bytes: vec![self.sizes.output.clone(), self.sizes.quarantine.clone()],
            placements: self.sizes.outputs.placements().cloned().collect(),
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
            max_message_bytes: Vec::new(),
            placements: Vec::new(),
            commit_metadata: format!("hourseal/1 store={}", self.meta.store),
            mirrors: Vec::new(),
        }
    }

    pub(super) fn thread(
        &self,
        runtime: &Handle,
        identity: LaneIdentity,
        pace: Pace,
        pulse: Pulse,
        board: Board,
    ) -> LaneThread {
        let store = self.foundation.store.clone();
        let starts = StoreStarts::new(store, runtime.clone(), &identity.group, &identity.input);
        let (stop, barrier) = (self.stop.clone(), self.barrier.clone());
        let gaps = Gaps::These(self.options.accepted_gaps.clone());
        let parking = Parking::GoOn;
        LaneThread { identity, starts: Arc::new(starts), gaps, parking, board, pace, stop, pulse, barrier }
    }
}
