//! The few calls that the safe API lacks or makes slow. `unsafe` is only here and in `envelope/locked.rs`.
#![allow(
    unsafe_code,
    reason = "librdkafka calls that rdkafka does not wrap; each block states why it is sound"
)]

mod consumer;
mod describe;
mod events;
mod group;
mod held;
mod listen;
mod offsets;
mod produce;
mod producer;
mod request;
#[cfg(test)]
mod tests;

pub(super) use consumer::{GroupMembership, MessageHeaders, cached_end};
pub(super) use describe::{TopicDescription, describe_topics};
pub(super) use events::{Deliveries, Events};
pub(super) use group::group_members;
pub(super) use held::{Clients, Held};
pub(super) use offsets::{OffsetSpec, list_offsets};
pub(super) use produce::{Queued, TopicHandle, produce};
pub(super) use producer::TransactionalProducer;
