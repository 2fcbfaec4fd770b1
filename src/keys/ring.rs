//! The ring: seal keys in memory, behind one blocking call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::model::{Clock, CustomerId, Hour, KekId, Millis, Slot, Token};

use super::flight::{Cause, Flight, Landed, Waiting};
use super::shelf::Shelf;
use super::{Lease, Mint, MintStats, Obtained, SlotRef};

/// Gives lanes the keys of their slots. Cheap to clone; clones share everything.
///
/// Cached keys are used only under a valid [`Lease`], and only what was fetched under one is cached: whoever proves the lease
/// evicts by each receipt first, so no key outlives its receipt here by more than the lease.
#[derive(Clone)]
pub struct Ring {
    core: Arc<Core>,
    runtime: Handle,
}

/// What the ring has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RingStats {
    /// Keys in memory now.
    pub entries: u64,
    /// Slots answered from memory.
    pub hits: u64,
    /// Slots for which the store was asked, or whose answer was on its way already.
    pub misses: u64,
    pub mint: MintStats,
}

struct Core {
    mint: Mint,
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Where flights take off, `FLIGHTS` at a time.
    runway: Semaphore,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct State {
    /// Customers' pseudonyms, because an HMAC costs more than all the rest of a hit.
    tokens: HashMap<CustomerId, Token>,
    capacity: usize,
    shelf: Shelf,
    /// Slots that are being asked for. A receipt takes its slots out: the answer may be older than it, is given to whoever
    /// asked before, and is not cached.
    flying: HashMap<SlotRef, Arc<Flight>>,
}

/// The slots that one flight asks for. Lands it in any case, also when the runtime drops its task.
struct Boarded {
    core: Arc<Core>,
    flight: Arc<Flight>,
    slots: Vec<Slot>,
    places: Vec<SlotRef>,
    /// Under a valid lease at take-off. False before.
    cacheable: bool,
}

impl Ring {
    /// Most slots of one flight under a lease: half a second of a store that mints 2,000 a second. Each flight's keys are
    /// cached as it lands, so that a call that reached its deadline finds them when it comes again.
    pub const FLIGHT_SLOTS: usize = 1_000;

    /// Flights in the air at a time: one asks the store while the other's keys are unwrapped.
    pub const FLIGHTS: usize = 2;

    /// Longest flight, from take-off. Stores have time limits of their own, far below; this one only keeps a broken one from
    /// holding its slots for ever.
    pub const LONGEST_FLIGHT: Duration = Duration::from_secs(30);

    /// Keys looked at under one lock by a pass over all of them: a lane waits for well under a millisecond.
    const PASS: usize = 4_096;

    /// A ring of at most `capacity` keys. Its questions to the store run on `runtime`.
    pub fn new(
        mint: Mint,
        lease: Arc<Lease>,
        clock: Arc<dyn Clock>,
        capacity: usize,
        runtime: Handle,
    ) -> Self {
        let state = State {
            tokens: HashMap::new(),
            capacity: capacity.max(1),
            shelf: Shelf::new(capacity),
            flying: HashMap::new(),
        };
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let (state, runway) = (Mutex::new(state), Semaphore::new(Self::FLIGHTS));
        Self { core: Arc::new(Core { mint, lease, clock, state, runway, hits, misses }), runtime }
    }

    /// The key of each slot, in the order asked: from memory, or else from the store, asked once for all lanes.
    ///
    /// Blocks until `deadline` at most; call it from a thread of its own, never from a task. What was asked goes on after a
    /// deadline, and the next call takes its answer. Many slots are asked for in several flights, a few at a time.
    ///
    /// # Errors
    /// [`Waiting`], for all slots. Nothing may be sealed; ask again.
    pub fn obtain(&self, slots: &[Slot], deadline: Instant) -> Result<Vec<Obtained>, Waiting> {
        let leased = self.leased();
        let now = self.core.clock.now();
        if leased && let Some(hits) = self.core.hits(slots, now) {
            return Ok(hits);
        }
        let (answers, flights) = self.core.board(slots, leased, now);
        for boarded in flights {
            self.runtime.spawn(boarded.fly());
        }
        answers.into_iter().map(|answer| answer.wait(deadline)).collect()
    }

