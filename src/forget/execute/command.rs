//! From a command to its receipt: who has signed it, verdict, what it asks for, receipt.
//!
//! Every part may be done again from the beginning, by this process or by the one that follows it: the verdict is durable
//! before anything else, and all that follows from it can be done twice.

use super::context::{Desk, Trouble, promises, time};
use super::decision::ruling;
use super::erase::{Destroyed, Target, destroy};
use super::kek::{Destroyed as KekDestroyed, destroy_kek};
use super::once;
use super::request::{CallRequest, Job, Request};
use super::retention::Changes;
use super::sweep::{Sweep, Swept, sweep};
use crate::forget::command::call::Wants;
use crate::forget::command::kind::Kind;
use crate::forget::command::message::Message;
use crate::forget::decide::verdict::{Ruling, Verdict, Why};
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::keys::{Meta, Placed};
use crate::model::Millis;

/// What a job comes to.
#[derive(Clone, Debug)]
pub(in crate::forget) enum Answer {
    Receipt(Box<Receipt>),
    Swept(Box<Sweep>),
    /// A call found nothing to do.
    NothingDue(Kind),
    /// The same bytes stand further up in the topic, with their receipt.
    Copy,
    /// Nobody who is trusted stands behind it: it is counted, and nothing is kept of it.
    Unverified,
}

/// Decides on a job, or takes the verdict that is stored, and carries it out. Changes of a retention are to be settled before
/// their receipts are used.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub(in crate::forget) async fn execute(
    desk: &Desk,
    job: &Job,
    changes: &mut Changes<'_>,
) -> Result<Answer, Trouble> {
    match job {
        Job::Command(request) => command(desk, request, changes).await,
        Job::Call(request) => answer_call(desk, request).await,
    }
}

async fn answer_call(desk: &Desk, request: &CallRequest) -> Result<Answer, Trouble> {
    let CallRequest { offset, call, requested_at } = request;
    let nothing = Answer::NothingDue(call.wants.kind());
    Ok(match &call.wants {
        Wants::Sweep(from) => match sweep(desk, call, *from, *offset, *requested_at).await? {
            Swept::Done(sweep) => Answer::Swept(sweep),
            Swept::Nothing => nothing,
            Swept::Copy => Answer::Copy,
        },
        Wants::DestroyKek(kek) => match destroy_kek(desk, call, kek, *offset, *requested_at).await? {
            KekDestroyed::Done(receipt) => Answer::Receipt(receipt),
            KekDestroyed::Nothing => nothing,
            KekDestroyed::Copy => Answer::Copy,
        },
    })
}

async fn command(desk: &Desk, request: &Request, changes: &mut Changes<'_>) -> Result<Answer, Trouble> {
    let meta = desk.store.meta().await?;
    let now = time(&*desk.store, &*desk.clock).await?;
    let Some(ruling) = ruling(desk, request, &meta, now).await? else { return Ok(Answer::Unverified) };
    if ruling.offset < request.offset {
        return Ok(Answer::Copy);
    }
    let receipt = blank(desk, request, &ruling, &meta, now);
    let receipt = match ruling.verdict {
        Verdict::Erase { due } => {
            let target = request.target(desk).ok_or(Trouble::Verdict(request.message.digest))?;
            let done = destroy(&*desk.store, &target, &meta, now).await?;
            let now = time(&*desk.store, &*desk.clock).await?;
            completed(Receipt { due: Some(due), done_at: now, ..receipt }, desk, &meta, done)
        }
        Verdict::EraseCustomer => {
            let token = receipt.token.ok_or(Trouble::Verdict(request.message.digest))?;
            desk.store.close_customer(token).await?;
            // After it is closed, so that what was minted until then is found.
            let target = Target::whole(&*desk.store, token, receipt.id, &meta, now).await?;
            let done = destroy(&*desk.store, &target, &meta, now).await?;
            let now = time(&*desk.store, &*desk.clock).await?;
            let receipt = Receipt { from: target.from, to: target.to, done_at: now, ..receipt };
            completed(receipt, desk, &meta, done)
        }
        Verdict::Hold => {
            let hold = request.hold(desk).ok_or(Trouble::Verdict(request.message.digest))?;
            let placed = once::place(&*desk.store, &hold).await?;
            failpoint!("held");
            match placed {
                Placed::InForce => Receipt { outcome: Outcome::HoldPlaced, ..receipt },
                // Another one took the id since this was decided.
                Placed::IdReuse => Receipt { why: Some(Why::HoldIdReuse), ..receipt },
            }
        }
        Verdict::Release => {
            let hold = request.hold(desk).ok_or(Trouble::Verdict(request.message.digest))?;
            once::lift(&*desk.store, &hold.id).await?;
            failpoint!("released");
            Receipt { outcome: Outcome::HoldReleased, ..receipt }
        }
        Verdict::Retention { past, before } => {
            let change =
                request.change(desk, past, before).ok_or(Trouble::Verdict(request.message.digest))?;
            let (outcome, why) = match changes.make(change).await? {
                true => (Outcome::RetentionSet, None),
                false => (Outcome::Incomplete, Some(Why::NotConfirmed)),
            };
            Receipt { outcome, why, due: Some(past), ..receipt }
        }
        Verdict::Refused { why, due } => Receipt { why: Some(why), due, ..receipt },
    };
    Ok(Answer::Receipt(Box::new(receipt)))
}

/// A receipt that says that nothing was done.
fn blank(desk: &Desk, request: &Request, ruling: &Ruling, meta: &Meta, now: Millis) -> Receipt {
    let Message { digest, command, .. } = &request.message;
    Receipt {
        id: *digest,
        command: command.id.clone(),
        deed: Deed::Command(command.act.clone()),
        issuer: command.terms.issuer.clone(),
        signers: ruling.signers.clone(),
        outcome: Outcome::Refused,
        why: None,
        token: command.customer.as_ref().ok().map(|customer| desk.store.token(customer)),
        from: command.from,
        to: command.to,
        keys: Vec::new(),
        key_count: 0,
        requested_at: request.requested_at,
        due: None,
        done_at: now,
        l3_by: None,
        unusable_after: None,
        assumptions: Vec::new(),
        store: meta.store,
    }
}

/// What was read back decides the outcome, not what the calls answered.
fn completed(receipt: Receipt, desk: &Desk, meta: &Meta, done: Destroyed) -> Receipt {
    let keys = done.keys();
    let (outcome, why) = match (done.confirmed(), done.held) {
        (true, _) if keys.is_empty() => (Outcome::NothingToErase, None),
        (true, _) => (Outcome::Erased, None),
        (false, true) => (Outcome::Incomplete, Some(Why::Held)),
        (false, false) => (Outcome::Incomplete, Some(Why::NotConfirmed)),
    };
    let receipt = promises(receipt, desk, meta, keys.iter().map(|key| &key.kek));
    Receipt { outcome, why, key_count: keys.len() as u64, keys, ..receipt }
}
