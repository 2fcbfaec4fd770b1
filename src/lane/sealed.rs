//! The only thing of a lane that may leave.

use std::ffi::CStr;

use crate::model::{ClassId, Millis};
use crate::stream::{Outgoing, Publish, TopicIndex};

/// The output topic's place in the lane's connector.
pub(super) const OUTPUT: TopicIndex = TopicIndex(0);
/// The quarantine topic's place.
pub(super) const QUARANTINE: TopicIndex = TopicIndex(1);
/// The place of the first retention class's topic; the others follow in their order.
const FIRST_CLASS: usize = 2;

/// An envelope, or a quarantine record without content: nothing of an event is in the clear but what the settings say.
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
    /// A sealed event on its way to the output topic, or to its retention class's.
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

    /// A record on its way to the quarantine topic; its timestamp is the worker's.
    pub(super) fn quarantined(
        now: Millis,
        key: Option<&'a [u8]>,
        envelope: Option<&'a [u8]>,
        headers: &'a [(&'a CStr, &'a [u8])],
    ) -> Self {
        Self { topic: QUARANTINE, partition: None, timestamp: now, key, envelope, headers }
    }

    /// How far a partition of the quarantine has been redriven: a record without content, behind all of which it speaks, so that
    /// no retention takes it sooner than these.
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
