//! The verdict on a command: who stands behind it, what the store says of what it asks for, and what was stored before.

use super::context::{Desk, Trouble};
use super::erase::{Target, survey};
use super::once;
use super::request::Request;
use crate::forget::command::message::Message;
use crate::forget::command::trust::{Authority, Right};
use crate::forget::decide::change::Change;
use crate::forget::decide::facts::{Asks, Facts, HoldIs};
use crate::forget::decide::rules::decide;
use crate::forget::decide::verdict::Ruling;
use crate::keys::{Meta, Stored};
use crate::model::{Digest, Hour, Millis};

/// The verdict to obey: the stored one, or a new one that is stored before it is used. `None` for a command that nobody
/// stands behind.
///
/// A stored one is asked for first: who had signed then may not be trusted any more now, and what was begun is finished.
pub(in crate::forget) async fn ruling(
    desk: &Desk,
    request: &Request,
    meta: &Meta,
    now: Millis,
) -> Result<Option<Ruling>, Trouble> {
    let Message { digest, record, .. } = request.message;
    if let Some(before) = stored(desk, digest).await? {
        return Ok(Some(before));
    }
    let Some(authority) = authority(desk, &request.message, now) else { return Ok(None) };
    if let Some(before) = stored(desk, record).await? {
        return Ok(Some(before));
    }
    let Authority { signers, granted } = authority;
    let mut facts = Facts::of(&request.message.command, &signers, granted, meta, now);
    look(desk, request, meta, now, &mut facts).await?;
    let offered = Ruling { offset: request.offset, verdict: decide(&facts, now), signers };
    keep(desk, request, offered, &mut facts, now).await.map(Some)
}

/// Stores a ruling, or answers what is stored already.
async fn keep(
    desk: &Desk,
    request: &Request,
    offered: Ruling,
    facts: &mut Facts,
    now: Millis,
) -> Result<Ruling, Trouble> {
    let Message { digest, record, command, .. } = &request.message;
    let (digest, id) = if offered.verdict.takes_the_id() {
        (*digest, command.id.clone())
    } else {
        (*record, format!("~{record}"))
    };
    match desk.store.store_verdict(digest, &id, &offered.to_json()).await? {
        Stored::New => {
            failpoint!("decided");
            Ok(offered)
        }
        Stored::Before(body) => Ruling::parse(&body).ok_or(Trouble::Verdict(digest)),
        Stored::IdReuse => {
            facts.id_is_reused = true;
            Ok(Ruling { verdict: decide(facts, now), ..offered })
        }
    }
}

async fn stored(desk: &Desk, digest: Digest) -> Result<Option<Ruling>, Trouble> {
    let body = desk.store.verdict(digest).await?;
    body.map(|body| Ruling::parse(&body).ok_or(Trouble::Verdict(digest))).transpose()
}

/// Who stands behind a command. One that is not signed is accepted only where that was chosen, and may erase what is due.
fn authority(desk: &Desk, message: &Message, now: Millis) -> Option<Authority> {
    match &message.signatures {
        Some(signatures) => desk.trust.as_ref()?.authority(&message.payload, signatures, now),
        None if desk.signatures_required => None,
        None => Some(Authority { signers: Vec::new(), granted: [Right::Erase].into() }),
    }
}

/// What the store says of what is asked for.
async fn look(
    desk: &Desk,
    request: &Request,
    meta: &Meta,
    now: Millis,
    facts: &mut Facts,
) -> Result<(), Trouble> {
    if !facts.range_is_valid {
        return Ok(());
    }
    if let Some(change) = request.change(desk, Change::past(now), None) {
        let rows = desk.store.hours(change.token, Hour(0), Hour(u32::MAX)).await?;
        facts.before = desk.store.customer(change.token).await?.and_then(|customer| customer.retention);
        facts.shortens = change.shortens(&rows, facts.before.unwrap_or(meta.default_retention));
    } else if let Some(asked) = request.hold(desk) {
        let there = desk.store.hold(&asked.id).await?;
        facts.hold = HoldIs::of(there.as_ref(), &asked, facts.asks);
        if there.is_none() && facts.asks == Asks::Hold && once::is_lifted(&*desk.store, &asked.id).await? {
            facts.hold = HoldIs::Other;
        }
    } else if let (Asks::EraseCustomer, Some(Target { token, .. })) = (facts.asks, request.target(desk)) {
        let rows = desk.store.hours(token, Hour(0), Hour(u32::MAX)).await?;
        let of_policy = desk.store.holds().await?.iter().any(|hold| hold.token == token);
        facts.held = of_policy || rows.iter().any(|row| row.gate.hold.is_some());
    } else if let (Asks::Erase(_), Some(target)) = (facts.asks, request.target(desk)) {
        let survey = survey(&*desk.store, &target, meta).await?;
        (facts.held, facts.due) = (survey.held(), survey.latest_due());
    }
    Ok(())
}
