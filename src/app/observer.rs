//! What a lane does, told to metrics, readiness and the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lane::{Observer, Reason, Tally};
use crate::model::Clock;
use crate::stream::{Cause, Event};
use crate::telemetry::{Condition, LaneMetrics, Transaction, Wait, codes, info, warn};

const TELL_EVERY: Duration = Duration::from_secs(60);

/// A lane's voice.
pub(super) struct LaneObserver {
    lane: usize,
    metrics: LaneMetrics,
    condition: Condition,
    clock: Arc<dyn Clock>,
    /// Somebody else who listens to the lane.
    ear: Option<Box<dyn Observer>>,
    joined: bool,
    waiting: bool,
    /// Quarantined records that no log line has told of yet.
    untold: BTreeMap<Reason, u64>,
    told_at: Option<Instant>,
}

impl LaneObserver {
    pub(super) fn new(
        lane: usize,
        metrics: LaneMetrics,
        condition: Condition,
        clock: Arc<dyn Clock>,
        ear: Option<Box<dyn Observer>>,
    ) -> Self {
        Self {
            lane,
            metrics,
            condition,
            clock,
            ear,
            joined: false,
            waiting: false,
            untold: BTreeMap::new(),
            told_at: None,
        }
    }

    fn committed(&mut self, tally: &Tally, took: Duration, lag: &[(i32, u64)]) {
        self.metrics.settled(Transaction::Committed, took);
        self.metrics.sealed_batch(tally.sealed, tally.bytes_in, tally.bytes_out, tally.seal_time);
        for (reason, count) in &tally.quarantined {
            self.metrics.quarantined(reason.code(), *count);
            *self.untold.entry(*reason).or_default() += count;
        }
        self.tell_quarantined();
        for (partition, records) in lag {
            self.metrics.lags(*partition, i64::try_from(*records).unwrap_or(i64::MAX));
        }
        if let Some(oldest) = tally.oldest {
            let age = u64::try_from(self.clock.now().0 - oldest.0).unwrap_or(0);
            self.metrics.oldest(Duration::from_millis(age));
        }
    }

    /// A line per reason, once a minute: a producer gone wrong must not fill the log.
    fn tell_quarantined(&mut self) {
        if self.untold.is_empty() || self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        for (reason, count) in std::mem::take(&mut self.untold) {
            warn!(codes::QUARANTINED, lane = self.lane, reason = reason.code(), count, "records quarantined");
        }
    }

    fn waits(&mut self, why: &str) {
        if !std::mem::replace(&mut self.waiting, true) {
            warn!(codes::LANE_WAITS, lane = self.lane, why, "lane waits; its group is kept");
        }
        self.condition.unmet(why);
        self.metrics.waits(if why.contains("clock") { Wait::Clocks } else { Wait::Store });
    }
}

impl Observer for LaneObserver {
    fn note(&mut self, event: &Event<'_>, tally: &Tally) {
        if let Some(ear) = &mut self.ear {
            ear.note(event, tally);
        }
        match event {
            Event::Committed { took, lag, .. } => self.committed(tally, *took, lag),
            Event::Assigned(partitions) => {
                self.joined = true;
                self.condition.met();
                info!(codes::LANE_ASSIGNED, lane = self.lane, partitions, "assignment changed");
            }
            Event::Waiting(why) => self.waits(why),
            Event::Resumed => {
                if std::mem::replace(&mut self.waiting, false) {
                    info!(codes::LANE_RESUMES, lane = self.lane, "lane goes on");
                }
                match self.joined {
                    true => self.condition.met(),
                    false => self.condition.unmet("the group is not joined yet"),
                }
                self.metrics.works();
            }
            Event::Aborted(error) => {
                self.metrics.settled(Transaction::Aborted, Duration::ZERO);
                warn!(codes::BATCH_REDONE, lane = self.lane, %error, "nothing committed; the batch is read again");
            }
            Event::Reincarnated(why, cause) => {
                let outcome = match cause {
                    Cause::Explained => Transaction::Unknown,
                    Cause::Unexplained => Transaction::Fenced,
                };
                self.metrics.settled(outcome, Duration::ZERO);
                self.metrics.waits(Wait::Broker);
                self.condition.unmet(format!("the producer is being replaced: {why}"));
                warn!(
                    codes::PRODUCER_RENEWED,
                    lane = self.lane,
                    why,
                    "the producer is replaced; the lane goes on at the broker's committed offsets"
                );
            }
            Event::Rejoined(error) => {
                self.joined = false;
                self.metrics.waits(Wait::Broker);
                self.condition.unmet(format!("joining the group again: {error}"));
                warn!(codes::PRODUCER_RENEWED, lane = self.lane, %error, "joining the group again");
            }
        }
    }
}
