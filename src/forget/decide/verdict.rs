//! What is decided on a command, or why it is refused.

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::target::Target;
use crate::keys::{Hold, HoldId};
use crate::model::{Due, Token};

/// Why something was not done, or not all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is meant for another deployment.
    OtherDeployment,
    /// It is not signed, and asks for what needs a signature.
    SignatureRequired,
    /// Too few of the keys that have signed it have the right to ask for that.
    NotAuthorized,
    /// The customer is empty, too long or reserved.
    InvalidCustomer,
    /// The hours are not in order, or too many.
    InvalidRange,
    /// Another command had this id before.
    IdReuse,
    /// Its time has not come, or is over.
    NotYet,
    Expired,
    /// A legal hold covers an hour.
    Held,
    /// An hour is not due yet.
    NotDue,
    /// Another hold has this id.
    HoldIdReuse,
    /// The customer has no hold of this id.
    UnknownHold,
    /// The store did not confirm all of it when it was read back.
    NotConfirmed,
}

impl Why {
    /// The word in receipts, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::OtherDeployment => "other-deployment",
            Self::SignatureRequired => "signature-required",
            Self::NotAuthorized => "not-authorized",
            Self::InvalidCustomer => "invalid-customer",
            Self::InvalidRange => "invalid-range",
            Self::IdReuse => "id-reuse",
            Self::NotYet => "not-yet",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::NotDue => "not-due",
            Self::HoldIdReuse => "hold-id-reuse",
            Self::UnknownHold => "unknown-hold",
            Self::NotConfirmed => "not-confirmed",
        }
    }
}

/// What is decided on a command, and on whose hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Forget every hour of the target. `due` is when the last of them is due, which is now or was before,
    /// unless it is erased early.
    Erase { target: Target, due: Due },
    /// Forget every hour of the customer, and close it.
    EraseCustomer(Token),
    /// Forbid erasure of the hold's hours.
    Hold(Hold),
    /// Lift the hold.
    Release(HoldId),
    /// Change the customer's retention.
    Retention(Change),
    /// Do nothing. `due` says when the last hour will be due, where that is why.
    Refused { why: Why, due: Option<Due> },
}

impl Verdict {
    pub(super) fn refused(why: Why) -> Self {
        Self::Refused { why, due: None }
    }

    /// Whether it says something of the command itself, and so takes its id. What is refused for its
    /// signatures, or is meant for another deployment, does not: the same command may come again with more of
    /// them, or another one with its id.
    pub fn takes_the_id(&self) -> bool {
        use Why::{NotAuthorized, OtherDeployment, SignatureRequired};
        !matches!(self, Self::Refused { why: OtherDeployment | SignatureRequired | NotAuthorized, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_word_in_json() {
        for why in [
            Why::OtherDeployment,
            Why::SignatureRequired,
            Why::NotAuthorized,
            Why::InvalidCustomer,
            Why::InvalidRange,
            Why::IdReuse,
            Why::NotYet,
            Why::Expired,
            Why::Held,
            Why::NotDue,
            Why::HoldIdReuse,
            Why::UnknownHold,
            Why::NotConfirmed,
        ] {
            assert_eq!(serde_json::to_string(&why).expect("a word"), format!("{:?}", why.code()));
        }
    }
}
