//! The clock's sweep: hours that are due are forgotten although no command comes. Choose, store, forget hour
//! by hour, read back.
//!
//! Promise: what is swept went by the earliest clock and against no hold; every swept hour is in exactly one
//! receipt. Not here: when a process looks (`app`), how an hour is fenced and erased ([`super::erase`]).
//!
//! A sweep is asked for by a [`Call`](crate::forget::Call), so that it has what every command has: its place
//! in an order, a verdict that every redo obeys, and a receipt in one transaction with its offset.

use super::answer::{Answer, Sweep};
use super::context::Context;
use super::decision::{New, Offer, Turn, decide_once};
use super::error::ExecuteError;
use super::overdue::{SWEEP_HOURS, pending};
use super::request::Request;
use crate::forget::command::kind::Kind;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::forget::receipt::swept::{SweptBatch, SweptHour};
use crate::keys::{DueHour, HourRow, Meta};
use crate::model::{Digest, Due, KekId, Millis};

/// The answer where nothing is due, or a hold came over all of it.
const NOTHING: Answer = Answer::NothingDue(Kind::Sweep);

/// Chooses what is due, `from` first, or takes what is stored as chosen, and forgets it. It may be done again
/// from the beginning, by this process or another.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn sweep(ctx: &Context, request: &Request, from: Due) -> Result<Answer, ExecuteError> {
    let chosen = match decide_once(ctx, request, &(), choose(ctx, request, from)).await? {
        Turn::Obey(hours) => hours,
        Turn::Copy => return Ok(Answer::Copy),
        Turn::Nothing => return Ok(NOTHING),
    };
    let meta = ctx.store.meta().await?;
    let rows = ctx.store.forget(&chosen, request.digest, ctx.now().await?).await?;
    failpoint!("sweep-forgotten");
    let forgotten: Vec<Forgotten> =
        rows.iter().flatten().filter_map(|row| Forgotten::of(row, request.digest)).collect();
    if forgotten.is_empty() {
        return Ok(NOTHING);
    }
    let receipt = receipt(ctx, request, &meta, &forgotten, ctx.now().await?);
    let hours = forgotten.into_iter().map(|forgotten| forgotten.hour).collect();
    Ok(Answer::Swept(Box::new(Sweep { receipt, hours })))
}

async fn choose(ctx: &Context, request: &Request, from: Due) -> Result<Offer<Vec<DueHour>>, ExecuteError> {
    let mut made = free(ctx, from).await?;
    if made.is_empty() {
        made = free(ctx, Due(0)).await?;
    }
    if made.is_empty() {
        return Ok(Offer::Nothing);
    }
    Ok(Offer::New(New { digest: request.digest, id: request.id.clone(), made, if_id_is_taken: None }))
}

/// What is due, from a due on.
async fn free(ctx: &Context, from: Due) -> Result<Vec<DueHour>, ExecuteError> {
    let pending = pending(&*ctx.store, &*ctx.clock, from, SWEEP_HOURS).await?;
    Ok(pending.free().cloned().collect())
}

/// An hour as it was read back.
struct Forgotten {
    hour: SweptHour,
    due: Due,
    kek: Option<KekId>,
}

impl Forgotten {
    /// `None` where a hold came in between, or a command was faster: that hour is not this sweep's.
    fn of(row: &HourRow, sweep: Digest) -> Option<Self> {
        let hour = SweptHour::of(row, sweep)?;
        let kek = row.gate.kek.clone().filter(|_| hour.key_count > 0);
        Some(Self { hour, due: row.gate.due, kek })
    }
}

fn receipt(
    ctx: &Context,
    request: &Request,
    meta: &Meta,
    forgotten: &[Forgotten],
    done_at: Millis,
) -> Receipt {
    let key_count = forgotten.iter().map(|of| u64::from(of.hour.key_count)).sum();
    let outcome = if key_count == 0 { Outcome::NothingToErase } else { Outcome::Erased };
    let numbers = || forgotten.iter().map(|of| of.hour.hour);
    let hours = (numbers().min().expect("an hour"), numbers().max().expect("an hour"));
    let deed = Deed::Sweep(SweptBatch::of(forgotten.iter().map(|of| &of.hour)));
    let due = forgotten.iter().map(|of| of.due).max_by_key(|due| due.0);
    let receipt = Receipt { key_count, due, ..request.receipt(deed, outcome, hours, meta, done_at) };
    ctx.with_deadlines(receipt, meta, forgotten.iter().filter_map(|of| of.kek.as_ref()))
}
