//! Carries out decisions, reads the result back, and makes the receipt.
//!
//! Promise: a decision is stored before it is carried out, and every redo obeys it. No receipt says more than
//! what was read back from the store. Start at [`step::Executor`], one more lane over the control topic.
//! [`command`] carries out commands. [`sweep`] and [`kek`] carry out what the clock makes due.

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
