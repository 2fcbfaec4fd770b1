//! Kafka, by librdkafka: the only room that says `rdkafka`.

mod client;
mod connector;
mod ffi;
mod sink;
mod source;

pub use client::{ClientSettings, Properties};
pub use connector::{LaneConnector, LaneIdentity};
