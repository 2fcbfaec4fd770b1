//! The facts about a command before it is decided: its authority, and what the store says about its request.

use super::context::Context;
use super::error::ExecuteError;
use super::once;
use super::survey::survey;
use crate::forget::command::act::Act;
use crate::forget::command::message::Message;
use crate::forget::command::trust::{Authority, Right};
use crate::forget::decide::change::Change;
use crate::forget::decide::facts::{Facts, HoldIs};
use crate::keys::{HoldId, Meta};
use crate::model::{Hour, Millis, Retention, Token};

/// Returns the authority of a command; `None` if no trusted key has signed it. An unsigned command is
/// accepted only if the settings require no signatures. It may erase only what is due.
pub(super) fn authority(ctx: &Context, message: &Message, now: Millis) -> Option<Authority> {
    match &message.signatures {
        Some(signatures) => ctx.trust.as_ref().ok()?.as_ref()?.authority(&message.payload, signatures, now),
        None if ctx.signatures_required => None,
        None => Some(Authority { signers: Vec::new(), granted: [Right::Erase].into() }),
    }
}

/// Adds what the store says about the request, if its customer and its range are valid.
pub(super) async fn add_what_the_store_says(
    ctx: &Context,
    facts: &mut Facts,
    meta: &Meta,
    now: Millis,
) -> Result<(), ExecuteError> {
    let Some(token) = facts.asked.token.filter(|_| facts.asked.range_is_valid) else { return Ok(()) };
    match facts.asked.act.clone() {
        Act::Erase(_) => {
            let survey = survey(&*ctx.store, &facts.asked.target(token), meta).await?;
            (facts.held, facts.due) = (survey.held(), survey.latest_due());
        }
        Act::EraseCustomer => facts.held = is_held(ctx, token).await?,
        Act::Hold(id) | Act::Release(id) => facts.hold = hold_is(ctx, facts, token, &id).await?,
        Act::Retention(retention) => add_retention(ctx, facts, (token, retention), meta, now).await?,
    }
    Ok(())
}

/// Whether a hold keeps any data of a customer.
async fn is_held(ctx: &Context, token: Token) -> Result<bool, ExecuteError> {
    let rows = ctx.store.hours(token, Hour(0), Hour(u32::MAX)).await?;
    let of_policy = ctx.store.holds().await?.iter().any(|hold| hold.token == token);
    Ok(of_policy || rows.iter().any(|row| row.gate.hold.is_some()))
}

async fn hold_is(ctx: &Context, facts: &Facts, token: Token, id: &HoldId) -> Result<HoldIs, ExecuteError> {
    let asked = facts.asked.hold(token, id);
    let there = ctx.store.hold(id).await?;
    let places = matches!(facts.asked.act, Act::Hold(_));
    if there.is_none() && places && once::is_lifted(&*ctx.store, id).await? {
        return Ok(HoldIs::Other);
    }
    Ok(HoldIs::of(there.as_ref(), &asked, &facts.asked.act))
}

async fn add_retention(
    ctx: &Context,
    facts: &mut Facts,
    (token, retention): (Token, Retention),
    meta: &Meta,
    now: Millis,
) -> Result<(), ExecuteError> {
    let rows = ctx.store.hours(token, Hour(0), Hour(u32::MAX)).await?;
    facts.before = ctx.store.customer(token).await?.and_then(|customer| customer.retention);
    let change = facts.asked.change(token, retention, Change::past(now), facts.before);
    facts.shortens = change.shortens(&rows, facts.before.unwrap_or(meta.default_retention));
    Ok(())
}
