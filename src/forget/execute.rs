//! From a command to its receipt: who has signed it, verdict, what it asks for, receipt.
//!
//! Every part may be done again from the beginning, by this process or by the one that follows it: the verdict is durable
//! before anything else, and all that follows from it can be done twice.

use std::sync::Arc;
use std::time::Duration;

use super::destroy::{Destroyed, Target, destroy, survey};
use super::ended::{Destroyed as KekDestroyed, destroy_kek};
use super::receipt::l3_by;
use super::retain::{Change, Changes};
use super::sweep::{Sweep, Swept, sweep};
use super::{
    ASSUMPTIONS, Act, Asks, Authority, Call, Deed, Facts, HoldIs, Message, Outcome, Receipt, Right, Ruling,
    Trust, Verdict, Wants, Why, decide, marks,
};
use crate::keys::{Hold, KekVault, KeyStore, KeysError, Meta, Placed, StoreError, Stored, VaultError};
use crate::model::{Clock, ClocksApart, Digest, Due, Hour, KekId, Millis, Retention, earliest};

/// Why an execution cannot go on now. It waits and begins again; no receipt is written meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys could not be wrapped anew.
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Clocks(#[from] ClocksApart),
    #[error("the verdict stored for command {0} is not of this version")]
    Verdict(Digest),
    #[error(
        "receipt {0} says erased, but the key store says that its hours are not due, and nobody has signed that they go early: a \
         person has to look"
    )]
    Premature(Digest),
    #[error(
        "receipt {0} says that KEK {1} is destroyed, and the vault has it: a copy was put back, and a person has to look"
    )]
    KekIsBack(Digest, KekId),
    #[error("what receipt {0} says was applied again and is not confirmed by the key store")]
    NotRestored(Digest),
    #[error("{0}")]
    Trust(String),
    #[error("the task that executes commands ended")]
    Ended,
}

/// What passes with time is told from what a person has to look at.
impl From<KeysError> for Trouble {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::ClocksApart(error) => Self::Clocks(error),
            error => Self::Keys(error),
        }
    }
}

/// What an executor works with.
#[derive(Clone)]
pub(super) struct Desk {
    pub store: Arc<dyn KeyStore>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    /// Whose signatures count; nobody's where there is none.
    pub trust: Option<Arc<Trust>>,
    /// `control.require_signatures`.
    pub signatures_required: bool,
    /// What receipts rest on besides [`ASSUMPTIONS`].
    pub assumptions: Vec<String>,
    /// [`super::SETTLES_IN`], but for tests of what time has no part in.
    pub settles_in: Duration,
}

/// A command and the record that it stood in.
#[derive(Clone)]
pub(super) struct Request {
    pub offset: i64,
    pub message: Message,
    pub requested_at: Option<Millis>,
}

/// A record of the control topic that asks for something.
#[derive(Clone)]
pub(super) enum Job {
    Command(Box<Request>),
    Call(CallRequest),
}

/// A call and the record that it stood in.
#[derive(Clone)]
pub(super) struct CallRequest {
    pub offset: i64,
    pub call: Call,
    pub requested_at: Option<Millis>,
}

impl Job {
    pub fn offset(&self) -> i64 {
        match self {
            Self::Command(request) => request.offset,
            Self::Call(request) => request.offset,
        }
    }
}

