//! The only output of a lane.

use std::ffi::CStr;

use crate::model::{ClassId, Millis};
use crate::stream::{Outgoing, Publish, TopicIndex};

/// Index of the output topic in the lane's connector.
pub(super) const OUTPUT: TopicIndex = TopicIndex(0);
/// Index of the quarantine topic.
pub(super) const QUARANTINE: TopicIndex = TopicIndex(1);
/// Index of the topic of the first retention class. The others follow in their order.
const FIRST_CLASS: usize = 2;

/// An envelope, or a quarantine record without content. In the clear are only the customer id, the timestamp,
/// the key and headers that the settings allow, and the labels of a quarantine record.
/// Made by [`super::SealingLane`] and [`super::Redrive`] only.
pub struct Sealed<'a> {
    topic: TopicIndex,
    partition: Option<i32>,
    timestamp: Millis,
    key: Option<&'a [u8]>,
    envelope: Option<&'a [u8]>,
    headers: &'a [(&'a CStr, &'a [u8])],
}

impl<'a> Sealed<'a> {
    /// A sealed event for the output topic, or for the topic of its retention class.
    pub(super) fn event(
        (class, partition): (Option<ClassId>, i32),
        timestamp: Millis,
        key: Option<&'a [u8]>,
        envelope: &'a [u8],
        headers: &'a [(&'a CStr, &'a [u8])],
    ) -> Self {
        let envelope = Some(envelope);
        let topic = class.map_or(OUTPUT, |ClassId(class)| TopicIndex(FIRST_CLASS + class));
        Self { topic, partition: Some(partition), timestamp, key, envelope, headers }
    }

    /// A record for the quarantine topic. Its timestamp is the worker's time.
    pub(super) fn quarantined(
        now: Millis,
        key: Option<&'a [u8]>,
        envelope: Option<&'a [u8]>,
        headers: &'a [(&'a CStr, &'a [u8])],
    ) -> Self {
        Self { topic: QUARANTINE, partition: None, timestamp: now, key, envelope, headers }
    }

    /// A mark of how far a partition of the quarantine has been redriven, without content. It is sent to that
    /// partition, after the records that it covers, so no retention deletes it before them.
    pub(super) fn redriven(partition: i32, now: Millis, headers: &'a [(&'a CStr, &'a [u8])]) -> Self {
        Self { partition: Some(partition), ..Self::quarantined(now, None, None, headers) }
    }
}

impl Publish for Sealed<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: self.topic,
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key,
            value: self.envelope,
            headers: self.headers,
        }
    }
}
