//! What was decided is done, read back, and becomes a receipt.
//!
//! Promise: what was decided is stored before anything is done, and every redo obeys it; no receipt says more than what was
//! read back from the store.
//! Start at [`step::Executor`], one more lane over the control topic; [`command`] is a command's way, [`sweep`] and [`kek`] that
//! of the clock.

pub(super) mod batch;
pub(super) mod command;
pub(super) mod context;
mod decision;
pub(super) mod erase;
pub(super) mod kek;
pub(super) mod once;
pub(super) mod overdue;
pub(super) mod request;
pub(super) mod retention;
pub(super) mod step;
pub(super) mod sweep;
