//! The clock's sweep: hours that are due are forgotten although no command comes.
//!
//! Promise: what is swept went by the earliest clock and against no hold; every swept hour is in exactly one receipt.
//! Not here: when a process looks (`app`), how an hour is fenced and erased ([`super::destroy`]).
//!
//! A sweep is asked for by a [`Call`](super::Call), so that it has what every command has: its place in an order, a verdict that
//! every redo obeys, and a receipt in one transaction with its offset.

mod carry_out;
mod entry;
mod pending;
mod ruling;

pub use carry_out::SWEEP_HOURS;
pub(super) use carry_out::{Sweep, Swept, sweep};
pub use entry::{NotSwept, SWEPT_HEADER, SweptBatch, SweptHour};
pub use pending::{Pending, PendingHour, pending};
