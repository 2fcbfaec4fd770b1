//! What a command asks for, for whom, and for how long it is meant.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::keys::HoldId;
use crate::model::{CustomerError, CustomerId, Hour, Millis, Retention, StoreId};

/// Most hours that one erasure may name.
const MAX_HOURS: u32 = 65_535;

/// Why somebody wants hours forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The customer's retention is over.
    RetentionEnd,
    /// Somebody asks for it, perhaps before that.
    Request,
}

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Erase(Reason),
    /// Forget a customer as a whole: every hour, and those to come. It never waits for a due, so it is asked
    /// for as what goes early.
    EraseCustomer,
    /// Forbid erasure.
    Hold(HoldId),
    /// Lift that.
    Release(HoldId),
    /// Keep the customer's data for so long, what is not due yet included.
    Retention(Retention),
}

impl Act {
    /// The word in commands, receipts and metrics.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Erase(_) => Kind::Erase,
            Self::EraseCustomer => Kind::EraseCustomer,
            Self::Hold(_) => Kind::Hold,
            Self::Release(_) => Kind::Release,
            Self::Retention(_) => Kind::Retention,
        }
    }
}

/// A command that is well formed. What it asks for may still be impossible:
/// [`decide()`](crate::forget::decide()) says so, in a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Chosen by the sender. It is copied into the receipt, and nowhere else.
    pub id: String,
    pub act: Act,
    pub customer: Result<CustomerId, CustomerError>,
    /// The first hour; a release, a retention and the erasure of a customer have all of them.
    pub from: Hour,
    /// The last hour, itself included.
    pub to: Hour,
    pub terms: Terms,
}

/// By whom, for whom and for how long a command is meant. A signed one says all of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Terms {
    pub issuer: Option<String>,
    /// The id of the key store that it is meant for.
    pub deployment: Option<StoreId>,
    pub not_before: Option<Millis>,
    pub expires: Option<Millis>,
}

impl Terms {
    pub(super) fn are_complete(&self) -> bool {
        self.issuer.is_some()
            && self.deployment.is_some()
            && self.not_before.is_some()
            && self.expires.is_some()
    }
}

impl Command {
    /// Whether the hours are in order and not too many. A hold may cover any number.
    pub fn range_is_valid(&self) -> bool {
        let more = self.to.0.checked_sub(self.from.0);
        more.is_some_and(|more| more < MAX_HOURS || !matches!(self.act, Act::Erase(_)))
    }
}