    /// Forgets a customer's keys of the hours `from ..= to`, and tells how many. For each receipt, before the lease is proven.
    pub fn evict(&self, token: Token, from: Hour, to: Hour) -> usize {
        let mut state = self.core.state();
        state.flying.retain(|slot, _| slot.token != token || !(from..=to).contains(&slot.hour));
        state.shelf.evict(token, from, to)
    }

    /// Forgets a KEK that is destroyed.
    pub fn forget_kek(&self, kek: &KekId) {
        self.core.mint.keks().forget(kek);
    }

    /// Forgets everything, KEKs too, as when receipts may have been missed.
    pub fn clear(&self) {
        let mut state = self.core.state();
        state.flying.clear();
        state.shelf.clear();
        self.core.mint.keks().clear();
    }

    pub fn stats(&self) -> RingStats {
        let core = &self.core;
        RingStats {
            entries: core.state().shelf.len() as u64,
            hits: core.hits.load(Ordering::Relaxed),
            misses: core.misses.load(Ordering::Relaxed),
            mint: core.mint.stats(),
        }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.core.clock
    }

    pub(super) fn leased(&self) -> bool {
        self.core.leased()
    }

    /// Keys that still come in without another one leaving, those on their way counted.
    pub(super) fn room(&self) -> usize {
        let state = self.core.state();
        state.capacity.saturating_sub(state.shelf.len() + state.flying.len())
    }

    /// Customers with an on-time key of `hour`, the running one, and none of the next. Drops spent keys on its way.
    ///
    /// Lanes get the lock in between, so what comes or goes meanwhile may be missed.
    pub(super) fn wanting(&self, hour: Hour) -> Vec<CustomerId> {
        let (mut wanting, mut from) = (Vec::new(), 0);
        loop {
            let mut state = self.core.state();
            let part = from..state.shelf.extent().min(from + Self::PASS);
            if part.is_empty() {
                return wanting;
            }
            from = part.end;
            state.shelf.drop_spent(part.clone(), hour);
            wanting.extend(state.shelf.wanting(part, hour).cloned());
            drop(state);
            std::thread::yield_now();
        }
    }
}

/// An answer, or where it comes from.
enum Answer {
    Here(Obtained),
    Flying(SlotRef, Arc<Flight>),
}

impl Answer {
    fn wait(self, deadline: Instant) -> Result<Obtained, Waiting> {
        match self {
            Self::Here(obtained) => Ok(obtained),
            Self::Flying(slot, flight) => flight.wait(&slot, deadline),
        }
    }
}

impl Core {
    /// All slots from memory, or nothing. The result is the only allocation.
    fn hits(&self, slots: &[Slot], now: Millis) -> Option<Vec<Obtained>> {
        let mut hits = Vec::with_capacity(slots.len());
        let mut state = self.state();
        for slot in slots {
            let place = self.place(&mut state, slot);
            hits.push(state.cached(&place, now)?);
        }
        self.hits.fetch_add(slots.len() as u64, Ordering::Relaxed);
        Some(hits)
    }

    /// Finds each slot in memory (if `leased`), on its way, or boards it on a new flight.
    fn board(self: &Arc<Self>, slots: &[Slot], leased: bool, now: Millis) -> (Vec<Answer>, Vec<Boarded>) {
        // Without a lease nothing is kept: a call is helped only by flights that it meets before they land, so by one.
        let most = if leased { Ring::FLIGHT_SLOTS } else { usize::MAX };
        let (mut answers, mut hits) = (Vec::with_capacity(slots.len()), 0);
        let mut boarded: Vec<Boarded> = Vec::new();
        let mut state = self.state();
        for slot in slots {
            let place = self.place(&mut state, slot);
            if let Some(hit) = leased.then(|| state.cached(&place, now)).flatten() {
                answers.push(Answer::Here(hit));
                hits += 1;
                continue;
            }
            let flight = match state.flying.entry(place) {
                Entry::Occupied(flying) => Arc::clone(flying.get()),
                Entry::Vacant(free) => Arc::clone(free.insert(self.seat(&mut boarded, most, slot, place))),
            };
            answers.push(Answer::Flying(place, flight));
        }
        drop(state);
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(slots.len() as u64 - hits, Ordering::Relaxed);
        (answers, boarded)
    }

