//! The way from a command to its receipt: check the signatures, decide, carry out, make the receipt.
//!
//! Every part may be repeated from the beginning, by this process or the next one. The verdict is durable
//! before anything else is done, and all that follows from it can be done twice.

use super::answer::{Answer, Executed};
use super::context::Context;
use super::decision::{New, Offer, Turn, decide_once, stored};
use super::erase::{Destroyed, destroy, destroy_usable, whole};
use super::error::ExecuteError;
use super::facts::{add_what_the_store_says, authority};
use super::once;
use super::request::Request;
use super::retention;
use crate::forget::command::message::Message;
use crate::forget::command::trust::Authority;
use crate::forget::decide::change::Change;
use crate::forget::decide::decision::Judgement;
use crate::forget::decide::facts::Facts;
use crate::forget::decide::rules::decide;
use crate::forget::decide::target::{Asked, Target};
use crate::forget::decide::verdict::{Verdict, Why};
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::keys::{Hold, Meta, Placed};
use crate::model::{Digest, Due, Millis, Token};
use crate::telemetry::{codes, warn};

/// Decides on a command, or reads its stored verdict, and carries it out.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn command(
    ctx: &Context,
    request: &Request,
    message: &Message,
) -> Result<Executed, ExecuteError> {
    let meta = ctx.store.meta().await?;
    let now = ctx.now().await?;
    let asked = Asked::of(message, |customer| ctx.store.token(customer));
    let judged = judge(ctx, request, message, &asked, (&meta, now));
    let Judgement { verdict, signers } = match decide_once(ctx, request, &asked, judged).await? {
        Turn::Obey(judgement) => judgement,
        Turn::Copy => return Ok(Answer::Copy.into()),
        Turn::Nothing => return Ok(Answer::Unverified.into()),
    };
    let deed = Deed::Command(asked.act.clone());
    let refused = request.receipt(deed, Outcome::Refused, (asked.from, asked.to), &meta, now);
    let issuer = message.command.terms.issuer.clone();
    let receipt = Receipt { issuer, signers, token: asked.token, ..refused };
    obey(ctx, verdict, receipt, &meta, now).await
}

/// Judges a command that was not judged yet. Returns [`Offer::Nothing`] if no trusted key has signed it.
async fn judge(
    ctx: &Context,
    request: &Request,
    message: &Message,
    asked: &Asked,
    (meta, now): (&Meta, Millis),
) -> Result<Offer<Judgement>, ExecuteError> {
    let Some(authority) = authority(ctx, message, now) else { return Ok(Offer::Nothing) };
    // A refusal that does not take the command's id is stored under the record's digest: the same command may
    // come again with more signatures.
    if let Some(before) = stored(ctx, message.record, asked).await? {
        return Ok(Offer::Before(before));
    }
    let Authority { signers, granted } = authority;
    let mut facts = Facts::of(&message.command, asked.clone(), &signers, granted, (meta, now));
    match add_what_the_store_says(ctx, &mut facts, meta, now).await {
        Err(error) if ctx.gives_up(&error) => {
            warn_of(request.digest, &error);
            facts.unusable = true;
        }
        said => said?,
    }
    let verdict = decide(&facts, now);
    let (digest, id) = if verdict.takes_the_id() {
        (request.digest, request.id.clone())
    } else {
        (message.record, format!("~{}", message.record))
    };
    facts.id_is_reused = true;
    let reused = Judgement { verdict: decide(&facts, now), signers: signers.clone() };
    Ok(Offer::New(New { digest, id, made: Judgement { verdict, signers }, if_id_is_taken: Some(reused) }))
}

/// Carries out a verdict. The given `receipt` says that nothing was done. After the last try, it does what is
/// possible.
async fn obey(
    ctx: &Context,
    verdict: Verdict,
    receipt: Receipt,
    meta: &Meta,
    now: Millis,
) -> Result<Executed, ExecuteError> {
    match carry_out(ctx, verdict.clone(), receipt.clone(), meta, now).await {
        Err(error) if ctx.gives_up(&error) => {
            warn_of(receipt.id, &error);
            let receipt = leave(ctx, verdict, receipt, meta, now).await?;
            Ok(Answer::Receipt(Box::new(receipt)).into())
        }
        executed => executed,
    }
}

async fn carry_out(
    ctx: &Context,
    verdict: Verdict,
    receipt: Receipt,
    meta: &Meta,
    now: Millis,
) -> Result<Executed, ExecuteError> {
    let receipt = match verdict {
        Verdict::Erase { target, due } => erase(ctx, &target, due, receipt, meta, now).await?,
        Verdict::EraseCustomer(token) => erase_customer(ctx, token, receipt, meta, now).await?,
        Verdict::Hold(hold) => place(ctx, &hold, receipt).await?,
        Verdict::Release(id) => {
            once::lift(&*ctx.store, &id).await?;
            failpoint!("released");
            Receipt { outcome: Outcome::HoldReleased, ..receipt }
        }
        Verdict::Retention(change) => return change_retention(ctx, change, receipt).await,
        Verdict::Refused { why: Why::Unusable, .. } => unusable(receipt),
        Verdict::Refused { why, due } => Receipt { why: Some(why), due, ..receipt },
    };
    Ok(Answer::Receipt(Box::new(receipt)).into())
}

