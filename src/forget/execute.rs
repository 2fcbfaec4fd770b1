//! From a command to its receipt: verdict, fence, erase, read back.
//!
//! Every part may be done again from the beginning, by this process or by the one that follows it: the verdict is durable
//! before anything else, and fencing and erasing twice is fencing and erasing once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::receipt::l3_by;
use super::{ASSUMPTIONS, Command, ErasedKey, Facts, Outcome, Receipt, Ruling, Verdict, Why, decide};
use crate::keys::{Erasure, Fence, HourRow, KeyState, KeyStore, Meta, StoreError, Stored};
use crate::model::{Clock, ClocksApart, Digest, Due, Hour, Millis, Retention, Token, earliest};

/// Why an execution cannot go on now. It waits and begins again; no receipt is written meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Clocks(#[from] ClocksApart),
    #[error("the verdict stored for command {0} is not of this version")]
    Verdict(Digest),
    #[error(
        "receipt {0} says erased, but the key store says that its hours are not due: a person has to look"
    )]
    Premature(Digest),
    #[error("the erasure of receipt {0} was applied again and is not confirmed by the key store")]
    NotRestored(Digest),
    #[error("the task that executes commands ended")]
    Ended,
}

/// What an executor works with.
#[derive(Clone)]
pub(super) struct Desk {
    pub store: Arc<dyn KeyStore>,
    pub clock: Arc<dyn Clock>,
    pub signatures_required: bool,
    /// What receipts rest on besides [`ASSUMPTIONS`].
    pub assumptions: Vec<String>,
}

/// A command and the record that it stood in.
#[derive(Clone)]
pub(super) struct Request {
    pub offset: i64,
    pub digest: Digest,
    pub command: Command,
    pub requested_at: Option<Millis>,
}

/// What a command comes to.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Receipt(Box<Receipt>),
    /// The same bytes stand further up in the topic, with their receipt.
    Copy,
}

/// Decides on a command, or takes the verdict that is stored, and carries it out.
///
/// # Errors
/// [`Trouble`]: ask again later.
pub(super) async fn execute(desk: &Desk, request: &Request) -> Result<Answer, Trouble> {
    let meta = desk.store.meta().await?;
    let now = time(&*desk.store, &*desk.clock).await?;
    let ruling = ruling(desk, request, &meta, now).await?;
    if ruling.offset < request.offset {
        return Ok(Answer::Copy);
    }
    let receipt = blank(desk, request, &meta, now);
    let receipt = match (ruling.verdict, target(desk, request)) {
        (Verdict::Erase { due }, Some(target)) => {
            let done = destroy(&*desk.store, &target, &meta, now).await?;
            let now = time(&*desk.store, &*desk.clock).await?;
            completed(Receipt { due: Some(due), done_at: now, ..receipt }, desk, &meta, done)
        }
        (Verdict::Erase { .. }, None) => return Err(Trouble::Verdict(request.digest)),
        (Verdict::Refused { why, due }, _) => Receipt { why: Some(why), due, ..receipt },
    };
    Ok(Answer::Receipt(Box::new(receipt)))
}

/// The earlier of the worker's and the store's clock.
pub(super) async fn time(store: &dyn KeyStore, clock: &dyn Clock) -> Result<Millis, Trouble> {
    let of_store = store.now().await?;
    Ok(earliest(clock.now(), of_store)?)
}

/// The verdict to obey: the stored one, or a new one that is stored before it is used.
async fn ruling(desk: &Desk, request: &Request, meta: &Meta, now: Millis) -> Result<Ruling, Trouble> {
    let mut facts = Facts {
        signatures_required: desk.signatures_required,
        reason: request.command.reason,
        customer_is_valid: request.command.customer.is_ok(),
        range_is_valid: request.command.range_is_valid(),
        id_is_reused: false,
        held: false,
        due: None,
    };
    let ruling = |facts: &Facts| Ruling { offset: request.offset, verdict: decide(facts, now) };
    if !ruling(&facts).verdict.is_kept() {
        return Ok(ruling(&facts));
    }
    let kept = |body: &[u8]| Ruling::parse(body).ok_or(Trouble::Verdict(request.digest));
    if let Some(before) = desk.store.verdict(request.digest).await? {
        return kept(&before);
    }
    if let Some(target) = target(desk, request).filter(|_| facts.range_is_valid) {
        let survey = survey(&*desk.store, &target, meta).await?;
        (facts.held, facts.due) = (survey.held(), survey.latest_due());
    }
    let offered = ruling(&facts);
    match desk.store.store_verdict(request.digest, &request.command.id, &offered.to_json()).await? {
        Stored::New => Ok(offered),
        Stored::Before(body) => kept(&body),
        Stored::IdReuse => {
            facts.id_is_reused = true;
            Ok(ruling(&facts))
        }
    }
}

/// Hours of one customer that go, and on whose command.
pub(super) struct Target {
    pub token: Token,
    pub from: Hour,
    pub to: Hour,
    pub command: Digest,
}

impl Target {
    fn hours(&self) -> impl DoubleEndedIterator<Item = Hour> + use<> {
        (self.from.0..=self.to.0).map(Hour)
    }
}

fn target(desk: &Desk, request: &Request) -> Option<Target> {
    let Command { customer, from, to, .. } = &request.command;
    let token = desk.store.token(customer.as_ref().ok()?);
    Some(Target { token, from: *from, to: *to, command: request.digest })
}

