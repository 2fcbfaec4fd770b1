//! Every process follows the receipts topic: its caches forget keys, the store is kept up to date, and the
//! lease is proven.
//!
//! The follower has its own thread, because a proof must not wait for other work. If anything fails here,
//! the lease expires.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::progress::{Action, Follower, Gap};
use super::restore::{Restored, restore};
use super::tail::{Tail, TailError, TailRecord, WAIT};
use crate::forget::execute::error::ExecuteError;
use crate::forget::receipt::content::{NotAReceipt, Receipt};
use crate::forget::receipt::deed::Deed;
use crate::forget::receipt::swept::SweptHour;
use crate::keys::{KekVault, Lease, Ring, Store, StoreError};
use crate::model::{Clock, Hour, KekId, Millis, Token};
use crate::stream::Stop;

/// Longest wait for the store's mark.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause before the topic is read again.
const BACKOFF: Duration = Duration::from_secs(1);

/// A holder of copies of keys.
pub trait Cache: Send + Sync {
    /// Forgets the customer's keys of the hours `from ..= to`.
    fn evict(&self, token: Token, from: Hour, to: Hour);

    /// Forgets a KEK.
    fn forget_kek(&self, kek: &KekId);

    fn evict_all(&self);
}

impl Cache for Ring {
    fn evict(&self, token: Token, from: Hour, to: Hour) {
        Ring::evict(self, token, from, to);
    }

    fn forget_kek(&self, kek: &KekId) {
        Ring::forget_kek(self, kek);
    }

    fn evict_all(&self) {
        self.clear();
    }
}

/// A lease that a proof extends.
pub trait Prove: Send + Sync {
    /// All receipts that existed at this time of the boot clock have been applied in this process.
    fn prove(&self, requested_at_boot_ms: u64);
}

impl Prove for Lease {
    fn prove(&self, requested_at_boot_ms: u64) {
        Lease::prove(self, requested_at_boot_ms);
    }
}

/// An event of the following, for metrics, logs and readiness.
#[derive(Clone, Copy, Debug)]
pub enum Followed<'a> {
    /// The barrier is open: every receipt that the topic had at the start has been applied.
    Open,
    /// The lease was proven. This happens about every quarter of a lease.
    Proven,
    /// An erasure's receipt that arrived while the process ran. It was applied `took_ms` after it was done.
    Applied { offset: i64, done_at: Millis, took_ms: i64 },
    /// The store lacked what this receipt records. It was applied again, or a hold prevented that (`held`).
    Behind { offset: i64, held: bool },
    /// All keys were forgotten because of a record that is not a readable receipt.
    Doubted { offset: i64, why: NotAReceipt },
    /// No proof, for this reason. It is reported repeatedly while the reason lasts.
    Waiting(&'a str),
}

/// Receives the events. It is called on the follower's own thread.
pub trait FollowObserver: Send {
    fn observe(&mut self, event: Followed<'_>);
}

/// The reason why a reading ended early.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gap(#[from] Gap),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error("record {offset} of the receipts topic is not applied: {why}")]
    Unknown { offset: i64, why: NotAReceipt },
    #[error("the key store was replaced by an older copy: its erasures are applied again")]
    Replaced,
}

/// Follows the receipts for a process.
pub struct Following {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    pub runtime: Handle,
    pub cache: Arc<dyn Cache>,
    pub lease: Arc<dyn Prove>,
    /// A quarter of the lease.
    pub every: Duration,
    /// Whether this process moves the store's mark. A process that may not write it leaves that to the
    /// processes that execute commands.
    pub marks: bool,
    /// Offsets of the first missing receipt that the operator accepts (`--accept-gap`).
    pub accepted_gaps: Vec<i64>,
    pub observer: Box<dyn FollowObserver>,
}

impl Following {
    /// Follows until the stop is requested. `connect` creates a reader, and a new one after each error.
    pub fn run<T: Tail>(mut self, mut connect: impl FnMut() -> Result<T, TailError>, stop: &Stop) {
        while !stop.requested() {
            if let Err(error) = self.read(&mut connect, stop) {
                // Receipts may be missed until the next reading begins, so no cached key is safe to use.
                self.cache.evict_all();
                self.observer.observe(Followed::Waiting(&error.to_string()));
                pause(stop);
            }
        }
    }

    /// Reads the topic once, from the store's mark.
    fn read<T: Tail>(
        &mut self,
        connect: &mut impl FnMut() -> Result<T, TailError>,
        stop: &Stop,
    ) -> Result<(), FollowError> {
        let every_ms = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut tail = connect()?;
        let meta = self.ask(self.store.meta())?;
        let requested_at = self.clock.boot_ms();
        let log = tail.log()?;
        let mut follower = Follower::begin(&meta, log, requested_at, every_ms, &self.accepted_gaps)?;
        tail.begin(follower.next_offset())?;
        while !stop.requested() {
            self.turn(&mut tail, &mut follower)?;
        }
        Ok(())
    }