/// What a job comes to.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Receipt(Box<Receipt>),
    Swept(Box<Sweep>),
    /// A call found nothing to do.
    NothingDue(&'static str),
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
pub(super) async fn execute(desk: &Desk, job: &Job, changes: &mut Changes<'_>) -> Result<Answer, Trouble> {
    match job {
        Job::Command(request) => command(desk, request, changes).await,
        Job::Call(request) => answer_call(desk, request).await,
    }
}

async fn answer_call(desk: &Desk, request: &CallRequest) -> Result<Answer, Trouble> {
    let CallRequest { offset, call, requested_at } = request;
    let nothing = Answer::NothingDue(call.wants.code());
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
            let target = target(desk, request).ok_or(Trouble::Verdict(request.message.digest))?;
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
            let hold = hold(desk, request).ok_or(Trouble::Verdict(request.message.digest))?;
            let placed = marks::place(&*desk.store, &hold).await?;
            failpoint!("held");
            match placed {
                Placed::InForce => Receipt { outcome: Outcome::HoldPlaced, ..receipt },
                // Another one took the id since this was decided.
                Placed::IdReuse => Receipt { why: Some(Why::HoldIdReuse), ..receipt },
            }
        }
        Verdict::Release => {
            let hold = hold(desk, request).ok_or(Trouble::Verdict(request.message.digest))?;
            marks::lift(&*desk.store, &hold.id).await?;
            failpoint!("released");
            Receipt { outcome: Outcome::HoldReleased, ..receipt }
        }
        Verdict::Retention { past, before } => {
            let change =
                change(desk, request, past, before).ok_or(Trouble::Verdict(request.message.digest))?;
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

/// The earlier of the worker's and the store's clock.
pub(super) async fn time(store: &dyn KeyStore, clock: &dyn Clock) -> Result<Millis, Trouble> {
    let of_store = store.now().await?;
    Ok(earliest(clock.now(), of_store)?)
}

/// The verdict to obey: the stored one, or a new one that is stored before it is used. `None` for a command that nobody
/// stands behind.
///
/// A stored one is asked for first: who had signed then may not be trusted any more now, and what was begun is finished.
async fn ruling(desk: &Desk, request: &Request, meta: &Meta, now: Millis) -> Result<Option<Ruling>, Trouble> {
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
    if let Some(change) = change(desk, request, Change::past(now), None) {
        let rows = desk.store.hours(change.token, Hour(0), Hour(u32::MAX)).await?;
        facts.before = desk.store.customer(change.token).await?.and_then(|customer| customer.retention);
        facts.shortens = change.shortens(&rows, facts.before.unwrap_or(meta.default_retention));
    } else if let Some(asked) = hold(desk, request) {
        let there = desk.store.hold(&asked.id).await?;
        facts.hold = HoldIs::of(there.as_ref(), &asked, facts.asks);
        if there.is_none() && facts.asks == Asks::Hold && marks::is_lifted(&*desk.store, &asked.id).await? {
            facts.hold = HoldIs::Other;
        }
    } else if let (Asks::EraseCustomer, Some(Target { token, .. })) = (facts.asks, target(desk, request)) {
        let rows = desk.store.hours(token, Hour(0), Hour(u32::MAX)).await?;
        let of_policy = desk.store.holds().await?.iter().any(|hold| hold.token == token);
        facts.held = of_policy || rows.iter().any(|row| row.gate.hold.is_some());
    } else if let (Asks::Erase(_), Some(target)) = (facts.asks, target(desk, request)) {
        let survey = survey(&*desk.store, &target, meta).await?;
        (facts.held, facts.due) = (survey.held(), survey.latest_due());
    }
    Ok(())
}

fn target(desk: &Desk, request: &Request) -> Option<Target> {
    let Message { digest, command, .. } = &request.message;
    let token = desk.store.token(command.customer.as_ref().ok()?);
    Some(Target { token, from: command.from, to: command.to, command: *digest })
}

/// The retention that is asked for.
fn change(desk: &Desk, request: &Request, past: Due, before: Option<Retention>) -> Option<Change> {
    let Message { digest, command, .. } = &request.message;
    let Act::Retention(retention) = command.act else { return None };
    let token = desk.store.token(command.customer.as_ref().ok()?);
    Some(Change { token, retention, past, before, command: *digest })
}

/// The hold that is asked for or about; a release's has all hours.
fn hold(desk: &Desk, request: &Request) -> Option<Hold> {
    let command = &request.message.command;
    let (Act::Hold(id) | Act::Release(id)) = &command.act else { return None };
    let token = desk.store.token(command.customer.as_ref().ok()?);
    Some(Hold { id: id.clone(), token, from: command.from, to: command.to })
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

/// From then on no process uses what it had cached at `done_at`.
pub(super) fn lease_after(done_at: Millis, meta: &Meta) -> Millis {
    done_at.plus(i64::try_from(meta.max_lease_ms).unwrap_or(i64::MAX))
}

/// What a receipt says of the time to come, and what that rests on.
pub(super) fn promises<'a>(
    receipt: Receipt,
    desk: &Desk,
    meta: &Meta,
    keks: impl Iterator<Item = &'a KekId>,
) -> Receipt {
    let general = ASSUMPTIONS.iter().map(ToString::to_string);
    Receipt {
        // What a hold kept beyond its day is due at once.
        l3_by: l3_by(keks).map(|at| at.max(receipt.done_at)),
        unusable_after: Some(lease_after(receipt.done_at, meta)),
        assumptions: general.chain(desk.assumptions.iter().cloned()).collect(),
        ..receipt
    }
}
