//! Reports a lane's events to metrics, readiness and the log.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` registers and calls these"))]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::GroupView;
use super::metrics::{LaneMetrics, Transaction};
use super::parked::ParkedView;
use super::quarantine::Reason;
use super::step::{Observer, Tally};
use crate::model::{Clock, Millis};
use crate::stream::{Cause, Event, Park, Wait, Waiting, committed_text};
use crate::telemetry::{Condition, codes, info, warn};

/// Shortest time between two log lines about quarantined records.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Observes one lane.
pub(crate) struct LaneObserver {
    lane: usize,
    metrics: LaneMetrics,
    condition: Condition,
    view: Arc<ParkedView>,
    group: Arc<GroupView>,
    clock: Arc<dyn Clock>,
    /// Another listener, which is also notified of every event.
    listener: Option<Box<dyn Observer>>,
    joined: bool,
    waiting: bool,
    partitions: Vec<i32>,
    /// The notes in `/readyz` about parked partitions.
    parked: BTreeMap<i32, Condition>,
    /// Event time of the oldest event in the last batch.
    oldest: Option<Millis>,
    /// Quarantined records that are not logged yet.
    untold: BTreeMap<Reason, u64>,
    told_at: Option<Instant>,
}

/// The places where a lane's events are reported.
pub(crate) struct LaneReport {
    pub(crate) metrics: LaneMetrics,
    pub(crate) condition: Condition,
    /// Shared by the lanes of the process, as `group`.
    pub(crate) view: Arc<ParkedView>,
    pub(crate) group: Arc<GroupView>,
}

impl LaneObserver {
    /// Observes the lane with this number, which does not wait yet.
    pub(crate) fn new(
        lane: usize,
        LaneReport { metrics, condition, view, group }: LaneReport,
        clock: Arc<dyn Clock>,
        listener: Option<Box<dyn Observer>>,
    ) -> Self {
        metrics.waits(lane, None);
        Self {
            lane,
            metrics,
            condition,
            view,
            group,
            clock,
            listener,
            joined: false,
            waiting: false,
            partitions: Vec::new(),
            parked: BTreeMap::new(),
            oldest: None,
            untold: BTreeMap::new(),
            told_at: None,
        }
    }

    fn committed(&mut self, tally: &Tally, took: Duration, lag: &[(i32, u64)]) {
        self.metrics.committed(took);
        self.metrics.new_slots(tally.new_slots);
        self.metrics.sealed_batch(tally.sealed, tally.bytes_in, tally.bytes_out, tally.seal_time);
        for (reason, count) in &tally.quarantined {
            self.metrics.quarantined(*reason, *count);
            *self.untold.entry(*reason).or_default() += count;
        }
        self.tell_quarantined();
        self.lags(lag);
        if tally.oldest.is_some() {
            self.oldest = tally.oldest;
            self.tell_age();
        }
    }

    fn lags(&self, lag: &[(i32, u64)]) {
        for (partition, records) in lag {
            self.metrics.lags(*partition, *records);
        }
    }

    /// While nothing is committed, the age of the last batch grows, unless every record was read.
    fn idles(&mut self, lag: &[(i32, u64)]) {
        self.lags(lag);
        if lag.iter().all(|(_, records)| *records == 0) && !self.waiting {
            self.oldest = None;
        }
        self.tell_age();
    }

    fn tell_age(&self) {
        let age = self.oldest.map_or(0, |oldest| u64::try_from(self.clock.now().0 - oldest.0).unwrap_or(0));
        self.metrics.oldest(self.lane, Duration::from_millis(age));
    }

    fn parks(&mut self, partition: i32, why: &Park) {
        // The old note is dropped first: both have one name.
        self.parked.remove(&partition);
        self.parked.insert(partition, self.view.parked(partition, why));
        self.metrics.parks(partition, why);
        self.view.refresh();
        let (lane, reason, text) = (self.lane, why.code(), why.text(partition));
        warn!(codes::PARTITION_PARKED, lane, partition, reason, text, "the partition is parked");
    }

    fn flows(&mut self, partition: i32) {
        self.unpark(partition);
        info!(codes::PARTITION_FLOWS, lane = self.lane, partition, "the partition flows again");
    }

    fn unpark(&mut self, partition: i32) {
        if self.parked.remove(&partition).is_some() {
            self.metrics.unparks(partition);
        }
        self.view.refresh();
    }

    fn gap_accepted(&self, partition: i32, committed: Option<i64>, at: i64) {
        self.metrics.gap_accepted();
        let from = committed_text(committed);
        warn!(
            codes::GAP_ACCEPTED,
            lane = self.lane,
            partition,
            from,
            to = at,
            "the operator accepted a gap; the records in it are given up"
        );
    }