    fn turn(&mut self, tail: &mut impl Tail, follower: &mut Follower) -> Result<(), FollowError> {
        let requested_at = self.clock.boot_ms();
        if follower.wants_end(requested_at) {
            follower.asks(requested_at);
            if let Some((_, end)) = self.unless_passing(tail.log())? {
                follower.ends(requested_at, end);
            }
        }
        if let Some(Some(record)) = self.unless_passing(tail.poll(WAIT))? {
            self.apply(follower, &record)?;
        }
        match follower.proof(tail.position()?) {
            Some(requested_at) => self.prove(follower, requested_at),
            None => Ok(()),
        }
    }

    fn apply(&mut self, follower: &mut Follower, record: &TailRecord) -> Result<(), FollowError> {
        let offset = record.offset;
        match follower.heard(record) {
            Action::Pass => {}
            Action::Apply { receipt, swept, restore } => {
                self.apply_receipt(offset, &receipt, &swept, restore)?;
            }
            Action::Doubt { why, stop: true } => return Err(FollowError::Unknown { offset, why }),
            Action::Doubt { why, stop: false } => {
                self.cache.evict_all();
                self.observer.observe(Followed::Doubted { offset, why });
            }
        }
        follower.applied(offset);
        Ok(())
    }

    fn apply_receipt(
        &mut self,
        offset: i64,
        receipt: &Receipt,
        swept: &[SweptHour],
        behind: bool,
    ) -> Result<(), FollowError> {
        let erases = receipt.deed.erases();
        if let Some(token) = receipt.token.filter(|_| receipt.deed.evicts()) {
            self.cache.evict(token, receipt.from, receipt.to);
        }
        if let Deed::DestroyKek { kek, .. } = &receipt.deed {
            self.cache.forget_kek(kek);
        }
        swept.iter().for_each(|SweptHour { token, hour, .. }| self.cache.evict(*token, *hour, *hour));
        if behind {
            match self.runtime.block_on(restore(&self.store, &self.vault, &*self.clock, receipt, swept))? {
                Restored::Already => {}
                Restored::Again => self.observer.observe(Followed::Behind { offset, held: false }),
                Restored::Held => self.observer.observe(Followed::Behind { offset, held: true }),
            }
        } else if erases {
            let took_ms = self.clock.now().0.saturating_sub(receipt.done_at.0);
            self.observer.observe(Followed::Applied { offset, done_at: receipt.done_at, took_ms });
        }
        Ok(())
    }

    /// Extends the lease, unless the store was replaced by an older copy.
    fn prove(&mut self, follower: &mut Follower, requested_at: u64) -> Result<(), FollowError> {
        let meta = match self.ask(self.store.meta()) {
            Ok(meta) => meta,
            Err(error) => return self.wait(&error.to_string()),
        };
        if follower.is_behind(&meta) {
            return Err(FollowError::Replaced);
        }
        self.mark(follower);
        let opened = follower.proven(requested_at);
        self.lease.prove(requested_at);
        if opened {
            self.observer.observe(Followed::Open);
        }
        self.observer.observe(Followed::Proven);
        Ok(())
    }

    /// Moves the store's mark. If that fails, the next proof retries it: an old mark only makes the
    /// next start longer.
    fn mark(&mut self, follower: &mut Follower) {
        let Some(offset) = follower.to_mark().filter(|_| self.marks) else { return };
        match self.ask(self.store.applied_receipt(offset)) {
            Ok(()) => follower.marked(offset),
            Err(error) => self.observer.observe(Followed::Waiting(&error.to_string())),
        }
    }

    fn wait(&mut self, why: &str) -> Result<(), FollowError> {
        self.observer.observe(Followed::Waiting(why));
        Ok(())
    }

    /// Returns nothing for an error from which the client recovers itself.
    fn unless_passing<T>(&mut self, answer: Result<T, TailError>) -> Result<Option<T>, FollowError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ TailError::Passing(_)) => self.wait(&error.to_string()).map(|()| None),
            Err(error @ (TailError::Broken(_) | TailError::Denied(_))) => Err(error.into()),
        }
    }

    fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(ANSWER, call).await });
        answer.unwrap_or_else(|_| Err(StoreError::Unavailable("it did not answer".to_owned())))
    }
}

/// Waits before the next reading, unless the stop is requested.
fn pause(stop: &Stop) {
    let step = Duration::from_millis(100);
    for _ in 0..BACKOFF.as_millis() / step.as_millis() {
        if !stop.requested() {
            std::thread::sleep(step);
        }
    }
}
