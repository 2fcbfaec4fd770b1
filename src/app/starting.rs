//! The steps of a start and the reasons for its waits, on `/readyz` and in the log.

use std::cell::RefCell;

use crate::keys::StoreError;
use crate::telemetry::{Condition, START, Telemetry, codes, warn};

/// The condition `start`. It is removed when the start is over.
pub(super) struct Starting {
    condition: Condition,
    /// The reason that the log has named last.
    named: RefCell<Option<String>>,
}

impl Starting {
    pub(super) fn of(telemetry: &Telemetry) -> Self {
        let this = Self { condition: telemetry.readiness.condition(START), named: RefCell::default() };
        this.at("the key store is being opened");
        this
    }

    pub(super) fn at(&self, step: &str) {
        self.condition.unmet(step);
    }

    /// Reports each reason, and logs it once in a row.
    pub(super) fn waits_for_the_store(&self, why: &StoreError) {
        let why = why.to_string();
        self.at(&why);
        if self.named.borrow().as_ref() != Some(&why) {
            warn!(codes::STORE_AWAY, why, "the key store cannot be opened yet; retrying");
            self.named.replace(Some(why));
        }
    }
}
