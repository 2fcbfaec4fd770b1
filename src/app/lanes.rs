//! The threads of lanes: the same code for `run` and for the demo.

use std::ffi::CString;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::barrier::Barrier;
use super::sizes::TopicSizes;
use super::{Failure, threads};
use crate::config::Config;
use crate::edge::kafka::{LaneConnector, LaneIdentity};
use crate::lane::{
    Admit, Keys, LaneParts, Limits, MaxMessageBytes, Observer, SealingLane, SlotLimits, TimestampBounds,
};
use crate::model::Clock;
use crate::stream::{Board, Engine, Gaps, Halt, Pace, Parking, Pulse, StartLog, StartRules, Step, Stop};

/// The rules of admission, with `max.message.bytes` of the output and of the quarantine, and the bounds of
/// timestamps of the output.
pub fn admit(
    config: &Config,
    output_bytes: MaxMessageBytes,
    quarantine_bytes: MaxMessageBytes,
    timestamps: TimestampBounds,
) -> Admit {
    let milliseconds = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Admit {
        customer: config.event.customer.clone(),
        time: config.event.time.clone(),
        skip: config.event.skip,
        limits: Limits {
            max_future_ms: milliseconds(config.event.max_future),
            grace_ms: milliseconds(config.event.grace),
            max_event_bytes: to_usize(config.event.max_bytes),
            output_bytes,
            quarantine_bytes,
            timestamps,
        },
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The sealing step of one lane.
pub(super) fn sealing_lane(
    config: &Config,
    sizes: &TopicSizes,
    keys: Keys,
    clock: Arc<dyn Clock>,
    observer: Box<dyn Observer>,
) -> Result<SealingLane, Halt> {
    let stream = config.seal.stream.clone();
    let header = |name: &String| {
        CString::new(name.as_str()).map_err(|_| Halt::Setup("a header's name contains NUL".into()))
    };
    Ok(SealingLane::new(LaneParts {
        admit: admit(config, sizes.output.clone(), sizes.quarantine.clone(), sizes.timestamps.clone()),
        keys,
        clock,
        stream,
        input: config.topics.input.clone(),
        outputs: sizes.outputs.clone(),
        partitioner: config.seal.partitioner,
        output_key: config.seal.key,
        clear_headers: config.seal.clear_headers.iter().map(header).collect::<Result<_, _>>()?,
        batch_bytes: to_usize(config.lane.batch_bytes),
        slot_limits: slot_limits(config),
        observer,
    }))
}

/// The bounds of new slots. A test may shorten the minute.
fn slot_limits(config: &Config) -> SlotLimits {
    let limits = SlotLimits::per_minute(config.lane.new_slots_per_minute, config.lane.runaway_minutes);
    #[cfg(feature = "testkit")]
    if let Some(minute) = crate::testkit::slot_minute() {
        return SlotLimits { minute_ms: i64::try_from(minute.as_millis()).unwrap_or(i64::MAX), ..limits };
    }
    limits
}

/// The dependencies of a lane's thread.
pub(super) struct LaneThread {
    pub(super) identity: LaneIdentity,
    pub(super) starts: Arc<dyn StartLog>,
    pub(super) gaps: Gaps,
    pub(super) parking: Parking,
    pub(super) board: Board,
    pub(super) pace: Pace,
    pub(super) stop: Stop,
    pub(super) pulse: Pulse,
    pub(super) barrier: Barrier,
}

impl LaneThread {
    /// Runs a step from the opening of the barrier until the stop or a halt. Calls `ended` with the outcome.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn spawn<S: Step + Send + 'static>(
        self,
        mut step: S,
        ended: impl FnOnce(Result<(), Halt>) + Send + 'static,
    ) -> Result<JoinHandle<()>, Failure> {
        let Self { identity, starts, gaps, parking, board, pace, stop, pulse, barrier } = self;
        let (input, store) = (identity.input.clone(), identity.commit_metadata.clone());
        let rules = StartRules { input, store, gaps };
        let name = format!("lane {}", identity.lane);
        let run = move || {
            let connector = LaneConnector::new(identity, Arc::clone(&starts));
            let open = barrier.wait(&stop);
            let connector = &connector;
            let engine = Engine { connector, pace, stop, pulse, starts, rules, parking, board };
            if open { engine.run(&mut step) } else { Ok(()) }
        };
        threads::spawn(&name, run, ended)
    }
}
