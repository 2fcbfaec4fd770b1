//! The clock's sweep: hours that are due are forgotten although no command comes. Choose, store, forget hour by hour, read back.
//!
//! Promise: what is swept went by the earliest clock and against no hold; every swept hour is in exactly one receipt.
//! Not here: when a process looks (`app`), how an hour is fenced and erased ([`super::erase`]).
//!
//! A sweep is asked for by a [`Call`], so that it has what every command has: its place in an order, a verdict that every
//! redo obeys, and a receipt in one transaction with its offset.

use super::context::{Desk, Trouble, promises, time};
use super::overdue::{SWEEP_HOURS, pending};
use crate::forget::command::call::Call;
use crate::forget::decide::choice::SweepRuling;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::forget::receipt::swept::{SweptBatch, SweptHour};
use crate::keys::{DueHour, HourRow, Meta, Stored};
use crate::model::{Due, KekId, Millis};

/// What a sweep has forgotten.
#[derive(Clone, Debug)]
pub(in crate::forget) struct Sweep {
    /// Its batch is that of `hours`.
    pub receipt: Receipt,
    pub hours: Vec<SweptHour>,
}

/// What a call comes to.
pub(in crate::forget) enum Swept {
    Done(Box<Sweep>),
    /// Nothing is due, or a hold came over all of it: it leaves no trace.
    Nothing,
    /// The same bytes stand further up in the topic.
    Copy,
}

/// Chooses what is due, `from` first, or takes what is stored as chosen, and forgets it. It may be done again from the beginning,
/// by this process or another.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub(in crate::forget) async fn sweep(
    desk: &Desk,
    call: &Call,
    from: Due,
    offset: i64,
    requested_at: Option<Millis>,
) -> Result<Swept, Trouble> {
    let Some(ruling) = ruling(desk, call, from, offset).await? else { return Ok(Swept::Nothing) };
    if ruling.offset < offset {
        return Ok(Swept::Copy);
    }
    let meta = desk.store.meta().await?;
    let now = time(&*desk.store, &*desk.clock).await?;
    let rows = desk.store.forget(&ruling.hours, call.digest, now).await?;
    failpoint!("sweep-forgotten");
    let forgotten: Vec<Forgotten> =
        rows.iter().flatten().filter_map(|row| Forgotten::of(row, call)).collect();
    if forgotten.is_empty() {
        return Ok(Swept::Nothing);
    }
    let done_at = time(&*desk.store, &*desk.clock).await?;
    let receipt = receipt(desk, call, requested_at, &meta, &forgotten, done_at);
    let hours = forgotten.into_iter().map(|forgotten| forgotten.hour).collect();
    Ok(Swept::Done(Box::new(Sweep { receipt, hours })))
}

/// The stored choice, or a new one that is stored before anything of it is done.
async fn ruling(desk: &Desk, call: &Call, from: Due, offset: i64) -> Result<Option<SweepRuling>, Trouble> {
    let read = |body: &[u8]| SweepRuling::parse(body).ok_or(Trouble::Verdict(call.digest));
    if let Some(before) = desk.store.verdict(call.digest).await? {
        return read(&before).map(Some);
    }
    let mut hours = free(desk, from).await?;
    if hours.is_empty() {
        hours = free(desk, Due(0)).await?;
    }
    if hours.is_empty() {
        return Ok(None);
    }
    let offered = SweepRuling { offset, hours };
    match desk.store.store_verdict(call.digest, &call.id, &offered.to_json()).await? {
        Stored::New => {
            failpoint!("sweep-decided");
            Ok(Some(offered))
        }
        Stored::Before(body) => read(&body).map(Some),
        // No command has such an id, and each call has its own.
        Stored::IdReuse => Err(Trouble::Verdict(call.digest)),
    }
}

/// What is due, from a due on.
async fn free(desk: &Desk, from: Due) -> Result<Vec<DueHour>, Trouble> {
    let pending = pending(&*desk.store, &*desk.clock, from, SWEEP_HOURS).await?;
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
    fn of(row: &HourRow, call: &Call) -> Option<Self> {
        let hour = SweptHour::of(row, call.digest)?;
        let kek = row.gate.kek.clone().filter(|_| hour.key_count > 0);
        Some(Self { hour, due: row.gate.due, kek })
    }
}

fn receipt(
    desk: &Desk,
    call: &Call,
    requested_at: Option<Millis>,
    meta: &Meta,
    forgotten: &[Forgotten],
    done_at: Millis,
) -> Receipt {
    let key_count = forgotten.iter().map(|of| u64::from(of.hour.key_count)).sum();
    let numbers = || forgotten.iter().map(|of| of.hour.hour);
    let (from, to) = (numbers().min().expect("an hour"), numbers().max().expect("an hour"));
    let receipt = Receipt {
        id: call.digest,
        command: call.id.clone(),
        deed: Deed::Sweep(SweptBatch::of(forgotten.iter().map(|of| &of.hour))),
        issuer: None,
        signers: Vec::new(),
        outcome: if key_count == 0 { Outcome::NothingToErase } else { Outcome::Erased },
        why: None,
        token: None,
        from,
        to,
        keys: Vec::new(),
        key_count,
        requested_at,
        due: forgotten.iter().map(|of| of.due).max_by_key(|due| due.0),
        done_at,
        l3_by: None,
        unusable_after: None,
        assumptions: Vec::new(),
        store: meta.store,
    };
    promises(receipt, desk, meta, forgotten.iter().filter_map(|of| of.kek.as_ref()))
}
