//! The ring: seal keys in memory, behind one blocking call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::model::{Clock, CustomerId, Hour, KekId, Millis, Slot, Token};

use super::cache::Cache;
use super::flight::{Cause, Flight, Landed, Waiting};
use super::{Lease, Mint, MintStats, Obtained, SlotRef};

/// Gives lanes the keys of their slots. It is cheap to clone, and clones share everything.
///
/// Cached keys are used only under a valid [`Lease`], and only keys fetched under a valid lease are cached.
/// The caller that proves the lease first evicts the keys of each receipt. So no key stays usable here for
/// longer than the lease after its receipt.
#[derive(Clone)]
pub struct Ring {
    core: Arc<Core>,
    runtime: Handle,
}

/// Counters of the ring.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RingStats {
    /// Keys in memory now.
    pub entries: u64,
    /// Slots answered from memory.
    pub hits: u64,
    /// Slots requested from the store, or already under way.
    pub misses: u64,
    pub mint: MintStats,
}

struct Core {
    mint: Mint,
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Limits the flights in the air to `FLIGHTS`.
    runway: Semaphore,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct State {
    /// Customers' pseudonyms. They are cached because an HMAC costs more than the rest of a hit.
    tokens: HashMap<CustomerId, Token>,
    capacity: usize,
    cache: Cache,
    /// Slots that are under way. A receipt removes its slots: the answer may be older than the receipt.
    /// Lanes that asked before it get the answer, but the answer is not cached.
    flying: HashMap<SlotRef, Arc<Flight>>,
}

/// The slots of one flight. It lands the flight in any case, even if the runtime drops its task.
struct Boarded {
    core: Arc<Core>,
    flight: Arc<Flight>,
    slots: Vec<Slot>,
    places: Vec<SlotRef>,
    /// Whether the lease was valid at take-off. False before take-off.
    cacheable: bool,
}

impl Ring {
    /// Maximum number of slots in one flight under a lease: half a second for a store that mints 2,000 per
    /// second. Each flight's keys are cached when it lands, so a call that reached its deadline finds them
    /// when it is repeated.
    pub const FLIGHT_SLOTS: usize = 1_000;

    /// Maximum number of flights at a time: one asks the store while the keys of the other are unwrapped.
    pub const FLIGHTS: usize = 2;

    /// Longest flight, from take-off. Stores have their own, much shorter time limits. This limit only
    /// prevents a broken store from blocking its slots without end.
    pub const LONGEST_FLIGHT: Duration = Duration::from_secs(30);

    /// Number of keys that a pass over all keys checks under one lock. A lane waits well under a millisecond.
    const PASS: usize = 4_096;

    /// A ring of at most `capacity` keys. Its requests to the store run on `runtime`.
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
            cache: Cache::new(capacity),
            flying: HashMap::new(),
        };
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let (state, runway) = (Mutex::new(state), Semaphore::new(Self::FLIGHTS));
        Self { core: Arc::new(Core { mint, lease, clock, state, runway, hits, misses }), runtime }
    }

    /// The key of each slot, in the order asked. It comes from memory, or else from the store, which is asked
    /// once for all lanes.
    ///
    /// Blocks until `deadline` at most; call it from its own thread, never from a task. A request continues
    /// after the deadline, and the next call takes its answer. Many slots are requested in several flights,
    /// a few flights at a time.
    ///
    /// # Errors
    /// [`Waiting`], for all slots. The caller must seal nothing and ask again.
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

    /// Whether the slot's key is in memory or on its way. It may not be used, for want of a lease.
    pub fn has(&self, slot: &Slot) -> bool {
        let mut state = self.core.state();
        let place = self.core.place(&mut state, slot);
        state.cache.get(&place).is_some() || state.flying.contains_key(&place)
    }

    /// Forgets a customer's keys of the hours `from ..= to`, and returns their number. Call it for each
    /// receipt before the lease is proven.
    pub fn evict(&self, token: Token, from: Hour, to: Hour) -> usize {
        let mut state = self.core.state();
        state.flying.retain(|slot, _| slot.token != token || !(from..=to).contains(&slot.hour));
        state.cache.evict(token, from, to)
    }

    /// Forgets a destroyed KEK.
    pub fn forget_kek(&self, kek: &KekId) {
        self.core.mint.keks().forget(kek);
    }

    /// Forgets all keys and KEKs. This is needed when receipts may have been missed.
    pub fn clear(&self) {
        let mut state = self.core.state();
        state.flying.clear();
        state.cache.clear();
        self.core.mint.keks().clear();
    }

    pub fn stats(&self) -> RingStats {
        let core = &self.core;
        RingStats {
            entries: core.state().cache.len() as u64,
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

    /// Number of keys that still fit before another key has to leave. Keys under way count as present.
    pub(super) fn room(&self) -> usize {
        let state = self.core.state();
        state.capacity.saturating_sub(state.cache.len() + state.flying.len())
    }

    /// Customers with an on-time key of `hour`, the current one, but none of the next. Also drops spent keys.
    ///
    /// Lanes get the lock between parts, so keys that come or leave in the meantime may be missed.
    pub(super) fn wanting(&self, hour: Hour) -> Vec<CustomerId> {
        let (mut wanting, mut from) = (Vec::new(), 0);
        loop {
            let mut state = self.core.state();
            let part = from..state.cache.extent().min(from + Self::PASS);
            if part.is_empty() {
                return wanting;
            }
            from = part.end;
            state.cache.drop_spent(part.clone(), hour);
            wanting.extend(state.cache.wanting(part, hour).cloned());
            drop(state);
            std::thread::yield_now();
        }
    }
}

/// An answer, or the flight that brings it.
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
    /// The keys of all slots from memory; `None` if one is missing. The result is the only allocation.
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

    /// Finds each slot in memory (if `leased`) or on a flight, or boards it on a new flight.
    fn board(self: &Arc<Self>, slots: &[Slot], leased: bool, now: Millis) -> (Vec<Answer>, Vec<Boarded>) {
        // Without a lease no key is kept, and a call can only use a flight that it joins before the landing.
        // So all slots go on one flight.
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

    /// Boards a slot on the last flight, or on a new one if the last has `most` slots.
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
    /// A key in memory that is not due by the worker's clock. Only that clock and the store's clock together
    /// decide that it is due.
    fn cached(&mut self, place: &SlotRef, now: Millis) -> Option<Obtained> {
        let key = self.cache.get(place).filter(|key| !key.due.reached(now))?;
        Some(Obtained::Key(Arc::clone(key)))
    }

    /// Remembers a token. At `capacity` customers, clears all tokens first: this costs one HMAC per customer.
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

    /// Waits for the runway without a time limit, then asks the store. Time and lease are those at take-off.
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

    /// Caches the keys that may be cached, and passes the answers to all callers that wait.
    fn land(&mut self, landed: Landed) {
        let mut state = self.core.state();
        for (slot, place) in self.slots.drain(..).zip(self.places.drain(..)) {
            let current = state.flying.get(&place).is_some_and(|flying| Arc::ptr_eq(flying, &self.flight));
            if current {
                state.flying.remove(&place);
            }
            match landed.as_ref().ok().and_then(|answers| answers.get(&place)) {
                Some(Obtained::Key(key)) if self.cacheable && current => {
                    state.cache.insert(place, slot.customer, Arc::clone(key));
                }
                Some(Obtained::Expired | Obtained::Erased) => state.cache.remove(&place),
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
            self.land(Err(Waiting::new(Cause::Store, "the request to the key store was dropped")));
        }
    }
}
