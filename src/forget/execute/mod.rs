//! What was decided is done, read back, and becomes a receipt.
//!
//! Promise: what was decided is stored before anything is done, and every redo obeys it; no receipt says more
//! than what was read back from the store. Start at [`step::Executor`], one more lane over the control topic;
//! [`command`] is a command's way, [`sweep`] and [`kek`] that of the clock.

pub(super) mod answer;
pub(super) mod batch;
mod command;
pub(super) mod context;
mod decision;
pub(super) mod due_kek;
pub(super) mod erase;
pub(super) mod error;
mod facts;
mod kek;
mod needs;
pub(super) mod once;
pub(super) mod overdue;
pub(super) mod request;
pub(super) mod retention;
pub(super) mod run;
pub(super) mod step;
pub(super) mod survey;
mod sweep;
