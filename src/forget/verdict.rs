//! What is decided on a command, and the form in which the store keeps it.

use serde::{Deserialize, Serialize};

use crate::model::Due;

/// Why something was not done, or not all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Unsigned commands are refused, or this one asks for what needs a signature.
    SignatureRequired,
    /// The customer is empty, too long or reserved.
    InvalidCustomer,
    /// The hours are not in order, or too many.
    InvalidRange,
    /// Another command had this id before.
    IdReuse,
    /// A legal hold covers an hour.
    Held,
    /// An hour is not due yet.
    NotDue,
    /// The store did not confirm all of it when it was read back.
    NotConfirmed,
}

impl Why {
    /// The word in receipts, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::SignatureRequired => "signature-required",
            Self::InvalidCustomer => "invalid-customer",
            Self::InvalidRange => "invalid-range",
            Self::IdReuse => "id-reuse",
            Self::Held => "held",
            Self::NotDue => "not-due",
            Self::NotConfirmed => "not-confirmed",
        }
    }
}

/// What is decided on a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Forget every hour of the range. The last of them is due since `due`.
    Erase { due: Due },
    /// Do nothing. `due` says when the last hour will be due, where that is why.
    Refused { why: Why, due: Option<Due> },
}

impl Verdict {
    pub(super) fn refused(why: Why) -> Self {
        Self::Refused { why, due: None }
    }

    /// Whether the command counts as verified, so that its id and verdict are stored. A command without the signature
    /// that it needs never touches the id table: it could take the id of the one that has it.
    pub fn is_kept(&self) -> bool {
        !matches!(self, Self::Refused { why: Why::SignatureRequired, .. })
    }
}

/// A verdict with the place of the record on which it was given.
///
/// The offset tells a redo (the same record again: obey, and write the receipt that was never committed) from a copy of
/// the command further on in the topic (its receipt is there, or in the same transaction).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ruling {
    pub offset: i64,
    pub verdict: Verdict,
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
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Erase,
    Refused,
}

impl Ruling {
    pub fn to_json(&self) -> Vec<u8> {
        let (verdict, why, due) = match self.verdict {
            Verdict::Erase { due } => (Word::Erase, None, Some(due.0)),
            Verdict::Refused { why, due } => (Word::Refused, Some(why), due.map(|due| due.0)),
        };
        let stored = Stored { version: 1, offset: self.offset, verdict, why, due };
        serde_json::to_vec(&stored).expect("strings and numbers become JSON")
    }

    /// `None` for what this version has not written: nothing may be done then.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let stored: Stored =
            serde_json::from_slice(json).ok().filter(|stored: &Stored| stored.version == 1)?;
        let due = stored.due.map(Due);
        let verdict = match (stored.verdict, stored.why) {
            (Word::Erase, None) => Verdict::Erase { due: due? },
            (Word::Refused, Some(why)) => Verdict::Refused { why, due },
            (Word::Erase, Some(_)) | (Word::Refused, None) => return None,
        };
        Some(Self { offset: stored.offset, verdict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_stable() {
        let erase = Ruling { offset: 12, verdict: Verdict::Erase { due: Due(498_721) } };
        assert_eq!(erase.to_json(), br#"{"version":1,"offset":12,"verdict":"erase","due":498721}"#);
        let refused = Verdict::Refused { why: Why::NotDue, due: Some(Due(9)) };
        let refused = Ruling { offset: 0, verdict: refused };
        assert_eq!(
            refused.to_json(),
            br#"{"version":1,"offset":0,"verdict":"refused","why":"not-due","due":9}"#
        );
        for ruling in [erase, refused, Ruling { offset: 3, verdict: Verdict::refused(Why::Held) }] {
            assert_eq!(Ruling::parse(&ruling.to_json()), Some(ruling));
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
            Why::SignatureRequired,
            Why::InvalidCustomer,
            Why::InvalidRange,
            Why::IdReuse,
            Why::Held,
            Why::NotDue,
            Why::NotConfirmed,
        ] {
            assert_eq!(serde_json::to_string(&why).expect("a word"), format!("{:?}", why.code()));
        }
    }
}
