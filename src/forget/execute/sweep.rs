//! The sweep forgets hours that are due, without a command. Its steps: choose, store, forget hour by hour,
//! read back.
//!
//! Promise: an hour is swept only if it is due by the earliest clock and no hold keeps it. Every swept hour
//! is in exactly one receipt. Not here: when a process looks (`app`), how an hour is fenced and erased
//! ([`super::erase`]).
//!
//! A [`Call`](crate::forget::Call) asks for a sweep. So a sweep has everything that a command has: its place
//! in an order, a verdict that every redo obeys, and a receipt in one transaction with its offset.

use std::collections::BTreeSet;

use super::answer::{Answer, Sweep};
use super::context::Context;
use super::decision::{New, Offer, Turn, decide_once};
use super::error::ExecuteError;
use super::overdue::{SWEEP_HOURS, pending_but};
use super::request::Request;
use crate::forget::command::kind::Kind;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::forget::receipt::swept::{SweptBatch, SweptHour};
use crate::keys::{DueHour, HourRow, Meta, StoreError};
use crate::model::{Digest, Due, KekId, Millis, Token};
use crate::telemetry::{codes, warn};

/// The answer if nothing is due, or if holds or commands took all of it in between.
const NOTHING: Answer = Answer::NothingDue(Kind::Sweep);

/// The sweeps' looks for due hours in one run.
#[derive(Default)]
pub(super) struct Looks {
    /// The customers whose hours are not chosen.
    pub kept: BTreeSet<Token>,
    /// The last look found no hour that may be swept. Each look reads past every held hour, so sweeps behind
    /// it do not look again.
    pub found_nothing: bool,
}

/// Chooses the hours that are due, or reads the stored choice, and forgets them. It looks for hours due from
/// `from` on first. It may be repeated from the beginning, by this process or another.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn sweep(
    ctx: &Context,
    request: &Request,
    from: Due,
    looks: &mut Looks,
) -> Result<Answer, ExecuteError> {
    let chosen = match decide_once(ctx, request, &(), choose(ctx, request, from, looks)).await? {
        Turn::Obey(hours) => hours,
        Turn::Copy => return Ok(Answer::Copy),
        Turn::Nothing => return Ok(NOTHING),
    };
    let meta = ctx.store.meta().await?;
    let rows = forget(ctx, &chosen, request.digest).await?;
    failpoint!("sweep-forgotten");
    let forgotten: Vec<Forgotten> =
        rows.iter().filter_map(|row| Forgotten::of(row, request.digest)).collect();
    if forgotten.is_empty() {
        return Ok(NOTHING);
    }
    let receipt = receipt(ctx, request, &meta, &forgotten, ctx.now().await?);
    let hours = forgotten.into_iter().map(|forgotten| forgotten.hour).collect();
    Ok(Answer::Swept(Box::new(Sweep { receipt, hours })))
}

/// Forgets these hours and returns them as they were read back. An hour with an unusable row is left out: it
/// stays overdue, and the next sweep tries it again. The batch is halved until such hours are alone.
async fn forget(ctx: &Context, hours: &[DueHour], sweep: Digest) -> Result<Vec<HourRow>, ExecuteError> {
    let (mut rows, mut open, mut left) = (Vec::new(), vec![hours], 0);
    while let Some(hours) = open.pop() {
        match ctx.store.forget(hours, sweep, ctx.now().await?).await {
            Ok(forgotten) => rows.extend(forgotten.into_iter().flatten()),
            Err(StoreError::Row(_)) if hours.len() > 1 => {
                let (first, second) = hours.split_at(hours.len() / 2);
                open.extend([second, first]);
            }
            Err(StoreError::Row(why)) => {
                left += 1;
                if left == 1 {
                    warn!(
                        codes::SWEEP_WAITS,
                        why, "an hour that is due stays, because its row is not usable"
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rows)
}

async fn choose(
    ctx: &Context,
    request: &Request,
    from: Due,
    looks: &mut Looks,
) -> Result<Offer<Vec<DueHour>>, ExecuteError> {
    if looks.found_nothing {
        return Ok(Offer::Nothing);
    }
    let mut made = free(ctx, from, &looks.kept).await?;
    if made.is_empty() && from > Due(0) {
        made = free(ctx, Due(0), &looks.kept).await?;
    }
    if made.is_empty() {
        looks.found_nothing = true;
        return Ok(Offer::Nothing);
    }
    Ok(Offer::New(New { digest: request.digest, id: request.id.clone(), made, if_id_is_taken: None }))
}

/// Returns the hours due from `from` on that no hold keeps.
async fn free(ctx: &Context, from: Due, kept: &BTreeSet<Token>) -> Result<Vec<DueHour>, ExecuteError> {
    let pending = pending_but(&*ctx.store, &*ctx.clock, from, SWEEP_HOURS, kept).await?;
    Ok(pending.free().cloned().collect())
}

/// An hour as it was read back.
struct Forgotten {
    hour: SweptHour,
    due: Due,
    kek: Option<KekId>,
}

impl Forgotten {
    /// `None` if a hold or a command came in between: then this sweep did not forget the hour.
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
