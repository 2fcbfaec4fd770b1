//! What a decision on a command rests on.

use std::collections::BTreeSet;

use super::target::Asked;
use crate::forget::command::act::{Act, Command, Terms};
use crate::forget::command::trust::Right;
use crate::keys::{Hold, Meta};
use crate::model::{Due, Millis, Retention};

/// All that decides on a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    pub asked: Asked,
    pub is_signed: bool,
    /// What those who stand behind it may ask for.
    pub granted: BTreeSet<Right>,
    pub is_for_us: bool,
    pub window: Window,
    /// Another command with this id was decided before.
    pub id_is_reused: bool,
    /// A hold covers an hour of the range, or of the customer.
    pub held: bool,
    /// The latest due of all hours of the range; `None` while it is not known, which is as good as never.
    pub due: Option<Due>,
    pub hold: HoldIs,
    /// The retention that is asked for makes something due sooner.
    pub shortens: bool,
    /// The customer's retention until then, where it is not the default.
    pub before: Option<Retention>,
}

/// Now, beside the times in which a command may be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    Before,
    Within,
    After,
}

/// What the store has under the id of the hold that is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldIs {
    Unknown,
    /// Of this customer; for a hold that is to be placed also of these hours.
    Same,
    Other,
}

impl Facts {
    /// What a command says by itself. What the store says of it is added later, for those only that may be
    /// carried out.
    pub(in crate::forget) fn of(
        command: &Command,
        asked: Asked,
        signers: &[String],
        granted: BTreeSet<Right>,
        (meta, now): (&Meta, Millis),
    ) -> Self {
        let Terms { deployment, .. } = &command.terms;
        Self {
            asked,
            is_signed: !signers.is_empty(),
            granted,
            is_for_us: deployment.is_none_or(|deployment| deployment == meta.store),
            window: Window::of(&command.terms, now),
            id_is_reused: false,
            held: false,
            due: None,
            hold: HoldIs::Unknown,
            // Until the store has said otherwise.
            shortens: true,
            before: None,
        }
    }
}

impl Window {
    fn of(terms: &Terms, now: Millis) -> Self {
        match terms {
            Terms { not_before: Some(from), .. } if now < *from => Self::Before,
            Terms { expires: Some(to), .. } if now >= *to => Self::After,
            _ => Self::Within,
        }
    }
}

impl HoldIs {
    /// What is there under the id, beside what is asked for; a release asks for no hours.
    pub(in crate::forget) fn of(there: Option<&Hold>, asked: &Hold, act: &Act) -> Self {
        match there {
            None => Self::Unknown,
            Some(there) if there == asked => Self::Same,
            Some(there) if matches!(act, Act::Release(_)) && there.token == asked.token => Self::Same,
            Some(_) => Self::Other,
        }
    }
}
