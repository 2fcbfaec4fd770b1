//! The facts on which a decision on a command rests.

use std::collections::BTreeSet;

use super::target::Asked;
use crate::forget::command::act::{Act, Command, Terms};
use crate::forget::command::trust::Right;
use crate::keys::{Hold, Meta};
use crate::model::{Due, Millis, Retention};

/// All facts that decide on a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    pub asked: Asked,
    pub is_signed: bool,
    /// The rights that its signers give it. For an unsigned command, the settings give them.
    pub granted: BTreeSet<Right>,
    pub is_for_us: bool,
    pub window: Window,
    /// Another command with this id was decided before.
    pub id_is_reused: bool,
    /// A hold covers an hour of the range, or of the customer.
    pub held: bool,
    /// The latest due of all hours of the range; `None` while it is unknown, which counts as never.
    pub due: Option<Due>,
    pub hold: HoldIs,
    /// The requested retention makes hours due sooner.
    pub shortens: bool,
    /// The customer's retention so far; `None` for the store's default.
    pub before: Option<Retention>,
    /// A row of the customer that these facts need is not usable, and no further try is made.
    pub unusable: bool,
}

/// The present time, compared with the times in which a command may be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    Before,
    Within,
    After,
}

/// The hold that the store has under the id that the command names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldIs {
    Unknown,
    /// A hold of this customer. If a hold is to be placed, it also covers the same hours.
    Same,
    Other,
}

impl Facts {
    /// The facts that the command itself gives. The facts from the store are added later, if the customer and
    /// the range are valid.
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
            // Assumed until the store's facts are added.
            shortens: true,
            before: None,
            unusable: false,
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
    /// Compares the store's hold under the id with the requested one. A release names no hours.
    pub(in crate::forget) fn of(there: Option<&Hold>, asked: &Hold, act: &Act) -> Self {
        match there {
            None => Self::Unknown,
            Some(there) if there == asked => Self::Same,
            Some(there) if matches!(act, Act::Release(_)) && there.token == asked.token => Self::Same,
            Some(_) => Self::Other,
        }
    }
}
