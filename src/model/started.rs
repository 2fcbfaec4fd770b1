//! A partition that a group has started.

use super::TopicId;

/// An entry of the start log: what was known of a partition when its start was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    pub partition: i32,
    /// Id of the topic. `None`: it is not known.
    pub topic: Option<TopicId>,
    /// The committed offset of the last gap that an operator accepted for this partition; -1 if the broker
    /// held none at that time. `None`: no gap was accepted.
    pub accepted: Option<i64>,
}
