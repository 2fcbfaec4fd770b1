//! A request in a record of the control topic, and its name in the store and in its receipt.

use super::context::Context;
use crate::forget::command::act::Act;
use crate::forget::command::call::{Call, Wants};
use crate::forget::command::error::NotACommand;
use crate::forget::command::message::{Message, Unverified};
use crate::forget::decide::target::Asked;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::keys::Meta;
use crate::model::{Digest, Hour, Millis};

/// A request, and the offset of its record.
#[derive(Clone)]
pub(in crate::forget) struct Request {
    pub offset: i64,
    /// The record's timestamp.
    pub requested_at: Option<Millis>,
    /// The digest of the command, or of the call.
    pub digest: Digest,
    /// The id of the command, or of the call.
    pub id: String,
    pub asks: Asks,
}

/// The content of a request.
#[derive(Clone)]
pub(in crate::forget) enum Asks {
    /// A person asks for it.
    Command(Box<Message>),
    /// The clock has made it due.
    Call(Wants),
}

impl Request {
    /// Reads a record's value.
    ///
    /// # Errors
    /// [`NotACommand`] if it is neither a call nor a command.
    pub fn read(
        offset: i64,
        value: Option<&[u8]>,
        requested_at: Option<Millis>,
    ) -> Result<Self, NotACommand> {
        if let Some(Call { id, wants, digest }) = value.and_then(Call::parse) {
            return Ok(Self { offset, requested_at, digest, id, asks: Asks::Call(wants) });
        }
        let message = Unverified::new(value)?.parse()?;
        let (digest, id) = (message.digest, message.command.id.clone());
        Ok(Self { offset, requested_at, digest, id, asks: Asks::Command(Box::new(message)) })
    }

    /// Makes a receipt for it, done at `done_at`.
    pub fn receipt(
        &self,
        deed: Deed,
        outcome: Outcome,
        hours: (Hour, Hour),
        meta: &Meta,
        done_at: Millis,
    ) -> Receipt {
        let receipt = Receipt::new((self.digest, self.id.clone()), deed, outcome, hours, done_at, meta.store);
        Receipt { requested_at: self.requested_at, ..receipt }
    }
}

impl Asks {
    /// Returns the content of a change of a retention; `None` for another request.
    pub fn retention(&self, ctx: &Context) -> Option<Asked> {
        let Self::Command(message) = self else { return None };
        let is_change = matches!(message.command.act, Act::Retention(_));
        is_change.then(|| Asked::of(message, |customer| ctx.store.token(customer)))
    }

    /// Whether it may erase hours that are due.
    pub fn erases_what_is_due(&self) -> bool {
        match self {
            Self::Command(message) => matches!(message.command.act, Act::Erase(_)),
            Self::Call(wants) => matches!(wants, Wants::Sweep(_)),
        }
    }
}
