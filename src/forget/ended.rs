//! Level L3: the KEK of a day that has ended is destroyed, and with it every copy of what it wrapped.
//!
//! Promise: a KEK goes only when nothing live is wrapped by it, held or not, and no hour of its day is open. What is due on its day can be minted no more by
//! then, so what is counted after it is closed does not grow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::execute::{Desk, Trouble, lease_after, time};
use super::{Call, DISKS, Deed, Outcome, Receipt};
use crate::keys::{DueHour, KekRow, KekState, KeyStore, Meta, StoreError, Stored};
use crate::model::{Clock, Due, Hour, KekId, Millis, Token};
use crate::telemetry::{codes, warn};

/// Beyond the end of the day and the longest lease, in milliseconds: for clocks and slow mints.
const GRACE_MS: i64 = 600_000;

/// How a KEK stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KekFate {
    /// What it wraps is not all due yet, or was only just now.
    Young,
    /// Its day has ended, and so many of its keys are live, or its hours open: held, or not swept yet.
    Needed(u64),
    /// Nothing of it is left.
    Ended,
    Destroyed,
}

/// How a KEK stands that `needed` keys or hours need.
pub fn fate(row: &KekRow, needed: u64, meta: &Meta, now: Millis) -> KekFate {
    match (row.state, needed) {
        (KekState::Destroyed, _) => KekFate::Destroyed,
        _ if now.0 < ends(&row.id, meta).0 => KekFate::Young,
        (KekState::Live | KekState::Closing, 0) => KekFate::Ended,
        (KekState::Live | KekState::Closing, needed) => KekFate::Needed(needed),
    }
}

/// When it may go at the soonest.
fn ends(id: &KekId, meta: &Meta) -> Millis {
    lease_after(id.ends(), meta).plus(GRACE_MS)
}

/// A KEK whose day has ended and that is not destroyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedKek {
    pub id: KekId,
    /// Keys that it wraps and that are not erased; one, if there is none and an hour of its day is open.
    pub needed: u64,
}

/// The KEKs whose day has ended and that still exist, the oldest first. Where there is one, all keys are scanned.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub async fn ended_keks(store: &dyn KeyStore, clock: &dyn Clock) -> Result<Vec<EndedKek>, Trouble> {
    let (meta, now) = (store.meta().await?, time(store, clock).await?);
    let mut ended: Vec<KekRow> = store.keks().await?;
    ended.retain(|row| fate(row, 0, &meta, now) == KekFate::Ended);
    ended.sort_unstable_by_key(|row| row.id.ends().0);
    let counts = if ended.is_empty() { BTreeMap::new() } else { store.live_keys().await? };
    let mut found = Vec::with_capacity(ended.len());
    for KekRow { id, .. } in ended {
        found.push(EndedKek { needed: needed(store, &counts, &id).await?, id });
    }
    Ok(found)
}

/// An open hour is needed although its keys are gone: the fail-safe took them, and the sweep still owes their receipt.
async fn needed(store: &dyn KeyStore, live: &BTreeMap<KekId, u64>, id: &KekId) -> Result<u64, StoreError> {
    match live.get(id) {
        Some(live) => Ok(*live),
        None => {
            let (first, last) = dues(id);
            let before = first.0.checked_sub(1).map(|due| DueHour {
                due: Due(due),
                token: Token([0xFF; 16]),
                hour: Hour(u32::MAX),
            });
            Ok(store.due_hours(Due(last.0), before, 1).await?.len() as u64)
        }
    }
}

/// The first and the last hour of its day.
fn dues(id: &KekId) -> (Hour, Hour) {
    let last = Hour::containing(id.ends()).map_or(0, |hour| hour.0.saturating_sub(1));
    (Hour(last.saturating_sub(23)), Hour(last))
}

/// What a call comes to.
pub(super) enum Destroyed {
    Done(Box<Receipt>),
    /// It is needed, or gone already, or the vault does not destroy it now.
    Nothing,
    /// The same bytes stand further up in the topic.
    Copy,
}

