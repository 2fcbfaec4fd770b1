//! Reports the work of the executor and of the follower to metrics, readiness and the log.

use std::sync::Arc;
use std::time::Duration;

use super::barrier::Barrier;
use super::leadership::Leadership;
use crate::forget::{FollowObserver, Followed, ForgetMetrics, Observer, Tally};
use crate::lane::GroupView;
use crate::model::Clock;
use crate::stream::Event;
use crate::telemetry::{Condition, codes, info, warn};

/// Reports for the executor.
pub(super) struct ExecutorObserver {
    metrics: ForgetMetrics,
    condition: Condition,
    leadership: Leadership,
    group: GroupView,
    /// The reason for which the control topic is parked.
    parked: Option<String>,
}

impl ExecutorObserver {
    pub(super) fn new(
        metrics: ForgetMetrics,
        condition: Condition,
        leadership: Leadership,
        group: GroupView,
    ) -> Self {
        Self { metrics, condition, leadership, group, parked: None }
    }

    /// Reports that nothing but a parked topic stops the executor.
    fn settle(&self) {
        match &self.parked {
            Some(why) => self.condition.unmet(why),
            None => self.condition.met(),
        }
    }

    fn committed(&self, tally: &Tally) {
        self.metrics.committed(tally);
        if tally.swept_hours > 0 {
            self.leadership.swept();
        }
    }
}

impl Observer for ExecutorObserver {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally) {
        match event {
            Event::Committed { .. } => self.committed(tally),
            Event::Assigned(partitions) => {
                self.leadership.set_held(!partitions.is_empty());
                self.parked.take_if(|_| partitions.is_empty());
                self.settle();
            }
            Event::Resumed => self.settle(),
            Event::Waiting(waiting) => self.condition.unmet(&waiting.reason),
            Event::Parked { partition, why } => {
                self.parked = Some(format!("the control topic is parked ({why}): {}", why.text(*partition)));
                self.settle();
            }
            Event::Flows(_) => {
                self.parked = None;
                self.settle();
            }
            Event::ForeignMembers(members) => self.group.show(members),
            Event::Aborted(_) | Event::GapAccepted { .. } | Event::Lag(_) => {}
            Event::Reincarnated(why, _) => {
                self.condition.unmet(format!("the Kafka producer is being replaced: {why}"));
            }
            Event::Rejoined(error) => self.condition.unmet(format!("joining the group again: {error}")),
        }
    }
}

/// Reports for the follower.
pub(super) struct FollowingObserver {
    metrics: ForgetMetrics,
    condition: Condition,
    barrier: Barrier,
    clock: Arc<dyn Clock>,
    waiting: bool,
}

impl FollowingObserver {
    pub(super) fn new(
        metrics: ForgetMetrics,
        condition: Condition,
        barrier: Barrier,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { metrics, condition, barrier, clock, waiting: false }
    }
}

impl FollowObserver for FollowingObserver {
    fn observe(&mut self, event: Followed<'_>) {
        match event {
            Followed::Open | Followed::Proven => {
                if std::mem::replace(&mut self.waiting, false) {
                    info!(codes::LEASE_BACK, "all receipts can be read again");
                }
                self.condition.met();
                self.barrier.open();
            }
            Followed::Applied { done_at, took_ms, .. } => {
                let took = Duration::from_millis(u64::try_from(took_ms).unwrap_or(0));
                self.metrics.applied(done_at.plus(took_ms).0 as f64 / 1_000.0, took);
            }
            Followed::Behind { offset, held } => {
                self.metrics.store_was_behind(self.clock.now().0 as f64 / 1_000.0);
                warn!(
                    codes::STORE_BEHIND,
                    offset,
                    held,
                    "the key store is behind this receipt; applied it again, unless a hold forbids it"
                );
            }
            Followed::Doubted { offset, why } => {
                warn!(
                    codes::RECEIPT_DOUBTED,
                    offset,
                    %why,
                    "a record of the receipts topic is not a receipt"
                );
            }
            Followed::Waiting(why) => {
                if !std::mem::replace(&mut self.waiting, true) {
                    warn!(codes::LEASE_LOST, why, "no proof that every receipt was read; cached keys expire");
                }
                self.condition.unmet(why);
            }
        }
    }
}
