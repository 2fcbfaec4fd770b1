//! The answer of `/readyz`: whether the process does its work, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The condition that the process has started. It is on the board only during the start.
pub const START: &str = "start";

/// A condition that is not met.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reason {
    pub condition: String,
    pub why: String,
}

/// The state of a condition, with its text.
#[derive(Clone)]
enum State {
    Met,
    /// It is met, but its reader should know something.
    Noted(String),
    Unmet(String),
}

/// A board of named conditions that the whole process shares. Ready means that every condition is met.
#[derive(Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<String, State>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Readiness {
    /// Adds a condition that is unmet until its owner calls [`Condition::met`]. The name is for people:
    /// `group joined`, `receipts read`, `store reachable`, `clocks agree`, `lane 0`.
    pub fn condition(&self, name: impl Into<String>) -> Condition {
        let condition = Condition { name: name.into(), board: self.clone() };
        condition.unmet("not known yet");
        condition
    }

    /// Adds a note for the reader to every answer, ready or not.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// Whether the start is over: its condition has gone. This does not say that the process is ready.
    pub fn has_started(&self) -> bool {
        !self.lock().contains_key(START)
    }

    /// Returns the unmet conditions, by name. An empty board is a reason, too: the process has not started
    /// its work, or has ended it.
    pub fn reasons(&self) -> Vec<Reason> {
        let conditions = self.lock();
        if conditions.is_empty() {
            return vec![Reason { condition: "running".to_owned(), why: "starting or stopping".to_owned() }];
        }
        let unmet = |(name, state): (&String, &State)| match state {
            State::Unmet(why) => Some(Reason { condition: name.clone(), why: why.clone() }),
            State::Met | State::Noted(_) => None,
        };
        conditions.iter().filter_map(unmet).collect()
    }

    /// Each condition, and whether it is met. `running` is unmet while the process starts or stops.
    pub(super) fn states(&self) -> Vec<(String, bool)> {
        let conditions = self.lock();
        let running = ("running".to_owned(), !conditions.is_empty() && !conditions.contains_key(START));
        let others = conditions.iter().filter(|(name, _)| *name != START);
        let state = |(name, state): (&String, &State)| (name.clone(), !matches!(state, State::Unmet(_)));
        std::iter::once(running).chain(others.map(state)).collect()
    }

    /// `{"ready":bool,"reasons":[{"condition":"..","why":".."}]}`, and `"notes":[".."]` if there are any.
    pub fn to_json(&self) -> (bool, String) {
        let reasons = self.reasons();
        let ready = reasons.is_empty();
        let mut body = serde_json::json!({ "ready": ready, "reasons": reasons });
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.extend(self.lock().values().filter_map(|state| match state {
            State::Noted(text) => Some(text.clone()),
            State::Met | State::Unmet(_) => None,
        }));
        if !notes.is_empty() {
            body["notes"] = notes.into();
        }
        (ready, body.to_string())
    }

    /// A panic elsewhere leaves the map consistent, because each change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition, held by its owner. Dropping it removes it from the board.
pub struct Condition {
    name: String,
    board: Readiness,
}

impl Condition {
    pub fn met(&self) {
        self.set(State::Met);
    }

    /// `why` names the object and the number, never a customer.
    pub fn unmet(&self, why: impl Into<String>) {
        self.set(State::Unmet(why.into()));
    }

    /// The condition is met, and every answer carries this note.
    pub fn noted(&self, text: impl Into<String>) {
        self.set(State::Noted(text.into()));
    }

    fn set(&self, state: State) {
        self.board.lock().insert(self.name.clone(), state);
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.board.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_there_are_conditions_and_every_one_is_met() {
        let board = Readiness::default();
        assert!(!board.to_json().0, "nothing has begun");
        let store = board.condition("store reachable");
        let group = board.condition("group joined");
        store.met();
        assert_eq!(
            board.to_json(),
            (
                false,
                r#"{"ready":false,"reasons":[{"condition":"group joined","why":"not known yet"}]}"#
                    .to_owned()
            )
        );
        group.met();
        assert_eq!(board.to_json(), (true, r#"{"ready":true,"reasons":[]}"#.to_owned()));
        store.unmet("busy for 12 s");
        assert_eq!(board.reasons()[0].why, "busy for 12 s");
        drop(store);
        assert!(board.to_json().0);
        drop(group);
        assert_eq!(board.reasons()[0].why, "starting or stopping");
        let store = board.condition("store reachable");
        board.condition("group joined").met();
        board.note("unsigned");
        assert!(board.to_json().1.starts_with(r#"{"notes":["unsigned"],"ready":false,"#));
        assert_eq!(board.states(), [("running".to_owned(), true), ("store reachable".to_owned(), false)]);
        let start = board.condition(START);
        assert_eq!(board.states()[0], ("running".to_owned(), false));
        drop(start);
        store.noted("slow");
        assert_eq!(board.to_json().1, r#"{"notes":["unsigned","slow"],"ready":true,"reasons":[]}"#);
    }
}
