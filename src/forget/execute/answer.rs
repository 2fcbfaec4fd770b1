//! The answers to requests.

use crate::forget::command::kind::Kind;
use crate::forget::decide::change::Change;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::swept::SweptHour;

/// The answer to a request.
#[derive(Clone, Debug)]
pub(in crate::forget) enum Answer {
    Receipt(Box<Receipt>),
    Swept(Box<Sweep>),
    /// A call of this kind found nothing to do, or could not do it now. It gets no receipt.
    NothingDue(Kind),
    /// The same bytes are at an earlier offset of the topic, with their receipt.
    Copy,
    /// No trusted key has signed it: it is counted, and nothing is kept of it.
    Unverified,
}

impl Answer {
    pub(super) fn has_receipt(&self) -> bool {
        matches!(self, Self::Receipt(_) | Self::Swept(_))
    }
}

/// The hours that a sweep has forgotten, and their receipt.
#[derive(Clone, Debug)]
pub(in crate::forget) struct Sweep {
    /// Its batch is the one of `hours`.
    pub receipt: Receipt,
    pub hours: Vec<SweptHour>,
}

/// An answer, and the change that must be settled before it is used.
pub(super) struct Executed {
    pub answer: Answer,
    /// A change of a retention that is made but not settled.
    pub unsettled: Option<Change>,
}

impl From<Answer> for Executed {
    fn from(answer: Answer) -> Self {
        Self { answer, unsettled: None }
    }
}
