//! The request of a command, its customer, and its period of validity.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::keys::HoldId;
use crate::model::{CustomerError, CustomerId, Hour, Millis, Retention, StoreId};

/// Maximum number of hours that one erasure may name.
const MAX_HOURS: u32 = 65_535;

/// The reason to forget hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The customer's retention is over.
    RetentionEnd,
    /// Somebody asks for it, perhaps before the retention is over.
    Request,
}

/// The action that a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Erase(Reason),
    /// Forget a whole customer: every hour, and those to come. It never waits for a due, so it needs the
    /// right to erase early.
    EraseCustomer,
    /// Forbid erasure.
    Hold(HoldId),
    /// Lift a hold.
    Release(HoldId),
    /// Keep the customer's data for this long, including hours that are not due yet.
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

/// A well-formed command. Its request may still be impossible: then [`decide()`](crate::forget::decide())
/// refuses it, and a receipt says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Chosen by the sender. It is copied into the receipt, and the key store keeps it to detect its reuse.
    pub id: String,
    pub act: Act,
    pub customer: Result<CustomerId, CustomerError>,
    /// The first hour. A release, a retention and the erasure of a customer cover all hours.
    pub from: Hour,
    /// The last hour, inclusive.
    pub to: Hour,
    pub terms: Terms,
}

/// The issuer, the deployment and the period of validity of a command. A signed command names all of them.
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
    /// Whether the hours are in order and, for an erasure that names them, not too many. A hold may cover any
    /// number.
    pub fn range_is_valid(&self) -> bool {
        let more = self.to.0.checked_sub(self.from.0);
        more.is_some_and(|more| more < MAX_HOURS || !matches!(self.act, Act::Erase(_)))
    }
}