    /// Logs a line per reason, at most once a minute: a faulty producer must not fill the log.
    fn tell_quarantined(&mut self) {
        if self.untold.is_empty() || self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        for (reason, count) in std::mem::take(&mut self.untold) {
            warn!(codes::QUARANTINED, lane = self.lane, reason = reason.code(), count, "records quarantined");
        }
    }

    /// The lane has these partitions now, and no others.
    fn assigned(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.metrics.owns(self.lane, *partition);
        }
        for lost in self.partitions.iter().filter(|partition| !partitions.contains(partition)) {
            self.metrics.lost(self.lane, *lost);
        }
        let lost: Vec<i32> = self.parked.keys().filter(|it| !partitions.contains(it)).copied().collect();
        lost.into_iter().for_each(|partition| self.unpark(partition));
        self.view.refresh();
        self.partitions = partitions.to_vec();
    }

    fn waits(&mut self, Waiting { cause, reason }: &Waiting) {
        if !std::mem::replace(&mut self.waiting, true) {
            let (lane, cause) = (self.lane, cause.code());
            warn!(codes::LANE_WAITS, lane, cause, why = reason, "the lane waits; it stays in its group");
        }
        self.condition.unmet(reason);
        self.metrics.waits(self.lane, Some(*cause));
    }

    fn resumed(&mut self) {
        if std::mem::replace(&mut self.waiting, false) {
            info!(codes::LANE_RESUMES, lane = self.lane, "the lane continues");
        }
        match self.joined {
            true => self.condition.met(),
            false => self.condition.unmet("the group is not joined yet"),
        }
        self.metrics.waits(self.lane, None);
    }

    fn reincarnated(&self, why: &str, cause: Cause) {
        self.metrics.failed(match cause {
            Cause::Explained => Transaction::Unknown,
            Cause::Unexplained => Transaction::Fenced,
        });
        self.metrics.waits(self.lane, Some(Wait::Broker));
        self.condition.unmet(format!("the Kafka producer is being replaced: {why}"));
        warn!(
            codes::PRODUCER_RENEWED,
            lane = self.lane,
            why,
            "the producer is replaced; the lane continues at the committed offsets"
        );
    }
}

