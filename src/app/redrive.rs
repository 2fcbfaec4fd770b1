//! `hourseal quarantine redrive`: passes quarantined records that have kept their content through the lane of
//! `run` again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::Failure;
use super::basis::Basis;
use super::lanes::{LaneThread, sealing_lane};
use super::process::Process;
use super::run::RunOptions;
use super::threads::{Settled, Threads};
use crate::config::Config;
use crate::edge::kafka::scan::{Next, Range, Scan, ScanError, Scanned};
use crate::edge::kafka::{ClientSettings, LaneIdentity};
use crate::lane::{Left, Observer, Quarantined, Reason, Redrive, RedriveObserver, RedriveParts, Tally};
use crate::model::Started;
use crate::reader::{Opener, WaitingOpener};
use crate::stream::{Board, Event, ForeignMember, Gaps, Halt, Pace, Parking, Pulse, StartLog, Stop};

/// Time between two progress reports.
const TELL: Duration = Duration::from_millis(200);
/// Time from the start after which progress also reports why the process cannot begin.
const START: Duration = Duration::from_secs(5);
/// Longest time to open the records of a batch. After it the lane serves its group, then tries again.
const OPENING: Duration = Duration::from_secs(10);
/// The `instance` of a redrive: a second redrive of the group is a duel, on any host.
const INSTANCE: &str = "redrive";

/// The content of the quarantine, as far as it is visible without opening records.
#[derive(Clone, Default, Debug)]
pub struct Survey {
    /// Number of records that have kept their content and were not redriven before, by reason.
    pub kept: BTreeMap<Reason, u64>,
    /// By partition, the offset before which all records were redriven.
    done: BTreeMap<i32, i64>,
    /// By partition, the offset after the last record of `kept`.
    ends: BTreeMap<i32, i64>,
}

/// The result of a redrive.
#[derive(Clone, Default, Debug)]
pub struct Redriven {
    pub sealed: u64,
    /// Records that were quarantined again, by their new reason.
    pub quarantined: BTreeMap<Reason, u64>,
    pub left: Left,
    /// Whether the last record of the survey was reached. Otherwise a signal has ended it.
    pub is_complete: bool,
    /// The reason why it waits, while it waits.
    pub waiting: Option<String>,
}

