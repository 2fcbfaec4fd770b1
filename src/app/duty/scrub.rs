//! The input's plaintext: measures the age of its oldest record, and deletes plaintext if the settings ask
//! for it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Duty, Who};
use crate::app::Foundation;
use crate::app::leadership::Leadership;
use crate::app::metrics::TopicMetrics;
use crate::app::process::Process;
use crate::app::threads::blocking;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::TopicAdmin;
use crate::edge::kafka::scan::{Next, Range, Scan, ScanError};
use crate::model::Millis;
use crate::telemetry::{codes, warn};

/// Time between two turns if nothing is deleted.
const LOOK: Duration = Duration::from_secs(60);

pub(super) struct ScrubDuty {
    foundation: Foundation,
    metrics: TopicMetrics,
    client: ClientSettings,
    leadership: Leadership,
    /// `topics.input`
    topic: String,
    /// The group that seals, then `scrub.groups`.
    groups: Vec<String>,
    /// `scrub.every`; zero = only measure.
    every: Duration,
    /// For each partition, the offset before which records were deleted.
    done: BTreeMap<i32, i64>,
}

impl ScrubDuty {
    pub(super) fn new(process: &Process, leadership: &Leadership) -> Self {
        let ours = std::iter::once(&process.config.kafka.group);
        Self {
            foundation: process.foundation.clone(),
            metrics: process.metrics.topics.clone(),
            client: process.client.clone(),
            leadership: leadership.clone(),
            topic: process.config.topics.input.clone(),
            groups: ours.chain(&process.config.scrub.groups).cloned().collect(),
            every: process.config.scrub.every,
            done: BTreeMap::new(),
        }
    }

    /// Deletes the records that all groups have committed. Returns the offset before which each partition was
    /// deleted.
    async fn scrub(&self) -> Result<BTreeMap<i32, i64>, String> {
        let admin = TopicAdmin::new(&self.client).map_err(|error| error.to_string())?;
        let committed =
            admin.committed(&self.topic, &self.groups).await.map_err(|error| error.to_string())?;
        if let Some(at) = committed.iter().position(BTreeMap::is_empty) {
            return Err(format!(
                "group `{}` has committed no offset of topic `{}`",
                self.groups[at], self.topic
            ));
        }
        let ends = scrub_ends(&committed);
        if ends != self.done && !ends.is_empty() {
            admin.delete_before(&self.topic, &ends).await.map_err(|error| error.to_string())?;
        }
        Ok(ends)
    }
}

impl Duty for ScrubDuty {
    const NAME: &'static str = "scrub";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = false;

    fn interval(&self) -> Duration {
        if self.every.is_zero() { LOOK } else { self.every }
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        if !self.every.is_zero() && self.leadership.now().is_held() {
            self.done = self.scrub().await?;
        }
        let (client, topic) = (self.client.clone(), self.topic.clone());
        let oldest = blocking(move || oldest(&client, &topic)).await.map_err(|error| error.to_string())?;
        let now = self.foundation.clock.now();
        let age = oldest.map_or(0, |oldest| u64::try_from(now.0 - oldest.0).unwrap_or(0));
        self.metrics.exposes(Duration::from_millis(age));
        Ok(self.interval())
    }

    fn log_failure(&self, why: &str) {
        warn!(
            codes::SCRUB_WAITS,
            why, "could not measure or delete the input's plaintext; the worker tries again"
        );
    }
}

/// Next offset of each partition for which a group has committed an offset.
type Committed = BTreeMap<i32, i64>;

/// Returns the offset before which each partition may be deleted: all groups have committed it. A partition
/// for which one group has committed nothing is absent. Without a group the map is empty.
fn scrub_ends(groups: &[Committed]) -> BTreeMap<i32, i64> {
    let Some((first, others)) = groups.split_first() else { return BTreeMap::new() };
    let slowest = |(partition, next): (&i32, &i64)| {
        let end =
            others.iter().try_fold(*next, |least, group| group.get(partition).map(|next| least.min(*next)));
        end.map(|end| (*partition, end))
    };
    first.iter().filter_map(slowest).collect()
}

/// Returns the record time of the oldest among the partitions' first records.
fn oldest(client: &ClientSettings, topic: &str) -> Result<Option<Millis>, ScanError> {
    let mut scan = Scan::begin(client, topic, Range::First)?;
    let mut oldest: Option<Millis> = None;
    loop {
        match scan.next(Duration::from_millis(500))? {
            Next::Record(record) => oldest = oldest.into_iter().chain(record.timestamp).min(),
            Next::Idle => {}
            Next::End => return Ok(oldest),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_slowest_group_decides() {
        let (ours, audit) = (BTreeMap::from([(0, 100), (1, 100)]), BTreeMap::from([(0, 40), (1, 300)]));
        assert_eq!(scrub_ends(&[ours.clone(), audit]), BTreeMap::from([(0, 40), (1, 100)]));
        assert_eq!(scrub_ends(std::slice::from_ref(&ours)), ours);
    }

    #[test]
    fn a_partition_that_a_group_has_not_committed_stays() {
        let ours = BTreeMap::from([(0, 100), (1, 100)]);
        assert_eq!(scrub_ends(&[ours.clone(), BTreeMap::from([(1, 7)])]), BTreeMap::from([(1, 7)]));
        assert_eq!(scrub_ends(&[ours, BTreeMap::new()]), BTreeMap::new());
        assert_eq!(scrub_ends(&[]), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn nothing_that_any_group_has_still_to_read_is_deleted(
            groups in prop::collection::vec(prop::collection::btree_map(0..4_i32, 0..100_i64, 0..5), 0..4)
        ) {
            for (partition, end) in scrub_ends(&groups) {
                prop_assert!(
                    groups.iter().all(|group| group.get(&partition).is_some_and(|next| *next >= end))
                );
            }
        }
    }
}
