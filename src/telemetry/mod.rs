//! What the process tells about itself: metrics, readiness, log lines.
//!
//! Promise: no metric has a customer label; each log line has an event code; nothing here is called per event.
//! Not here: the port that serves it (`edge::http`).
//! Start at [`Telemetry`]; the codes of log lines stand in [`codes`].

mod canary;
pub mod codes;
mod forget;
mod keys;
mod lane;
mod log;
mod readiness;
mod receipts;
mod registry;
mod store;

pub use crate::{__line as line, debug, error, info, warn};
pub use canary::{CanaryMetrics, CanaryOutcome};
pub use codes::Code;
pub use forget::ForgetMetrics;
pub use keys::{KeyMetrics, KeyOp};
pub use lane::{LaneMetrics, Transaction, Wait};
pub use log::{LogFormat, LogLevel, start as start_logging};
pub use readiness::{Condition, Readiness, Reason};
pub use receipts::ReceiptMetrics;
pub use registry::Telemetry;
pub use store::{Outcome, Settled, StoreMetrics, StoreOp};
