//! What is decided on a command, and the form in which the store keeps it.

use serde::{Deserialize, Serialize};

use crate::model::{Due, Retention};

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

/// What is decided on a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Forget every hour of the range. `due` is when the last of them is due, which is now or was before, unless it is
    /// erased early.
    Erase { due: Due },
    /// Forget every hour of the customer, and close it.
    EraseCustomer,
    /// Forbid erasure of the range.
    Hold,
    /// Lift the hold.
    Release,
    /// Change the customer's retention, which is `before`; what is due at `past` stays as it is.
    Retention { past: Due, before: Option<Retention> },
    /// Do nothing. `due` says when the last hour will be due, where that is why.
    Refused { why: Why, due: Option<Due> },
}

impl Verdict {
    pub(super) fn refused(why: Why) -> Self {
        Self::Refused { why, due: None }
    }

    /// Whether it says something of the command itself, and so takes its id. What is refused for its signatures, or is meant
    /// for another deployment, does not: the same command may come again with more of them, or another one with its id.
    pub fn takes_the_id(&self) -> bool {
        use Why::{NotAuthorized, OtherDeployment, SignatureRequired};
        !matches!(self, Self::Refused { why: OtherDeployment | SignatureRequired | NotAuthorized, .. })
    }
}

/// A verdict with the place of the record on which it was given.
///
/// The offset tells a redo (the same record again: obey, and write the receipt that was never committed) from a copy of
/// the command further on in the topic (its receipt is there, or in the same transaction).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    pub offset: i64,
    pub verdict: Verdict,
    /// Names of the keys that had signed the command; none of one that was accepted unsigned.
    pub signers: Vec<String>,
}

/// The stored form; version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    offset: i64,
    verdict: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signers: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Erase,
    EraseCustomer,
    Hold,
    Release,
    Retention,
    Refused,
}

impl Ruling {
    pub fn to_json(&self) -> Vec<u8> {
        let before = match self.verdict {
            Verdict::Retention { before, .. } => before.map(Retention::as_hours),
            _ => None,
        };
        let (verdict, why, due) = match self.verdict {
            Verdict::Erase { due } => (Word::Erase, None, Some(due.0)),
            Verdict::EraseCustomer => (Word::EraseCustomer, None, None),
            Verdict::Hold => (Word::Hold, None, None),
            Verdict::Release => (Word::Release, None, None),
            Verdict::Retention { past, .. } => (Word::Retention, None, Some(past.0)),
            Verdict::Refused { why, due } => (Word::Refused, Some(why), due.map(|due| due.0)),
        };
        let signers = self.signers.clone();
        let stored = Stored { version: 1, offset: self.offset, verdict, why, due, before, signers };
        serde_json::to_vec(&stored).expect("strings and numbers become JSON")
    }

    /// `None` for what this version has not written: nothing may be done then.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let stored: Stored =
            serde_json::from_slice(json).ok().filter(|stored: &Stored| stored.version == 1)?;
        let due = stored.due.map(Due);
        let verdict = match (stored.verdict, stored.why) {
            (Word::Erase, None) => Verdict::Erase { due: due? },
            (Word::EraseCustomer, None) => Verdict::EraseCustomer,
            (Word::Hold, None) => Verdict::Hold,
            (Word::Release, None) => Verdict::Release,
            (Word::Retention, None) => {
                Verdict::Retention { past: due?, before: stored.before.and_then(Retention::hours) }
            }
            (Word::Refused, Some(why)) => Verdict::Refused { why, due },
            (Word::Refused, None) | (_, Some(_)) => return None,
        };
        Some(Self { offset: stored.offset, verdict, signers: stored.signers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(offset: i64, verdict: Verdict, signers: &[&str]) -> Ruling {
        Ruling { offset, verdict, signers: signers.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn the_stored_form_is_stable() {
        let not_due = Verdict::Refused { why: Why::NotDue, due: Some(Due(9)) };
        for (ruling, json) in [
            (
                ruling(12, Verdict::Erase { due: Due(498_721) }, &[]),
                r#"{"version":1,"offset":12,"verdict":"erase","due":498721}"#,
            ),
            (
                ruling(0, not_due, &[]),
                r#"{"version":1,"offset":0,"verdict":"refused","why":"not-due","due":9}"#,
            ),
            (
                ruling(3, Verdict::Hold, &["dpo", "legal"]),
                r#"{"version":1,"offset":3,"verdict":"hold","signers":["dpo","legal"]}"#,
            ),
            (
                ruling(5, Verdict::EraseCustomer, &["dpo", "legal"]),
                r#"{"version":1,"offset":5,"verdict":"erase-customer","signers":["dpo","legal"]}"#,
            ),
            (
                ruling(6, Verdict::Retention { past: Due(9), before: Retention::hours(24) }, &["dpo"]),
                r#"{"version":1,"offset":6,"verdict":"retention","due":9,"before":24,"signers":["dpo"]}"#,
            ),
            (ruling(4, Verdict::Release, &[]), r#"{"version":1,"offset":4,"verdict":"release"}"#),
        ] {
            assert_eq!(String::from_utf8(ruling.to_json()).expect("UTF-8"), json);
            assert_eq!(Ruling::parse(json.as_bytes()), Some(ruling));
        }
    }

    #[test]
    fn what_another_version_wrote_is_no_ruling() {
        for json in [
            r#"{"version":2,"offset":12,"verdict":"erase","due":498721}"#,
            r#"{"version":1,"offset":12,"verdict":"erase"}"#,
            r#"{"version":1,"offset":12,"verdict":"refused"}"#,
            r#"{"version":1,"offset":12,"verdict":"erase","due":1,"why":"held"}"#,
            r#"{"version":1,"offset":12,"verdict":"erase","due":1,"scope":"all"}"#,
            "",
        ] {
            assert_eq!(Ruling::parse(json.as_bytes()), None, "{json}");
        }
    }

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
