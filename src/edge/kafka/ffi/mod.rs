//! The few calls that the safe API lacks or makes slow. `unsafe` is only here and in `envelope/locked.rs`.
#![allow(
    unsafe_code,
    reason = "librdkafka calls that rdkafka does not wrap; each block states why it is sound"
)]

mod consumer;
#[cfg_attr(not(test), expect(dead_code, reason = "the source will ask for topic ids"))]
mod describe;
mod events;
mod listen;
#[cfg_attr(not(test), expect(dead_code, reason = "the source will ask for all log ends at once"))]
mod offsets;
mod produce;
mod producer;
mod request;
#[cfg(test)]
mod tests;

pub(super) use consumer::{GroupMembership, MessageHeaders, cached_end};
pub(super) use events::Deliveries;
pub(super) use produce::{Queued, TopicHandle, produce};
pub(super) use producer::TransactionalProducer;