/// Destroys a KEK that may go, or goes on where that was begun.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub(super) async fn destroy_kek(
    desk: &Desk,
    call: &Call,
    kek: &KekId,
    offset: i64,
    requested_at: Option<Millis>,
) -> Result<Destroyed, Trouble> {
    let Some(ruling) = ruling(desk, call, kek, offset).await? else { return Ok(Destroyed::Nothing) };
    if ruling.offset < offset {
        return Ok(Destroyed::Copy);
    }
    desk.store.advance_kek(kek, KekState::Closing).await?;
    // Counted again, now that nothing new is wrapped.
    if is_needed(desk, kek).await? {
        return Ok(Destroyed::Nothing);
    }
    let evidence = match desk.vault.destroy(kek).await {
        Ok(evidence) => evidence,
        // Commands do not wait for it: the next call tries again, and a metric tells of a KEK that does not go.
        Err(error) => {
            warn!(codes::KEKS_WAIT, %kek, %error, "the vault does not destroy a KEK");
            return Ok(Destroyed::Nothing);
        }
    };
    desk.store.advance_kek(kek, KekState::Destroyed).await?;
    let meta = desk.store.meta().await?;
    let done_at = time(&*desk.store, &*desk.clock).await?;
    Ok(Destroyed::Done(Box::new(receipt(desk, call, kek, evidence, requested_at, &meta, done_at))))
}

async fn is_needed(desk: &Desk, kek: &KekId) -> Result<bool, Trouble> {
    let live = desk.store.live_keys().await?;
    Ok(needed(&*desk.store, &live, kek).await? > 0)
}

/// Stored before anything is done: version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruling {
    version: u32,
    offset: i64,
    destroy_kek: String,
}

async fn ruling(desk: &Desk, call: &Call, kek: &KekId, offset: i64) -> Result<Option<Ruling>, Trouble> {
    let read = |body: &[u8]| {
        let ruling: Option<Ruling> = serde_json::from_slice(body).ok();
        let ruling = ruling.filter(|ruling| ruling.version == 1 && ruling.destroy_kek == kek.as_str());
        ruling.ok_or(Trouble::Verdict(call.digest))
    };
    if let Some(before) = desk.store.verdict(call.digest).await? {
        return read(&before).map(Some);
    }
    let Some(row) = desk.store.kek(kek).await? else { return Ok(None) };
    let (meta, now) = (desk.store.meta().await?, time(&*desk.store, &*desk.clock).await?);
    // The scan only where it matters.
    if fate(&row, 0, &meta, now) != KekFate::Ended || is_needed(desk, kek).await? {
        return Ok(None);
    }
    let offered = Ruling { version: 1, offset, destroy_kek: kek.to_string() };
    let body = serde_json::to_vec(&offered).expect("strings and numbers become JSON");
    match desk.store.store_verdict(call.digest, &call.id, &body).await? {
        Stored::New => Ok(Some(offered)),
        Stored::Before(body) => read(&body).map(Some),
        // No command has such an id, and each call has its own.
        Stored::IdReuse => Err(Trouble::Verdict(call.digest)),
    }
}

fn receipt(
    desk: &Desk,
    call: &Call,
    kek: &KekId,
    evidence: &'static str,
    requested_at: Option<Millis>,
    meta: &Meta,
    done_at: Millis,
) -> Receipt {
    let (from, to) = dues(kek);
    let rests_on = std::iter::once(DISKS.code.to_owned());
    Receipt {
        id: call.digest,
        command: call.id.clone(),
        deed: Deed::DestroyKek { kek: kek.clone(), evidence: evidence.to_owned() },
        issuer: None,
        signers: Vec::new(),
        outcome: Outcome::KekDestroyed,
        why: None,
        token: None,
        from,
        to,
        keys: Vec::new(),
        key_count: 0,
        requested_at,
        due: None,
        done_at,
        l3_by: None,
        unusable_after: Some(lease_after(done_at, meta)),
        assumptions: desk.assumptions.iter().cloned().chain(rests_on).collect(),
        store: meta.store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::tests::meta;

    #[test]
    fn a_kek_goes_when_its_day_and_every_lease_are_over_and_nothing_live_is_left() {
        let id = KekId::parse("day/2026-11-28").expect("a day");
        let midnight = id.ends();
        let soonest = midnight.plus(60_000 + 600_000);
        let fate = |state, live, now| {
            fate(&KekRow { id: id.clone(), check: [0; 16], state }, live, &meta(None), now)
        };
        for state in [KekState::Live, KekState::Closing] {
            assert_eq!(fate(state, 0, soonest.plus(-1)), KekFate::Young);
            assert_eq!(fate(state, 9, midnight), KekFate::Young);
            assert_eq!(fate(state, 0, soonest), KekFate::Ended);
            assert_eq!(
                fate(state, 1, soonest.plus(i64::from(u32::MAX))),
                KekFate::Needed(1),
                "whenever that is"
            );
        }
        assert_eq!(fate(KekState::Destroyed, 0, midnight), KekFate::Destroyed);
    }
}
