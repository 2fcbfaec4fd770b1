//! What is decided, and the form in which the store keeps it. Pure: nothing is asked and nothing is done
//! here.
//!
//! Promise: one table says what becomes of every combination of facts; what was stored by an earlier version
//! is still read. Start at [`rules::decide`].

pub(super) mod change;
pub(super) mod decision;
pub(super) mod facts;
pub(super) mod rules;
mod stored;
pub(super) mod target;
pub(super) mod verdict;