/// What the store has of a target.
pub(super) struct Survey {
    rows: BTreeMap<Hour, HourRow>,
    /// For hours without a gate.
    retention: Retention,
    range: (Hour, Hour),
}

pub(super) async fn survey(store: &dyn KeyStore, target: &Target, meta: &Meta) -> Result<Survey, StoreError> {
    let customer = store.customer(target.token).await?;
    let retention = customer.and_then(|customer| customer.retention).unwrap_or(meta.default_retention);
    Ok(Survey { rows: rows(store, target).await?, retention, range: (target.from, target.to) })
}

async fn rows(store: &dyn KeyStore, target: &Target) -> Result<BTreeMap<Hour, HourRow>, StoreError> {
    let rows = store.hours(target.token, target.from, target.to).await?;
    Ok(rows.into_iter().map(|row| (row.hour, row)).collect())
}

impl Survey {
    fn held(&self) -> bool {
        self.rows.values().any(|row| row.gate.hold.is_some())
    }

    /// The gate's due, or what it would be.
    fn due(&self, hour: Hour) -> Due {
        self.rows.get(&hour).map_or(Due::of(hour, self.retention), |row| row.gate.due)
    }

    /// Hours without a gate fall due in their order, so the last of them is enough.
    pub(super) fn latest_due(&self) -> Option<Due> {
        let (from, to) = self.range;
        let ungated = (from.0..=to.0).rev().map(Hour).find(|hour| !self.rows.contains_key(hour));
        let gated = self.rows.values().map(|row| row.gate.due);
        gated.chain(ungated.map(|hour| self.due(hour))).max_by_key(|due| due.0)
    }

    /// Every hour is fenced and no key is live.
    pub(super) fn is_forgotten(&self) -> bool {
        let (from, to) = self.range;
        (from.0..=to.0).all(|hour| self.rows.get(&Hour(hour)).is_some_and(is_forgotten))
    }
}

fn is_forgotten(row: &HourRow) -> bool {
    row.gate.fenced && row.keys.iter().all(|key| key.state != KeyState::Live)
}

/// What became of a target.
pub(super) struct Destroyed {
    /// A hold was in the way.
    pub held: bool,
    /// Read back: every hour is fenced and no key is live.
    pub confirmed: bool,
    /// The keys that this command erased, now or in an attempt before.
    pub keys: Vec<ErasedKey>,
}

/// Fences each hour, erases every generation of each, and reads back what is there then.
pub(super) async fn destroy(
    store: &dyn KeyStore,
    target: &Target,
    meta: &Meta,
    now: Millis,
) -> Result<Destroyed, StoreError> {
    let before = survey(store, target, meta).await?;
    let mut held = false;
    for hour in target.hours() {
        // What an attempt before fenced is not fenced again: a long range comes to its end over many attempts.
        if !before.rows.get(&hour).is_some_and(|row| row.gate.fenced) {
            let fence = store.fence(target.token, hour, before.due(hour), target.command).await?;
            held |= matches!(fence, Fence::Held(_));
        }
    }
    // Listed anew, because keys could be minted until the fence stood.
    for (hour, row) in rows(store, target).await? {
        if row.gate.fenced && concerns(&row, target.command) {
            let erasure = store.erase(target.token, hour, target.command, now).await?;
            held |= matches!(erasure, Erasure::Held(_));
        }
    }
    let after = survey(store, target, meta).await?;
    let keys = after.rows.values().flat_map(|row| erased_by(row, target.command)).collect();
    Ok(Destroyed { held, confirmed: after.is_forgotten(), keys })
}

/// A live key is to be erased; one that this command has erased is erased again, because an attempt before may have ended
/// before the store cleared its logs of it.
fn concerns(row: &HourRow, command: Digest) -> bool {
    row.keys.iter().any(|key| key.state == KeyState::Live || key.command == Some(command))
}

fn erased_by(row: &HourRow, command: Digest) -> impl Iterator<Item = ErasedKey> + '_ {
    let erased =
        move |key: &&crate::keys::KeyRow| key.state == KeyState::Erased && key.command == Some(command);
    row.keys.iter().filter(erased).map(|key| ErasedKey {
        hour: row.hour,
        generation: key.generation,
        key_id: key.key_id,
        kek: key.kek.clone(),
    })
}

/// A receipt that says that nothing was done.
fn blank(desk: &Desk, request: &Request, meta: &Meta, now: Millis) -> Receipt {
    Receipt {
        id: request.digest,
        command: request.command.id.clone(),
        outcome: Outcome::Refused,
        why: None,
        token: request.command.customer.as_ref().ok().map(|customer| desk.store.token(customer)),
        from: request.command.from,
        to: request.command.to,
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
    let (outcome, why) = match (done.confirmed, done.held) {
        (true, _) if done.keys.is_empty() => (Outcome::NothingToErase, None),
        (true, _) => (Outcome::Erased, None),
        (false, true) => (Outcome::Incomplete, Some(Why::Held)),
        (false, false) => (Outcome::Incomplete, Some(Why::NotConfirmed)),
    };
    let lease = i64::try_from(meta.max_lease_ms).unwrap_or(i64::MAX);
    let general = ASSUMPTIONS.iter().map(ToString::to_string);
    Receipt {
        outcome,
        why,
        key_count: done.keys.len() as u64,
        l3_by: l3_by(done.keys.iter().map(|key| &key.kek)),
        keys: done.keys,
        unusable_after: Some(receipt.done_at.plus(lease)),
        assumptions: general.chain(desk.assumptions.iter().cloned()).collect(),
        ..receipt
    }
}
