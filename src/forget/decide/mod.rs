//! Decisions, and the form in which the store keeps them. Pure: this code asks no store and changes nothing.
//!
//! Promise: one table gives the verdict for every combination of facts. Decisions that an earlier version
//! stored can still be read. Start at [`rules::decide`].

pub(super) mod change;
pub(super) mod decision;
pub(super) mod facts;
pub(super) mod rules;
mod stored;
pub(super) mod target;
pub(super) mod verdict;