    /// Boards a slot on the last flight, or on a further one when that has `most` slots.
    fn seat(
        self: &Arc<Self>,
        boarded: &mut Vec<Boarded>,
        most: usize,
        slot: &Slot,
        place: SlotRef,
    ) -> Arc<Flight> {
        if boarded.last().is_none_or(|last| last.slots.len() >= most) {
            boarded.push(Boarded::new(Arc::clone(self)));
        }
        let last = boarded.last_mut().expect("one was just pushed where there was none");
        last.slots.push(slot.clone());
        last.places.push(place);
        Arc::clone(&last.flight)
    }

    fn leased(&self) -> bool {
        self.lease.valid(self.clock.boot_ms())
    }

    fn place(&self, state: &mut State, slot: &Slot) -> SlotRef {
        let token = match state.tokens.get(&slot.customer) {
            Some(token) => *token,
            None => state.remember(slot, self.mint.token(slot)),
        };
        SlotRef { token, hour: slot.hour, generation: slot.generation }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A key in memory that is not due by the worker's clock. Whether it is due, the store's clock decides with it.
    fn cached(&mut self, place: &SlotRef, now: Millis) -> Option<Obtained> {
        let key = self.shelf.get(place).filter(|key| !key.due.reached(now))?;
        Some(Obtained::Key(Arc::clone(key)))
    }

    /// Starts over when as many customers as keys are remembered: an HMAC each is what that costs.
    fn remember(&mut self, slot: &Slot, token: Token) -> Token {
        if self.tokens.len() >= self.capacity {
            self.tokens.clear();
        }
        self.tokens.insert(slot.customer.clone(), token);
        token
    }
}

impl Boarded {
    fn new(core: Arc<Core>) -> Self {
        let (slots, places) = (Vec::new(), Vec::new());
        Self { core, flight: Arc::new(Flight::default()), slots, places, cacheable: false }
    }

    /// Waits for the runway, however long, and asks. Time and lease are those of the take-off.
    async fn fly(mut self) {
        let core = Arc::clone(&self.core);
        let _cleared = core.runway.acquire().await.expect("nobody closes the runway");
        self.cacheable = core.leased();
        let question = core.mint.obtain(&self.slots, core.clock.now());
        let landed = match tokio::time::timeout(Ring::LONGEST_FLIGHT, question).await {
            Ok(Ok(obtained)) => Ok(self.places.iter().copied().zip(obtained).collect()),
            Ok(Err(error)) => Err(Waiting::from(&error)),
            Err(_) => Err(Waiting::new(Cause::Store, "the key store did not answer within 30 s")),
        };
        self.land(landed);
    }

    /// Caches what may be cached, and answers whoever waits.
    fn land(&mut self, landed: Landed) {
        let mut state = self.core.state();
        for (slot, place) in self.slots.drain(..).zip(self.places.drain(..)) {
            let current = state.flying.get(&place).is_some_and(|flying| Arc::ptr_eq(flying, &self.flight));
            if current {
                state.flying.remove(&place);
            }
            match landed.as_ref().ok().and_then(|answers| answers.get(&place)) {
                Some(Obtained::Key(key)) if self.cacheable && current => {
                    state.shelf.insert(place, slot.customer, Arc::clone(key));
                }
                Some(Obtained::Expired | Obtained::Erased) => state.shelf.remove(&place),
                Some(Obtained::Key(_)) | None => {}
            }
        }
        drop(state);
        self.flight.land(landed);
    }
}

impl Drop for Boarded {
    fn drop(&mut self) {
        if !self.places.is_empty() {
            self.land(Err(Waiting::new(Cause::Store, "the question to the key store was dropped")));
        }
    }
}
