//! The input's plaintext: how old the oldest of it is, told to metrics, and its deletion where that is wanted. Decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Foundation;
use super::calling::Seat;
use super::process::Process;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::TopicAdmin;
use crate::edge::kafka::scan::{Next, Range, Scan, ScanError};
use crate::forget::scrub_ends;
use crate::model::Millis;
use crate::telemetry::{ForgetMetrics, codes, warn};

/// Time from one look at the oldest record to the next where nothing is deleted.
const LOOK: Duration = Duration::from_secs(60);

pub(super) struct Scrubbing {
    pub(super) foundation: Foundation,
    pub(super) metrics: ForgetMetrics,
    pub(super) client: ClientSettings,
    /// `topics.input`
    pub(super) topic: String,
    /// The group that seals, then `scrub.groups`.
    pub(super) groups: Vec<String>,
    /// `scrub.every`; zero = only look.
    pub(super) every: Duration,
    pub(super) seat: Seat,
}

impl Process {
    pub(super) fn scrubbing(&self, seat: Seat) -> Scrubbing {
        let ours = std::iter::once(&self.config.kafka.group);
        Scrubbing {
            foundation: self.foundation.clone(),
            metrics: self.telemetry.forget(),
            client: self.client.clone(),
            topic: self.config.topics.input.clone(),
            groups: ours.chain(&self.config.scrub.groups).cloned().collect(),
            every: self.config.scrub.every,
            seat,
        }
    }
}

impl Scrubbing {
    /// Until the task is dropped.
    pub(super) async fn watch(self) {
        let mut waits = false;
        let mut done = BTreeMap::new();
        loop {
            match self.turn(&mut done).await {
                Ok(()) => waits = false,
                Err(why) if !std::mem::replace(&mut waits, true) => {
                    warn!(codes::SCRUB_WAITS, why, "the input's plaintext stays, or its age is not known");
                }
                Err(_) => {}
            }
            tokio::time::sleep(if self.every.is_zero() { LOOK } else { self.every }).await;
        }
    }

    /// `done` is what was deleted before.
    async fn turn(&self, done: &mut BTreeMap<i32, i64>) -> Result<(), String> {
        if !self.every.is_zero() && self.seat.is_taken() {
            let ends = self.scrub(done).await?;
            *done = ends;
        }
        let (client, topic) = (self.client.clone(), self.topic.clone());
        let oldest = tokio::task::spawn_blocking(move || oldest(&client, &topic)).await;
        let oldest = oldest.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let now = self.foundation.clock.now();
        let age = oldest.map_or(0, |oldest| u64::try_from(now.0 - oldest.0).unwrap_or(0));
        self.metrics.exposes(Duration::from_millis(age));
        Ok(())
    }

    /// Answers what is deleted now.
    async fn scrub(&self, done: &BTreeMap<i32, i64>) -> Result<BTreeMap<i32, i64>, String> {
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
        if ends != *done && !ends.is_empty() {
            admin.delete_before(&self.topic, &ends).await.map_err(|error| error.to_string())?;
        }
        Ok(ends)
    }
}

/// Record time of the oldest of the partitions' first records.
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