/// Reads the quarantine from its beginning to its end, or until the client's stop. Calls
/// the closure with the number of records read.
///
/// # Errors
/// If the topic cannot be read.
pub fn survey(
    config: &Config,
    client: &ClientSettings,
    report: &mut dyn FnMut(u64),
) -> Result<Survey, ScanError> {
    let topic = &config.topics.quarantine;
    let mut scan = Scan::begin(client, topic, Range::Existing)?;
    let (mut survey, mut kept, mut read) = (Survey::default(), Vec::new(), 0);
    while !client.reach.stop.requested() {
        match scan.next(TELL)? {
            Next::Record(record) => {
                read += 1;
                report(read);
                match seen(config, &record) {
                    Quarantined::Kept { reason, .. } => kept.push((record.partition, record.offset, reason)),
                    Quarantined::Mark { partition, before } => {
                        let done = survey.done.entry(partition).or_default();
                        *done = before.max(*done);
                    }
                    Quarantined::Bare | Quarantined::Foreign => {}
                }
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    if is_off!("redrive-marks") {
        survey.done.clear();
    }
    for (partition, offset, reason) in kept {
        if survey.done.get(&partition).is_none_or(|before| offset >= *before) {
            *survey.kept.entry(reason).or_default() += 1;
            let end = survey.ends.entry(partition).or_default();
            *end = (offset + 1).max(*end);
        }
    }
    Ok(survey)
}

fn seen(config: &Config, record: &Scanned) -> Quarantined {
    let headers: &[_] = &record.headers;
    Quarantined::read(&config.topics.input, &config.topics.quarantine, record.value.is_some(), &headers)
}

/// Redrives the records of the survey. Calls the closure with the progress a few times a second.
///
/// # Errors
/// If it cannot continue. Committed records stay committed, and the next redrive continues after them.
pub fn redrive(
    config: &Config,
    client: ClientSettings,
    survey: Survey,
    runtime: &Handle,
    report: &mut dyn FnMut(&Redriven),
) -> Result<Redriven, Failure> {
    let asked_to_end = client.reach.stop.clone();
    let process = Process::for_run(config, RunOptions::default(), Basis::of(client), runtime, false)?;
    let progress = Progress::new(survey.ends.clone(), process.stop.clone());
    let mut threads = Threads::default();
    process.start_redrive(&mut threads, runtime, survey, progress.clone())?;
    let fault = loop {
        // A lane reports its outcome before its thread has ended.
        let is_over = threads.lanes_have_ended();
        let fault = threads.fault_now();
        if is_over || fault.is_some() || asked_to_end.requested() {
            break fault;
        }
        report(&progress.seen(&process));
        std::thread::sleep(TELL);
    };
    process.stop.request();
    let settled = threads.settle();
    match fault {
        Some((_, halt)) => return Err(halt.into()),
        None if settled == Settled::Panicked => return Err(Halt::Panicked.into()),
        None => {}
    }
    let state = progress.lock();
    Ok(Redriven { is_complete: state.ends.is_empty(), ..state.redriven.clone() })
}

impl Process {
    /// Starts the lane of the quarantine, and the thread that follows the receipts for it.
    fn start_redrive(
        &self,
        threads: &mut Threads,
        runtime: &Handle,
        survey: Survey,
        progress: Progress,
    ) -> Result<(), Failure> {
        let (keys, lease) = self.keys(runtime);
        threads.start("receipts", self.following(runtime, &keys.ring, lease, self.following_observer()))?;
        let (config, foundation) = (&self.config, &self.foundation);
        let opener = Opener::new(foundation.finder(), config.seal.stream.quarantine());
        let clock = Arc::clone(&foundation.clock);
        let batch_bytes = usize::try_from(config.lane.batch_bytes).unwrap_or(usize::MAX);
        let step = Redrive::new(RedriveParts {
            lane: sealing_lane(config, &self.sizes, keys, clock, Box::new(Unheard))?,
            opener: WaitingOpener::new(opener, runtime.clone(), OPENING),
            quarantine: config.topics.quarantine.clone(),
            done: survey.done,
            batch_bytes,
            observer: Box::new(progress),
        });
        let group = format!("{}.redrive", config.kafka.group);
        let identity = LaneIdentity {
            instance: INSTANCE.to_owned(),
            ..self.sealing_identity(&group, "0".to_owned(), &config.topics.quarantine)
        };
        let (name, pulse) = ("redrive", Pulse::default());
        let lane = LaneThread {
            identity,
            starts: Arc::new(FromTheStart),
            // Records that the broker has deleted from the quarantine are gone: a gap is not an error here.
            gaps: Gaps::Any,
            parking: Parking::Halt,
            board: Board::default(),
            pace: Pace { batch_time: config.lane.batch_time, batch_events: config.lane.batch_events },
            stop: self.stop.clone(),
            pulse: pulse.clone(),
            barrier: self.barrier.clone(),
        };
        let lane = lane.spawn(step, threads.ended_of(name))?;
        threads.add_lane(name.to_owned(), pulse, lane);
        Ok(())
    }
}

/// Lets a group whose offsets have expired begin at the start: the marks record which records were redriven.
struct FromTheStart;

impl StartLog for FromTheStart {
    fn started(&self) -> Result<Vec<Started>, String> {
        Ok(Vec::new())
    }

    fn mark_started(&self, _partitions: &[Started]) -> Result<(), String> {
        Ok(())
    }
}

/// Ignores the events of the inner lane: the redrive reports them.
struct Unheard;

impl Observer for Unheard {
    fn observe(&mut self, _event: &Event<'_>, _tally: &Tally) {}
}

/// The progress, shared with the redrive's thread. Stops the redrive after the last record of the survey.
#[derive(Clone)]
struct Progress(Arc<Mutex<State>>);

struct State {
    redriven: Redriven,
    /// The rest of [`Survey::ends`].
    ends: BTreeMap<i32, i64>,
    stop: Stop,
    begun: Instant,
}

impl Progress {
    fn new(ends: BTreeMap<i32, i64>, stop: Stop) -> Self {
        Self(Arc::new(Mutex::new(State { redriven: Redriven::default(), ends, stop, begun: Instant::now() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the progress, with the reason why the process cannot begin, if there is one.
    fn seen(&self, process: &Process) -> Redriven {
        let state = self.lock();
        let mut seen = state.redriven.clone();
        if state.begun.elapsed() < START {
            return seen;
        }
        let unmet = || process.telemetry.readiness.reasons().into_iter().next().map(|reason| reason.why);
        seen.waiting = seen.waiting.or_else(unmet);
        seen
    }
}

impl RedriveObserver for Progress {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally, left: &Left) {
        let mut state = self.lock();
        match event {
            Event::Committed { offsets, .. } => {
                state.redriven.add(tally, left);
                state.redriven.waiting = None;
                for next in *offsets {
                    if state.ends.get(&next.partition).is_some_and(|end| *end <= next.offset) {
                        state.ends.remove(&next.partition);
                    }
                }
                if state.ends.is_empty() {
                    state.stop.request();
                }
            }
            Event::Waiting(waiting) => state.redriven.waiting = Some(waiting.reason.clone()),
            Event::Resumed => state.redriven.waiting = None,
            Event::Rejoined(error) | Event::Aborted(error) => {
                state.redriven.waiting = Some(error.to_string());
            }
            Event::Reincarnated(why, _) => state.redriven.waiting = Some((*why).to_owned()),
            // The engine halts if the partition does not flow again by itself.
            Event::Parked { partition, why } => state.redriven.waiting = Some(why.text(*partition)),
            Event::Flows(_) => state.redriven.waiting = None,
            Event::ForeignMembers([]) => {}
            Event::ForeignMembers(members) => {
                let names = ForeignMember::names(members);
                state.redriven.waiting =
                    Some(format!("its group has members that are not Hourseal: {names}"));
            }
            Event::Assigned(_) | Event::GapAccepted { .. } | Event::Lag(_) => {}
        }
    }
}

impl Redriven {
    fn add(&mut self, tally: &Tally, left: &Left) {
        self.sealed += tally.sealed;
        for (reason, count) in &tally.quarantined {
            *self.quarantined.entry(*reason).or_default() += count;
        }
        let sum = &mut self.left;
        sum.before += left.before;
        sum.forgotten += left.forgotten;
        sum.bare += left.bare;
        sum.unreadable += left.unreadable;
    }
}
