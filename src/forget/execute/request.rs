//! What a record of the control topic asks for.

use super::context::Desk;
use super::erase::Target;
use crate::forget::command::act::Act;
use crate::forget::command::call::Call;
use crate::forget::command::message::Message;
use crate::forget::decide::change::Change;
use crate::keys::Hold;
use crate::model::{Due, Millis, Retention};

/// A command and the record that it stood in.
#[derive(Clone)]
pub(in crate::forget) struct Request {
    pub offset: i64,
    pub message: Message,
    pub requested_at: Option<Millis>,
}

/// A record of the control topic that asks for something.
#[derive(Clone)]
pub(in crate::forget) enum Job {
    Command(Box<Request>),
    Call(CallRequest),
}

/// A call and the record that it stood in.
#[derive(Clone)]
pub(in crate::forget) struct CallRequest {
    pub offset: i64,
    pub call: Call,
    pub requested_at: Option<Millis>,
}

impl Job {
    pub fn offset(&self) -> i64 {
        match self {
            Self::Command(request) => request.offset,
            Self::Call(request) => request.offset,
        }
    }
}

impl Request {
    /// The hours that are to be erased.
    pub fn target(&self, desk: &Desk) -> Option<Target> {
        let Message { digest, command, .. } = &self.message;
        let token = desk.store.token(command.customer.as_ref().ok()?);
        Some(Target { token, from: command.from, to: command.to, command: *digest })
    }

    /// The retention that is asked for.
    pub fn change(&self, desk: &Desk, past: Due, before: Option<Retention>) -> Option<Change> {
        let Message { digest, command, .. } = &self.message;
        let Act::Retention(retention) = command.act else { return None };
        let token = desk.store.token(command.customer.as_ref().ok()?);
        Some(Change { token, retention, past, before, command: *digest })
    }

    /// The hold that is asked for or about; a release's has all hours.
    pub fn hold(&self, desk: &Desk) -> Option<Hold> {
        let command = &self.message.command;
        let (Act::Hold(id) | Act::Release(id)) = &command.act else { return None };
        let token = desk.store.token(command.customer.as_ref().ok()?);
        Some(Hold { id: id.clone(), token, from: command.from, to: command.to })
    }
}