/// Ends a command that an unusable row or KEK stopped: erases the other hours that it names, and makes the
/// receipt. The receipt lists the keys that this command erased.
async fn leave(
    ctx: &Context,
    verdict: Verdict,
    receipt: Receipt,
    meta: &Meta,
    now: Millis,
) -> Result<Receipt, ExecuteError> {
    let receipt = unusable(receipt);
    let (keys, due) = match verdict {
        Verdict::Erase { target, due } => (destroy_usable(&*ctx.store, &target, meta, now).await?, Some(due)),
        Verdict::Retention(change) => (Vec::new(), Some(change.past)),
        Verdict::EraseCustomer(_) | Verdict::Hold(_) | Verdict::Release(_) => (Vec::new(), None),
        Verdict::Refused { due, .. } => (Vec::new(), due),
    };
    let receipt = Receipt { due, done_at: ctx.now().await?, ..receipt };
    let receipt = ctx.with_deadlines(receipt, meta, keys.iter().map(|key| &key.kek));
    Ok(Receipt { key_count: keys.len() as u64, keys, ..receipt })
}

fn warn_of(receipt: Digest, error: &ExecuteError) {
    warn!(
        codes::COMMAND_INCOMPLETE,
        %receipt, %error, "a command ends incomplete: a row or a KEK is not usable"
    );
}

fn unusable(receipt: Receipt) -> Receipt {
    Receipt { outcome: Outcome::Incomplete, why: Some(Why::Unusable), ..receipt }
}

async fn erase(
    ctx: &Context,
    target: &Target,
    due: Due,
    receipt: Receipt,
    meta: &Meta,
    now: Millis,
) -> Result<Receipt, ExecuteError> {
    let done = destroy(&*ctx.store, target, meta, now).await?;
    let receipt = Receipt { due: Some(due), done_at: ctx.now().await?, ..receipt };
    Ok(completed(ctx, receipt, meta, &done))
}

async fn erase_customer(
    ctx: &Context,
    token: Token,
    receipt: Receipt,
    meta: &Meta,
    now: Millis,
) -> Result<Receipt, ExecuteError> {
    ctx.store.close_customer(token).await?;
    // List the hours after the customer is closed, to find the keys that were minted until then.
    let target = whole(&*ctx.store, token, receipt.id, meta, now).await?;
    let done = destroy(&*ctx.store, &target, meta, now).await?;
    let receipt = Receipt { from: target.from, to: target.to, done_at: ctx.now().await?, ..receipt };
    Ok(completed(ctx, receipt, meta, &done))
}

async fn place(ctx: &Context, hold: &Hold, receipt: Receipt) -> Result<Receipt, ExecuteError> {
    let placed = once::place(&*ctx.store, hold).await?;
    failpoint!("held");
    Ok(match placed {
        Placed::InForce => Receipt { outcome: Outcome::HoldPlaced, ..receipt },
        // Another hold took the id after this was decided.
        Placed::IdReuse => Receipt { why: Some(Why::HoldIdReuse), ..receipt },
    })
}

async fn change_retention(ctx: &Context, change: Change, receipt: Receipt) -> Result<Executed, ExecuteError> {
    let due = Some(change.past);
    if once::is_made(&*ctx.store, change.command).await? {
        let receipt = Receipt { outcome: Outcome::RetentionSet, due, ..receipt };
        return Ok(Answer::Receipt(Box::new(receipt)).into());
    }
    let (outcome, why) = match retention::make(&*ctx.store, &ctx.keks, &change, ctx.now().await?).await? {
        true => (Outcome::RetentionSet, None),
        false => (Outcome::Incomplete, Some(Why::NotConfirmed)),
    };
    let receipt = Receipt { outcome, why, due, ..receipt };
    Ok(Executed { answer: Answer::Receipt(Box::new(receipt)), unsettled: Some(change) })
}

/// Makes the receipt's outcome from what was read back, not from the answers of the calls. These only tell
/// whether a hold is the reason.
fn completed(ctx: &Context, receipt: Receipt, meta: &Meta, done: &Destroyed) -> Receipt {
    let keys = done.keys();
    let (outcome, why) = match (done.confirmed(), done.held) {
        (true, _) if keys.is_empty() => (Outcome::NothingToErase, None),
        (true, _) => (Outcome::Erased, None),
        (false, true) => (Outcome::Incomplete, Some(Why::Held)),
        (false, false) => (Outcome::Incomplete, Some(Why::NotConfirmed)),
    };
    let receipt = ctx.with_deadlines(receipt, meta, keys.iter().map(|key| &key.kek));
    Receipt { outcome, why, key_count: keys.len() as u64, keys, ..receipt }
}
