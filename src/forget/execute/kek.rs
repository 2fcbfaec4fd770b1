//! Level L3: the KEK of a day that has ended is destroyed, and with it every copy of the keys that it
//! wrapped.
//!
//! Promise: a KEK goes only when it wraps no live key, and no hour of its day is open unless a hold keeps it.
//! By then, keys that are due on its day can no longer be minted, so the count of keys after the KEK is
//! closed does not grow. Keys that a hold keeps are wrapped again, under a KEK of that hold and day. This KEK
//! goes in the same way when the hold is lifted and the hour is swept.

use std::sync::Arc;

use super::answer::Answer;
use super::context::{Context, lease_after};
use super::decision::{New, Offer, Turn, decide_once};
use super::due_kek::{KekFate, fate};
use super::error::ExecuteError;
use super::needs::{Held, Needs, dues};
use super::request::Request;
use crate::forget::command::digest::sha_256;
use crate::forget::command::kind::Kind;
use crate::forget::receipt::assumption::DISKS;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::keys::{HoldId, HourRow, KekState, Keks, Terms, rewrap};
use crate::model::{Digest, KekId};
use crate::telemetry::{codes, warn};

/// The answer if the KEK is needed or already gone, or if the vault does not destroy it now.
const NOTHING: Answer = Answer::NothingDue(Kind::DestroyKek);

/// Destroys a KEK that may go, or continues a destruction that was begun. If a row is not usable, the KEK
/// stays, and nobody waits for it: the next call tries again.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn destroy_kek(
    ctx: &Context,
    request: &Request,
    kek: &KekId,
) -> Result<Answer, ExecuteError> {
    match try_to_destroy(ctx, request, kek).await {
        Err(error) if error.is_of_one_customer() => {
            warn!(
                codes::KEKS_WAIT,
                %kek, %error, "the KEK stays, because a row is not usable; the next call tries again"
            );
            Ok(NOTHING)
        }
        answer => answer,
    }
}

async fn try_to_destroy(ctx: &Context, request: &Request, kek: &KekId) -> Result<Answer, ExecuteError> {
    match decide_once(ctx, request, kek, judge(ctx, request, kek)).await? {
        Turn::Obey(_) => {}
        Turn::Copy => return Ok(Answer::Copy),
        Turn::Nothing => return Ok(NOTHING),
    }
    ctx.store.advance_kek(kek, KekState::Closing).await?;
    failpoint!("kek-closed");
    let Some(held) = free(ctx, kek).await? else { return Ok(NOTHING) };
    let evidence = match ctx.vault.destroy(kek).await {
        Ok(evidence) => evidence,
        // Commands do not wait for it. The next call tries again, and a metric shows a KEK that does not go.
        Err(error) => {
            warn!(
                codes::KEKS_WAIT,
                %kek, %error, "the vault did not destroy the KEK; the next call tries again"
            );
            return Ok(NOTHING);
        }
    };
    failpoint!("kek-gone");
    ctx.store.advance_kek(kek, KekState::Destroyed).await?;
    failpoint!("kek-destroyed");
    let deed = Deed::DestroyKek { kek: kek.clone(), evidence: evidence.to_owned(), held };
    Ok(Answer::Receipt(Box::new(receipt(ctx, request, kek, deed).await?)))
}

/// Judges a call that was not judged yet. Returns [`Offer::Nothing`] for a KEK that may not go: then nothing
/// is stored.
async fn judge(ctx: &Context, request: &Request, kek: &KekId) -> Result<Offer<KekId>, ExecuteError> {
    let Some(row) = ctx.store.kek(kek).await? else { return Ok(Offer::Nothing) };
    let (meta, now) = (ctx.store.meta().await?, ctx.now().await?);
    // All keys are scanned only if the result matters.
    if fate(&row, 0, &meta, now) != KekFate::Due || needs(ctx, kek).await?.0.keep(kek) {
        return Ok(Offer::Nothing);
    }
    let (digest, id) = (request.digest, request.id.clone());
    Ok(Offer::New(New { digest, id, made: kek.clone(), if_id_is_taken: None }))
}

/// Frees a closed KEK. It counts again what needs the KEK, now that the KEK wraps nothing new; wraps held
/// keys under other KEKs; and counts once more. Returns the number of live keys of its day that KEKs of holds
/// wrap; `None` if the KEK is still needed.
async fn free(ctx: &Context, kek: &KekId) -> Result<Option<u64>, ExecuteError> {
    let (mut stays, mut held) = needs(ctx, kek).await?;
    if !stays.keep(kek) && !stays.held.is_empty() {
        match wrap_held(ctx, kek, &stays.held).await {
            Ok(()) => {
                failpoint!("kek-rewrapped");
                (stays, held) = needs(ctx, kek).await?;
            }
            Err(ExecuteError::Keys(error)) => {
                warn!(
                    codes::KEKS_WAIT,
                    %kek, %error, "held keys cannot be wrapped under another KEK; this KEK is not destroyed"
                );
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((!stays.keep(kek) && !stays.wraps_what_is_held()).then_some(held))
}

/// Returns the needs for a KEK, and the number of live keys of its day that KEKs of holds wrap instead.
async fn needs(ctx: &Context, kek: &KekId) -> Result<(Needs, u64), ExecuteError> {
    let live = ctx.store.live_keys().await?;
    let moved = live.iter().filter(|(id, _)| id.is_of_a_hold() && id.day() == kek.day() && *id != kek);
    let held = moved.map(|(_, keys)| keys).sum();
    Ok((Needs::of(&*ctx.store, &live, kek).await?, held))
}

/// Wraps the keys that holds keep of a day under KEKs of these holds. By these KEKs, the store still finds
/// the day after its own KEK is gone.
async fn wrap_held(ctx: &Context, kek: &KekId, held: &[Held]) -> Result<(), ExecuteError> {
    let keks = Keks::new(ctx.store.clone(), Arc::clone(&ctx.vault));
    let now = ctx.now().await?;
    for Held { row, by, is_wrapped } in held {
        let of_hold = kek.held(hold_digest(by));
        if *is_wrapped {
            let terms =
                |row: &HourRow| Some(Terms { due: row.gate.due, kek: of_hold.clone(), command: None });
            rewrap(&*ctx.store, &keks, (row.token, row.hour), terms, None, now).await?;
        } else {
            keks.sealing(&*ctx.store, &of_hold).await?;
        }
    }
    Ok(())
}

/// The hold's part of the id of its KEK: SHA-256("hourseal/1 hold" ‖ id)[0..16].
fn hold_digest(HoldId(id): &HoldId) -> [u8; 16] {
    let Digest(hash) = sha_256(&[b"hourseal/1 hold", id.as_slice()].concat());
    *hash.first_chunk().expect("SHA-256 gives 32 bytes")
}

async fn receipt(ctx: &Context, request: &Request, kek: &KekId, deed: Deed) -> Result<Receipt, ExecuteError> {
    let (meta, done_at) = (ctx.store.meta().await?, ctx.now().await?);
    let mut assumptions = ctx.assumptions.clone();
    if !assumptions.iter().any(|code| code == DISKS.code) {
        assumptions.push(DISKS.code.to_owned());
    }
    Ok(Receipt {
        unusable_after: Some(lease_after(done_at, &meta)),
        assumptions,
        ..request.receipt(deed, Outcome::KekDestroyed, dues(kek), &meta, done_at)
    })
}