impl Observer for LaneObserver {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally) {
        if let Some(listener) = &mut self.listener {
            listener.observe(event, tally);
        }
        match event {
            Event::Committed { took, lag, .. } => self.committed(tally, *took, lag),
            Event::Assigned(partitions) => {
                self.joined = true;
                self.condition.met();
                self.assigned(partitions);
                let partitions = partitions.len();
                info!(codes::LANE_ASSIGNED, lane = self.lane, partitions, "assignment changed");
            }
            Event::Parked { partition, why } => self.parks(*partition, why),
            Event::Flows(partition) => self.flows(*partition),
            Event::GapAccepted { partition, committed, at } => self.gap_accepted(*partition, *committed, *at),
            Event::ForeignMembers(members) => self.group.show(members),
            Event::Lag(lag) => self.idles(lag),
            Event::Waiting(waiting) => self.waits(waiting),
            Event::Resumed => self.resumed(),
            Event::Aborted(error) => {
                self.metrics.failed(Transaction::Aborted);
                let lane = self.lane;
                warn!(codes::BATCH_REDONE, lane, %error, "nothing committed; the lane reads the batch again");
            }
            Event::Reincarnated(why, cause) => self.reincarnated(why, *cause),
            Event::Rejoined(error) => {
                self.joined = false;
                self.assigned(&[]);
                self.metrics.waits(self.lane, Some(Wait::Broker));
                self.condition.unmet(format!("joining the group again: {error}"));
                warn!(codes::PRODUCER_RENEWED, lane = self.lane, %error, "the lane joins its group again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::group::{GroupMetrics, Reads};
    use crate::stream::ForeignMember;
    use crate::telemetry::Telemetry;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Millis {
            Millis(43_200_000)
        }

        fn boot_ms(&self) -> u64 {
            0
        }
    }

    struct Lanes {
        telemetry: Telemetry,
        observers: Vec<LaneObserver>,
    }

    impl Lanes {
        fn new(count: usize) -> Self {
            let telemetry = Telemetry::new();
            let metrics = LaneMetrics::register(&telemetry.registry);
            let view = Arc::new(ParkedView::new("jobs", telemetry.readiness.clone()));
            let groups = GroupMetrics::register(&telemetry.registry);
            let group = Arc::new(GroupView::new("g", Reads::Input, groups, &telemetry.readiness));
            let observer = |lane| {
                let condition = telemetry.readiness.condition(format!("lane {lane}"));
                let (view, group) = (Arc::clone(&view), Arc::clone(&group));
                let report = LaneReport { metrics: metrics.clone(), condition, view, group };
                LaneObserver::new(lane, report, Arc::new(Noon), None)
            };
            let observers = (0..count).map(observer).collect();
            Self { telemetry, observers }
        }

        fn observe(&mut self, lane: usize, event: &Event<'_>) {
            self.observers[lane].observe(event, &Tally { sealed: 10, ..Tally::default() });
        }

        fn commits(&mut self, lane: usize, lag: &[(i32, u64)]) {
            self.observe(lane, &Event::Committed { offsets: &[], took: Duration::from_millis(12), lag });
        }

        /// The lines of the metrics that begin with this text.
        fn series(&self, begin: &str) -> Vec<String> {
            let text = String::from_utf8(self.telemetry.registry.render()).expect("text");
            text.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
        }

        fn lags(&self) -> Vec<String> {
            self.series("hourseal_input_lag_records{")
        }
    }

    #[test]
    fn two_lanes_add_up_and_wait_each_for_itself() {
        let mut lanes = Lanes::new(2);
        lanes.commits(0, &[]);
        lanes.commits(1, &[]);
        lanes.observe(1, &Event::Waiting(&Waiting::new(Wait::Vault, "the clock of the vault has stopped")));
        assert_eq!(
            lanes.series("hourseal_events_total{outcome=\"sealed"),
            ["hourseal_events_total{outcome=\"sealed\"} 20"]
        );
        let committed = "hourseal_transactions_total{outcome=\"committed\"}";
        assert_eq!(lanes.series(committed), [format!("{committed} 2")]);
        let waits = |lanes: &Lanes| {
            lanes
                .series("hourseal_waiting{")
                .into_iter()
                .filter(|line| line.ends_with(" 1"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            waits(&lanes),
            ["hourseal_waiting{lane=\"1\",why=\"vault\"} 1"],
            "its cause, not its text"
        );
        assert_eq!(lanes.series("hourseal_waiting{").len(), 2 * 6);
        lanes.observe(1, &Event::Resumed);
        assert_eq!(waits(&lanes), Vec::<String>::new());
    }

    #[test]
    fn what_one_lane_finds_in_the_group_counts_for_both() {
        let mut lanes = Lanes::new(2);
        lanes.observe(0, &Event::Assigned(&[3]));
        lanes.observe(1, &Event::Assigned(&[4]));
        let foreign = ForeignMember::of("rdkafka", "/10.0.0.7").expect("it is foreign");
        lanes.observe(0, &Event::ForeignMembers(&[foreign]));
        lanes.observe(0, &Event::Resumed);
        let reasons = lanes.telemetry.readiness.reasons();
        let [reason] = &reasons[..] else { panic!("{reasons:?}") };
        assert!(reason.why.contains("client id `rdkafka`, host `/10.0.0.7`"), "{reason:?}");
        lanes.observe(1, &Event::ForeignMembers(&[]));
        assert_eq!(lanes.telemetry.readiness.reasons(), []);
    }

    #[test]
    fn the_lag_of_a_partition_that_went_to_another_process_is_gone() {
        let mut lanes = Lanes::new(1);
        lanes.observe(0, &Event::Assigned(&[3, 4]));
        lanes.commits(0, &[(3, 7), (4, 8)]);
        lanes.observe(0, &Event::Assigned(&[4]));
        assert_eq!(lanes.lags(), ["hourseal_input_lag_records{partition=\"4\"} 8"]);
        let error = crate::stream::StreamError {
            stage: crate::stream::Stage::Group,
            class: crate::stream::ErrorClass::Fatal,
            name: "_FATAL".to_owned(),
        };
        lanes.observe(0, &Event::Rejoined(&error));
        assert_eq!(lanes.lags(), Vec::<String>::new(), "a lane that joins again has no partition");
    }

    #[test]
    fn the_lag_of_a_partition_that_went_to_another_lane_stays() {
        for gained_first in [true, false] {
            let mut lanes = Lanes::new(2);
            lanes.observe(0, &Event::Assigned(&[3]));
            lanes.commits(0, &[(3, 7)]);
            if gained_first {
                lanes.observe(1, &Event::Assigned(&[3]));
                lanes.commits(1, &[(3, 5)]);
                lanes.observe(0, &Event::Assigned(&[]));
            } else {
                lanes.observe(0, &Event::Assigned(&[]));
                lanes.observe(1, &Event::Assigned(&[3]));
                lanes.commits(1, &[(3, 5)]);
            }
            assert_eq!(lanes.lags(), ["hourseal_input_lag_records{partition=\"3\"} 5"]);
        }
    }
}
