//! The wiring: the only room that builds edges. It starts the parts of a process, waits for the stop, and
//! ends them in order.
//!
//! Start at [`run()`]. [`demo()`] runs the same lane against a broker within the process.

mod barrier;
mod basis;
mod build;
mod canary;
mod control_writer;
mod current;
mod demo;
mod duty;
mod executor;
mod failure;
mod forgetting;
mod lanes;
mod leadership;
mod login;
mod metrics;
mod placement;
mod preflight;
mod process;
mod receipt_log;
mod reclaim;
mod redrive;
mod reload;
mod replay;
mod run;
mod service;
mod sizes;
mod starting;
mod starts;
mod supervision;
mod threads;
mod topics;
mod trust;
mod watchdog;

pub use crate::stream::AcceptedGap;
pub use build::{
    Foundation, Opening, client_settings, open_foundation, open_vault, scylla_options, sqlite_options,
};
pub use canary::canary;
pub use current::CurrentKeys;
pub use demo::{DemoOptions, DemoSummary, demo};
pub use failure::Failure;
pub use lanes::admit;
pub use metrics::every_family;
pub use placement::{Fit, Placed, placed};
pub use preflight::preflight;
pub use reclaim::{Prefix, Prefixes, forgotten, reclaim};
pub use redrive::{Redriven, Survey, redrive, survey};
pub use reload::{ReadSettings, Rereading};
pub use replay::{Replayed, replay};
pub use run::{RunOptions, run};
pub use service::Host;
pub use topics::topic_plan;
pub use trust::read_trust;
