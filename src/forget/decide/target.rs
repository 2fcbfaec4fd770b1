//! The request of a command. It names the customer by the token that the key store uses.

use super::change::Change;
use crate::forget::command::act::Act;
use crate::forget::command::message::Message;
use crate::keys::{Hold, HoldId};
use crate::model::{CustomerId, Digest, Due, Hour, Retention, Token};

/// Hours of one customer that are to be erased, and the command that erases them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    pub token: Token,
    /// The first hour.
    pub from: Hour,
    /// The last hour, inclusive.
    pub to: Hour,
    pub command: Digest,
}

impl Target {
    /// Its hours, in order.
    pub fn hours(&self) -> impl DoubleEndedIterator<Item = Hour> + use<> {
        (self.from.0..=self.to.0).map(Hour)
    }
}

/// The parts of a command that a decision needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub act: Act,
    /// `None` if the command names no valid customer.
    pub token: Option<Token>,
    pub from: Hour,
    pub to: Hour,
    pub range_is_valid: bool,
    pub command: Digest,
}

impl Asked {
    pub fn of(message: &Message, token: impl Fn(&CustomerId) -> Token) -> Self {
        let Message { digest, command, .. } = message;
        Self {
            act: command.act.clone(),
            token: command.customer.as_ref().ok().map(token),
            from: command.from,
            to: command.to,
            range_is_valid: command.range_is_valid(),
            command: *digest,
        }
    }

    /// Its hours, of the customer with this token.
    pub fn target(&self, token: Token) -> Target {
        Target { token, from: self.from, to: self.to, command: self.command }
    }

    /// The hold `id` on its hours. The hold of a release covers all hours.
    pub fn hold(&self, token: Token, id: &HoldId) -> Hold {
        Hold { id: id.clone(), token, from: self.from, to: self.to }
    }

    /// The change to `retention`; `past` and `before` as in [`Change`].
    pub fn change(&self, token: Token, retention: Retention, past: Due, before: Option<Retention>) -> Change {
        Change { token, retention, past, before, command: self.command }
    }
}
