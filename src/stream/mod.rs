//! Exactly once: consume, transform, produce. Nothing here knows of keys.
//!
//! Promise: the output of a [`Step`] for a record becomes visible together with that record's offset, or not
//! at all. The group is polled while the step waits. Nothing is polled while a transaction is open.
//! Not here: the work on a record (`lane`, `forget`), the Kafka client (`edge::kafka`).
//! Start at [`Engine::run`]. [`fate()`] decides about every failure.

mod assignment;
mod board;
mod budget;
mod engine;
mod failures;
mod fate;
mod fences;
mod foreign;
mod known;
mod member;
mod offsets;
mod park;
mod partitions;
mod record;
mod settle;
mod source;
mod start;
mod step;
mod stop;
#[cfg(test)]
mod tests;
mod txn;
mod watchdog;

pub use board::Board;
pub use engine::{Engine, Pace, Parking};
pub use fate::{Cause, ErrorClass, Fate, Fault, Fence, Halt, Seen, Stage, StreamError, fate};
pub use foreign::{CLIENT_ID, ForeignMember};
pub use park::{PARK_CODES, Park, committed_text};
pub use record::{Headers, Input, NoHeaders, Outgoing, Publish, Take, TopicIndex};
pub use source::{Change, Connector, NextOffset, Sink, Source};
pub use start::{AcceptedGap, Answer, Committed, Facts, Gaps, Start, StartLog, StartRules, start_at};
pub use step::{Event, Ready, Step, Wait, Waiting};
pub use stop::{PATIENCE, Stop};
pub use txn::{Filling, Staged, Txn};
pub use watchdog::{Call, Pulse};
