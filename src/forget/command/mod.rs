//! Requests: commands that people sign, calls that workers write, and the rights that signatures give.
//!
//! Promise: control records are parsed only here, and an error quotes nothing of them. Start at
//! [`message::Unverified`].

pub(super) mod act;
pub(super) mod call;
pub(super) mod digest;
pub(super) mod dsse;
pub(super) mod error;
mod fields;
mod json;
pub(super) mod kind;
pub(super) mod message;
pub(super) mod signing;
pub(super) mod trust;
