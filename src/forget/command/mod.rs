//! What is asked for: commands that people sign, calls that workers write, and who may ask for what.
//!
//! Promise: bytes of others are read here and nowhere else, and an error quotes nothing of them.
//! Start at [`message::Unverified`].

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
