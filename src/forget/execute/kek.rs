//! Level L3: the KEK of a day that has ended is destroyed, and with it every copy of what it wrapped.
//!
//! Promise: a KEK goes only when nothing live is wrapped by it, and no hour of its day is open. What is due on its day can be
//! minted no more by then, so what is counted after it is closed does not grow. What a hold keeps is wrapped anew, under a KEK
//! of that hold and day, which goes in the same way when the hold is lifted and the hour swept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::{Desk, Trouble, lease_after, time};
use crate::forget::command::call::Call;
use crate::forget::command::digest::sha_256;
use crate::forget::receipt::assumption::DISKS;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::keys::{
    DueHour, HoldId, HourRow, KekRow, KekState, Keks, KeyRow, KeyState, Meta, ReadStore, StoreError, Stored,
    Terms, rewrap,
};
use crate::model::{Clock, Digest, Due, Hour, KekId, Millis, Token};
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
    /// Keys that it wraps, that are not erased and that no hold keeps; one, if there is none and an hour of its day is open.
    pub needed: u64,
    /// Of a hold's KEK, the hours that it keeps. It goes when the hold is lifted.
    pub held: u64,
}

impl EndedKek {
    /// Nothing of it is left.
    pub fn is_free(&self) -> bool {
        self.needed == 0 && self.held == 0
    }
}

/// The KEKs whose day has ended and that still exist, the oldest first. Where there is one, all keys are scanned.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub async fn ended_keks(store: &dyn ReadStore, clock: &dyn Clock) -> Result<Vec<EndedKek>, Trouble> {
    let (meta, now) = (store.meta().await?, time(store, clock).await?);
    let mut ended: Vec<KekRow> = store.keks().await?;
    ended.retain(|row| fate(row, 0, &meta, now) == KekFate::Ended);
    ended.sort_unstable_by_key(|row| row.id.ends().0);
    let counts = if ended.is_empty() { BTreeMap::new() } else { store.live_keys().await? };
    let mut found = Vec::with_capacity(ended.len());
    for KekRow { id, .. } in ended {
        let needs = Needs::of(store, &counts, &id).await?;
        let held = if id.is_of_a_hold() { needs.held.len() as u64 } else { 0 };
        found.push(EndedKek { needed: needs.swept_first, held, id });
    }
    Ok(found)
}

/// Hours looked at by one listing.
const PAGE: usize = 1_000;

/// What stands in the way of a KEK's end.
#[derive(Default)]
struct Needs {
    /// Keys and hours that are to be swept first.
    swept_first: u64,
    held: Vec<Held>,
    seen: BTreeSet<(Token, Hour)>,
}

/// An hour that a hold keeps.
struct Held {
    row: HourRow,
    by: HoldId,
    /// The KEK is in its gate, or wraps a live key of it. If not, the hour is due on the KEK's day all the same, because the
    /// retention was shortened.
    is_wrapped: bool,
}

impl Needs {
    /// Every hour that has the KEK in its gate, or by which it wraps a live key, or that is due on its day. Ends with the first
    /// page on which something is to be swept: what is held matters only when nothing else is left.
    async fn of(store: &dyn ReadStore, live: &BTreeMap<KekId, u64>, kek: &KekId) -> Result<Self, StoreError> {
        let mut needs = Self::default();
        if live.contains_key(kek) {
            for (token, hour) in store.hours_under(kek, usize::MAX).await? {
                needs.add(store.hours(token, hour, hour).await?, kek);
                if needs.swept_first >= PAGE as u64 {
                    return Ok(needs);
                }
            }
        }
        let (first, last) = dues(kek);
        let mut after = DueHour::before(Due(first.0));
        while needs.swept_first == 0 {
            let page = store.due_hours(Due(last.0), after.as_ref(), PAGE).await?;
            let Some(end) = page.last() else { break };
            after = Some(end.clone());
            for DueHour { token, hour, .. } in page {
                if !needs.seen.contains(&(token, hour)) {
                    needs.add(store.hours(token, hour, hour).await?, kek);
                }
            }
        }
        Ok(needs)
    }

    /// An open hour needs it although its keys are gone, or are wrapped by another: it is found by the KEKs of its day, and the
    /// sweep still owes its receipt.
    fn add(&mut self, rows: Vec<HourRow>, kek: &KekId) {
        for row in rows {
            self.seen.insert((row.token, row.hour));
            let is_live = |key: &&KeyRow| key.state == KeyState::Live && key.kek == *kek;
            let live = row.keys.iter().filter(is_live).count() as u64;
            let of = row.gate.kek.as_ref();
            let is_found_by_it =
                KekId::of_due(row.gate.due).day() == kek.day() && of.is_none_or(|of| of.day() != kek.day());
            let is_open = !row.gate.fenced && (of == Some(kek) || is_found_by_it);
            let is_wrapped = live > 0 || (is_open && of == Some(kek));
            match row.gate.hold.clone() {
                _ if live == 0 && !is_open => {}
                Some(by) => self.held.push(Held { row, by, is_wrapped }),
                None => self.swept_first += live.max(1),
            }
        }
    }

