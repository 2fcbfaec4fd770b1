//! Kafka, through librdkafka. Only this room uses `rdkafka`.

pub mod admin;
mod bounded;
mod checkpoints;
mod client;
mod connector;
mod ffi;
mod inspector;
mod kind;
mod listener;
mod login;
pub mod mock;
mod outage;
pub mod post;
mod reach;
mod reason;
mod requests;
pub mod sample;
pub mod scan;
mod sink;
mod sizes;
mod source;
mod tail;

pub use checkpoints::CheckpointPost;
pub use client::{ClientSettings, Properties, answers};
pub use connector::{LaneConnector, LaneIdentity};
pub use login::{FetchToken, Login, Password, Token, TokenFault, token_of_file};
pub use reach::{NoBroker, OnWait, Reach, Waiting};
pub use tail::ReceiptTail;
