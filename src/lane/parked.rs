//! Shows the parked partitions of a process in `/readyz`.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` creates it"))]

use crate::stream::{Board, Park};
use crate::telemetry::{Condition, Readiness};

/// The view that the lanes of a process share.
pub(crate) struct ParkedView {
    topic: String,
    board: Board,
    readiness: Readiness,
    /// Unmet while every partition is parked.
    any_flows: Condition,
}

impl ParkedView {
    /// The view of the partitions of this topic.
    pub(crate) fn new(topic: &str, readiness: Readiness) -> Self {
        let any_flows = readiness.condition("partitions");
        any_flows.met();
        Self { topic: topic.to_owned(), board: Board::default(), readiness, any_flows }
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Notes that the partition is parked, until the result is dropped.
    pub(super) fn parked(&self, partition: i32, why: &Park) -> Condition {
        let name = format!("partition {partition} of {}", self.topic);
        let note = format!("{name} is parked ({}): {}", why.code(), why.text(partition));
        let condition = self.readiness.condition(name);
        condition.noted(note);
        condition
    }

    /// Follows a change of the board.
    pub(super) fn refresh(&self) {
        match self.board.is_all_parked() {
            true => self.any_flows.unmet("every partition of this process is parked: see `notes`"),
            false => self.any_flows.met(),
        }
    }
}
