//! The verdict on a command, or the reason to refuse it.

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::target::Target;
use crate::keys::{Hold, HoldId};
use crate::model::{Due, Token};

/// The reason why something was not done, or only in part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is meant for another deployment.
    OtherDeployment,
    /// It is not signed, but what it asks for needs a signature.
    SignatureRequired,
    /// Too few of the keys that have signed it have the right to ask for this.
    NotAuthorized,
    /// The customer is empty, too long or reserved.
    InvalidCustomer,
    /// The hours are not in order, or there are too many of them.
    InvalidRange,
    /// Another command had this id before.
    IdReuse,
    /// The time from which it is valid has not come yet.
    NotYet,
    /// The time until which it is valid is over.
    Expired,
    /// A legal hold covers an hour.
    Held,
    /// An hour is not due yet.
    NotDue,
    /// Another hold has this id.
    HoldIdReuse,
    /// The customer has no hold of this id.
    UnknownHold,
    /// The store did not confirm all of it when it was read back, or an hour could not get its new terms.
    NotConfirmed,
    /// A row of the customer, or a KEK that its keys need, is not usable. Unlike a refusal, the command may
    /// be carried out in part; the receipt lists the erased keys.
    Unusable,
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
            Self::Unusable => "unusable",
        }
    }
}

/// The verdict on a command, with the hours that it concerns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Forget every hour of the target. `due` is the latest due of these hours. It has been reached, unless
    /// the hours are erased early.
    Erase { target: Target, due: Due },
    /// Forget every hour of the customer, and close the customer.
    EraseCustomer(Token),
    /// Forbid erasure of the hold's hours.
    Hold(Hold),
    /// Lift the hold.
    Release(HoldId),
    /// Change the customer's retention.
    Retention(Change),
    /// Do nothing. If an hour is not due yet, `due` says when the last one will be. With [`Why::Unusable`]
    /// the command was not judged to the end, and its receipt says `incomplete`.
    Refused { why: Why, due: Option<Due> },
}

impl Verdict {
    pub(super) fn refused(why: Why) -> Self {
        Self::Refused { why, due: None }
    }

    /// Whether the verdict is about the command itself, and so takes its id. A command that is refused for
    /// its signatures, or that is meant for another deployment, does not take its id: the same command may
    /// come again with more signatures, or another command with the same id.
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
            Why::Unusable,
        ] {
            assert_eq!(serde_json::to_string(&why).expect("a word"), format!("{:?}", why.code()));
        }
    }
}
