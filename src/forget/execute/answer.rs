//! What a request comes to.

use crate::forget::command::kind::Kind;
use crate::forget::decide::change::Change;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::swept::SweptHour;

/// What a request comes to.
#[derive(Clone, Debug)]
pub(in crate::forget) enum Answer {
    Receipt(Box<Receipt>),
    Swept(Box<Sweep>),
    /// A call of this kind found nothing to do, and leaves no trace.
    NothingDue(Kind),
    /// The same bytes stand further up in the topic, with their receipt.
    Copy,
    /// Nobody who is trusted stands behind it: it is counted, and nothing is kept of it.
    Unverified,
}

/// What a sweep has forgotten.
#[derive(Clone, Debug)]
pub(in crate::forget) struct Sweep {
    /// Its batch is that of `hours`.
    pub receipt: Receipt,
    pub hours: Vec<SweptHour>,
}

/// An answer, and what is to be done before it is used.
pub(super) struct Executed {
    pub answer: Answer,
    /// A change of a retention that is made and not settled.
    pub unsettled: Option<Change>,
}

impl From<Answer> for Executed {
    fn from(answer: Answer) -> Self {
        Self { answer, unsettled: None }
    }
}