    /// Whether it must stay: what a day's KEK wraps for a hold can be wrapped by another, and a hold's cannot.
    fn keep(&self, kek: &KekId) -> bool {
        self.swept_first > 0 || (kek.is_of_a_hold() && !self.held.is_empty())
    }

    fn wraps_what_is_held(&self) -> bool {
        self.held.iter().any(|held| held.is_wrapped)
    }
}

/// What stands for a hold in the id of its KEK: SHA-256("hourseal/1 hold" ‖ id)[0..16].
fn hold_digest(HoldId(id): &HoldId) -> [u8; 16] {
    let Digest(hash) = sha_256(&[b"hourseal/1 hold", id.as_slice()].concat());
    *hash.first_chunk().expect("SHA-256 gives 32 bytes")
}

/// The first and the last hour of its day.
fn dues(id: &KekId) -> (Hour, Hour) {
    let last = Hour::containing(id.ends()).map_or(0, |hour| hour.0.saturating_sub(1));
    (Hour(last.saturating_sub(23)), Hour(last))
}

/// What a call comes to.
pub(in crate::forget) enum Destroyed {
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
pub(in crate::forget) async fn destroy_kek(
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
    failpoint!("kek-closed");
    // Looked at again, now that nothing new is wrapped; and once more after what is held was wrapped by others.
    let (mut needs, mut held) = look(desk, kek).await?;
    if !needs.keep(kek) && !needs.held.is_empty() {
        match wrap_held(desk, kek, &needs.held).await {
            Ok(()) => {
                failpoint!("kek-rewrapped");
                (needs, held) = look(desk, kek).await?;
            }
            Err(Trouble::Keys(error)) => {
                warn!(codes::KEKS_WAIT, %kek, %error, "what a hold keeps cannot be wrapped by another KEK");
                return Ok(Destroyed::Nothing);
            }
            Err(trouble) => return Err(trouble),
        }
    }
    if needs.keep(kek) || needs.wraps_what_is_held() {
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
    failpoint!("kek-gone");
    desk.store.advance_kek(kek, KekState::Destroyed).await?;
    failpoint!("kek-destroyed");
    let meta = desk.store.meta().await?;
    let done_at = time(&*desk.store, &*desk.clock).await?;
    let deed = Deed::DestroyKek { kek: kek.clone(), evidence: evidence.to_owned(), held };
    Ok(Destroyed::Done(Box::new(receipt(desk, call, kek, deed, requested_at, &meta, done_at))))
}

/// What is in the way, and how many live keys of the KEK's day are wrapped by KEKs of holds instead.
async fn look(desk: &Desk, kek: &KekId) -> Result<(Needs, u64), Trouble> {
    let live = desk.store.live_keys().await?;
    let moved = live.iter().filter(|(id, _)| id.is_of_a_hold() && id.day() == kek.day() && *id != kek);
    let held = moved.map(|(_, keys)| keys).sum();
    Ok((Needs::of(&*desk.store, &live, kek).await?, held))
}

/// Wraps what holds keep of a day by KEKs of their own. By these the day is found, too, once its own is gone.
async fn wrap_held(desk: &Desk, kek: &KekId, held: &[Held]) -> Result<(), Trouble> {
    let keks = Keks::new(desk.store.clone(), Arc::clone(&desk.vault));
    let now = time(&*desk.store, &*desk.clock).await?;
    for Held { row, by, is_wrapped } in held {
        let of_hold = kek.held(hold_digest(by));
        if *is_wrapped {
            let terms =
                |row: &HourRow| Some(Terms { due: row.gate.due, kek: of_hold.clone(), command: None });
            rewrap(&*desk.store, &keks, (row.token, row.hour), terms, None, now).await?;
        } else {
            keks.sealing(&*desk.store, &of_hold).await?;
        }
    }
    Ok(())
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
    if fate(&row, 0, &meta, now) != KekFate::Ended || look(desk, kek).await?.0.keep(kek) {
        return Ok(None);
    }
    let offered = Ruling { version: 1, offset, destroy_kek: kek.to_string() };
    let body = serde_json::to_vec(&offered).expect("strings and numbers become JSON");
    match desk.store.store_verdict(call.digest, &call.id, &body).await? {
        Stored::New => {
            failpoint!("kek-decided");
            Ok(Some(offered))
        }
        Stored::Before(body) => read(&body).map(Some),
        // No command has such an id, and each call has its own.
        Stored::IdReuse => Err(Trouble::Verdict(call.digest)),
    }
}

fn receipt(
    desk: &Desk,
    call: &Call,
    kek: &KekId,
    deed: Deed,
    requested_at: Option<Millis>,
    meta: &Meta,
    done_at: Millis,
) -> Receipt {
    let (from, to) = dues(kek);
    let rests_on = std::iter::once(DISKS.code.to_owned());
    Receipt {
        id: call.digest,
        command: call.id.clone(),
        deed,
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
