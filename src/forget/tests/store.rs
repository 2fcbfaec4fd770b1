//! A mock of a key store: gates, keys and verdicts in memory. A test can switch it off. It records every
//! call.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::{NOW, acme, kek_row, meta};
use crate::keys::*;
use crate::model::*;

pub(in crate::forget) struct FakeStore {
    pub(super) state: Mutex<FakeState>,
    pub(super) token_key: Arc<TokenKey>,
    pub(super) skew_ms: i64,
    /// Keys stay live whatever erase answers.
    pub(super) broken: bool,
}

#[derive(Default)]
pub(super) struct FakeState {
    pub(super) hours: BTreeMap<(Token, Hour), HourRow>,
    customers: BTreeMap<Token, Customer>,
    pub(super) verdicts: HashMap<Digest, Vec<u8>>,
    pub(super) ids: HashMap<String, Digest>,
    pub(super) holds: Vec<Hold>,
    /// A hold that is seen by fences and erasures only, as one that comes after the decision.
    pub(super) late_hold: Option<Hour>,
    /// Hours whose rows are not usable.
    pub(super) unusable: BTreeSet<(Token, Hour)>,
    pub(super) keks: BTreeMap<KekId, KekState>,
    started: BTreeMap<(String, i32), Started>,
    placements: BTreeMap<String, i32>,
    pub(super) mark: Option<i64>,
    /// Number of calls that it still answers before it is away; `None` = all.
    pub(super) answers: Option<usize>,
    pub(super) calls: Vec<&'static str>,
}

impl Default for FakeStore {
    fn default() -> Self {
        let token_key = Arc::new(TokenKey::from_slice(&[0x55; 32]).expect("32 bytes"));
        Self { state: Mutex::default(), token_key, skew_ms: 0, broken: false }
    }
}

impl FakeState {
    fn customer(&mut self, token: Token) -> &mut Customer {
        let unknown = Customer { name: None, retention: None, floor: None, closed: false };
        self.customers.entry(token).or_insert(unknown)
    }

    /// Customers of whom nothing is minted any more.
    pub(super) fn closed(&self) -> usize {
        self.customers.values().filter(|customer| customer.closed).count()
    }

    fn keys(&self) -> impl Iterator<Item = &KeyRow> {
        self.hours.values().flat_map(|row| &row.keys)
    }

    /// # Errors
    /// If a row of these hours is not usable.
    fn check(&self, token: Token, from: Hour, to: Hour) -> Result<(), StoreError> {
        match self.unusable.range((token, from)..=(token, to)).next() {
            Some(_) => Err(StoreError::Row("malformed gate state".to_owned())),
            None => Ok(()),
        }
    }

    fn found(&self, slot: &SlotRef) -> Found {
        let row = self.hours.get(&(slot.token, slot.hour));
        let key = row.and_then(|row| row.keys.iter().find(|key| key.generation == slot.generation));
        Found {
            customer: self.customers.get(&slot.token).cloned(),
            gate: row.map(|row| row.gate.clone()),
            key: key.cloned(),
            seen: Seen::nothing(),
        }
    }

    fn mint(&mut self, candidate: &Candidate, now: Millis) -> Minted {
        let SlotRef { token, hour, generation } = candidate.slot;
        let there = self.found(&candidate.slot);
        let refusal = refusal(candidate, there.customer.as_ref(), there.gate.as_ref(), there.key.as_ref());
        if let Some(refusal) = refusal {
            return refusal;
        }
        let over = |hold: &&Hold| hold.token == token && (hold.from..=hold.to).contains(&hour);
        let hold = self.holds.iter().find(over).map(|hold| hold.id.clone());
        let gate = Gate { kek: Some(candidate.kek.clone()), hold, ..open_gate(candidate.due) };
        let new = HourRow { token, hour, gate, keys: Vec::new() };
        self.customer(token).name = Some(candidate.customer.clone());
        self.hours.entry((token, hour)).or_insert(new).keys.push(KeyRow {
            generation,
            state: KeyState::Live,
            key_id: candidate.key_id(),
            commitment: candidate.commitment,
            kek: candidate.kek.clone(),
            wrapped: Some(candidate.wrapped),
            minted_at: now,
            erased_at: None,
            command: None,
        });
        Minted::Won
    }
}

fn open_gate(due: Due) -> Gate {
    Gate { due, kek: None, fenced: false, hold: None, command: None }
}

impl FakeStore {
    /// A customer's hour with live keys in this many generations.
    pub(in crate::forget) fn with_keys(self, hour: Hour, generations: u16) -> Self {
        self.with_keys_of(&acme(), hour, generations)
    }

    pub(super) fn with_keys_of(self, customer: &CustomerId, hour: Hour, generations: u16) -> Self {
        let token = self.token(customer);
        let gate = Gate {
            due: Due::of(hour, meta(None).default_retention),
            kek: Some(KekId::of_due(Due::of(hour, meta(None).default_retention))),
            fenced: false,
            hold: None,
            command: None,
        };
        let keys = (0..generations).map(|generation| KeyRow {
            generation: Generation(generation),
            state: KeyState::Live,
            key_id: KeyId([generation as u8; 16]),
            commitment: [generation as u8; 32],
            kek: KekId::of_due(gate.due),
            wrapped: None,
            minted_at: Millis(0),
            erased_at: None,
            command: None,
        });
        let row = HourRow { token, hour, keys: keys.collect(), gate: gate.clone() };
        self.state().hours.insert((token, hour), row);
        self
    }

    pub(super) fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().expect("no test panics while it holds it")
    }

    fn call(&self, name: &'static str) -> Result<MutexGuard<'_, FakeState>, StoreError> {
        let mut state = self.state();
        state.calls.push(name);
        match &mut state.answers {
            Some(0) => return Err(StoreError::Unavailable("switched off by the test".to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }

    pub(super) fn live_keys(&self) -> usize {
        let state = self.state();
        let keys = state.hours.values().flat_map(|row| &row.keys);
        keys.filter(|key| key.state == KeyState::Live).count()
    }

    pub(super) fn fenced_hours(&self) -> usize {
        self.state().hours.values().filter(|row| row.gate.fenced).count()
    }

    pub(super) fn hold(&self, hour: Hour) {
        let mut state = self.state();
        let row = state.hours.get_mut(&(self.token(&acme()), hour)).expect("an hour with a gate");
        row.gate.hold = Some(HoldId(b"h".to_vec()));
    }
}

#[async_trait]
impl ReadStore for FakeStore {
    async fn now(&self) -> Result<Millis, StoreError> {
        self.call("now").map(|_| NOW.plus(self.skew_ms))
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        self.call("meta").map(|state| meta(state.mark))
    }

    fn token_key(&self) -> &Arc<TokenKey> {
        &self.token_key
    }

    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        self.call("fetch").map(|state| slots.iter().map(|slot| state.found(slot)).collect())
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        self.call("kek").map(|state| state.keks.get(id).map(|state| kek_row(id, *state)))
    }

    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        let state = self.call("keks")?;
        Ok(state.keks.iter().map(|(id, state)| kek_row(id, *state)).collect())
    }

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        self.call("customer").map(|state| state.customers.get(&token).cloned())
    }

    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        let state = self.call("customers")?;
        let customers = state.customers.iter().filter(|(token, _)| Some(**token) > after);
        Ok(customers.take(limit).map(|(token, customer)| (*token, customer.clone())).collect())
    }

    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        let state = self.call("hours")?;
        state.check(token, from, to)?;
        Ok(state.hours.range((token, from)..=(token, to)).map(|(_, row)| row.clone()).collect())
    }

    async fn due_hours(
        &self,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let state = self.call("due_hours")?;
        let open = state.hours.values().filter(|row| !row.gate.fenced && row.gate.due.0 <= until.0);
        let hours = open.map(|row| DueHour::new(row.gate.due, row.token, row.hour));
        let mut hours: Vec<DueHour> = hours.filter(|hour| Some(hour) > after).collect();
        hours.sort_unstable();
        hours.truncate(limit);
        Ok(hours)
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        self.call("hold").map(|state| state.holds.iter().find(|hold| hold.id == *id).cloned())
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.call("holds").map(|state| state.holds.clone())
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        let state = self.call("live_keys")?;
        let mut live = BTreeMap::new();
        let keys = state.hours.values().flat_map(|row| &row.keys);
        for key in keys.filter(|key| key.state == KeyState::Live) {
            *live.entry(key.kek.clone()).or_default() += 1;
        }
        Ok(live)
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        let state = self.call("hours_under")?;
        let live = |key: &KeyRow| key.state == KeyState::Live && key.kek == *kek;
        let hours = state.hours.iter().filter(|(_, row)| row.keys.iter().any(live));
        Ok(hours.map(|(place, _)| *place).take(limit).collect())
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        let state = self.call("count_keys")?;
        let count = |wanted| state.keys().filter(|key| key.state == wanted).count() as u64;
        Ok((count(KeyState::Live), count(KeyState::Erased), count(KeyState::ErasedByTtl)))
    }

    async fn placement(&self, topic: &str) -> Result<Option<i32>, StoreError> {
        Ok(self.call("placement")?.placements.get(topic).copied())
    }
}

#[async_trait]
impl SealStore for FakeStore {
    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
        let mut state = self.call("mint")?;
        Ok(candidates.iter().map(|candidate| state.mint(candidate, now)).collect())
    }

    /// The check value of every KEK is zero here.
    async fn register_kek(&self, id: &KekId, _check: [u8; 16]) -> Result<KekRow, StoreError> {
        let mut state = self.call("register_kek")?;
        Ok(kek_row(id, *state.keks.entry(id.clone()).or_insert(KekState::Live)))
    }

    async fn started(&self, input: &str) -> Result<Vec<Started>, StoreError> {
        let state = self.call("started")?;
        Ok(state.started.iter().filter(|((of, _), _)| of == input).map(|(_, started)| *started).collect())
    }

    async fn mark_started(&self, input: &str, partitions: &[Started]) -> Result<(), StoreError> {
        let mut state = self.call("mark_started")?;
        state.started.extend(partitions.iter().map(|it| ((input.to_owned(), it.partition), *it)));
        Ok(())
    }

    async fn set_placement(&self, topic: &str, seen: Option<i32>, to: i32) -> Result<i32, StoreError> {
        let mut state = self.call("set_placement")?;
        let now = state.placements.entry(topic.to_owned()).or_insert(to);
        if seen == Some(*now) {
            *now = to;
        }
        Ok(*now)
    }
}

#[async_trait]
impl EraseStore for FakeStore {
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
        let mut state = self.call("fence")?;
        state.check(token, hour, hour)?;
        let empty = open_gate(due);
        let late_hold = state.late_hold == Some(hour);
        let row = state.hours.entry((token, hour)).or_insert(HourRow {
            token,
            hour,
            gate: empty,
            keys: Vec::new(),
        });
        if late_hold || row.gate.hold.is_some() {
            return Ok(Fence::Held(HoldId(b"h".to_vec())));
        }
        row.gate.fenced = true;
        row.gate.command.get_or_insert(command);
        Ok(Fence::Fenced)
    }

    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, _: Millis) -> Result<(), StoreError> {
        let mut state = self.call("keep_fence")?;
        let row = state.hours.get_mut(&(token, hour)).filter(|row| row.gate.fenced);
        row.into_iter().for_each(|row| row.gate.due = row.gate.due.max(due));
        Ok(())
    }

    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        let mut state = self.call("erase")?;
        state.check(token, hour, hour)?;
        let late_hold = state.late_hold == Some(hour);
        let Some(row) = state.hours.get_mut(&(token, hour)).filter(|row| row.gate.fenced) else {
            return Ok(Erasure::NotFenced);
        };
        if late_hold || row.gate.hold.is_some() {
            return Ok(Erasure::Held(HoldId(b"h".to_vec())));
        }
        for key in row.keys.iter_mut().filter(|key| key.state == KeyState::Live && !self.broken) {
            (key.state, key.erased_at, key.command) = (KeyState::Erased, Some(now), Some(command));
        }
        Ok(Erasure::Erased(row.keys.clone()))
    }

    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let mut rows = Vec::new();
        for &DueHour { token, hour, due, .. } in hours {
            if self.fence(token, hour, due, command).await? == Fence::Fenced {
                self.erase(token, hour, command, now).await?;
            }
            rows.push(self.hours(token, hour, hour).await?.pop());
        }
        Ok(rows)
    }

    async fn rewrap(&self, terms: &Rewrap, _: Millis) -> Result<Option<HourRow>, StoreError> {
        let mut state = self.call("rewrap")?;
        let Some(row) = state.hours.get_mut(&(terms.token, terms.hour)) else { return Ok(None) };
        let (due, kek, command) = &terms.seen;
        let gate = &mut row.gate;
        let is_seen = (gate.due, gate.kek.as_ref(), gate.command) == (*due, Some(kek), *command);
        if is_seen && (!gate.fenced || gate.hold.is_some()) {
            (gate.due, gate.kek) = (terms.due, Some(terms.kek.clone()));
            gate.command = terms.command.or(gate.command);
            for Rewrapped { seen, wrapped } in &terms.keys {
                for key in row.keys.iter_mut().filter(|key| *key == seen) {
                    (key.kek, key.wrapped) = (terms.kek.clone(), Some(*wrapped));
                }
            }
        }
        Ok(Some(row.clone()))
    }

    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError> {
        let mut state = self.call("expire_markers")?;
        let FakeState { hours, customers, .. } = &mut *state;
        let before = hours.len();
        hours.retain(|(token, hour), row| {
            let floor = customers.get(token).and_then(|customer| customer.floor);
            let is_old = floor > Some(*hour) && row.gate.due <= until;
            let matters = !row.gate.fenced || row.gate.hold.is_some();
            !is_old || matters || row.keys.iter().any(|key| key.state == KeyState::Live)
        });
        Ok((before - hours.len()) as u64)
    }

    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        let mut state = self.call("expire_secrets")?;
        let due = state.hours.values_mut().filter(|row| row.gate.due <= until && row.gate.hold.is_none());
        let mut count = 0;
        for key in due.flat_map(|row| &mut row.keys).filter(|key| key.state == KeyState::Live) {
            (key.state, key.wrapped, key.erased_at) = (KeyState::ErasedByTtl, None, Some(now));
            count += 1;
        }
        Ok(count)
    }
}

#[async_trait]
impl DecisionStore for FakeStore {
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        let mut state = self.call("place_hold")?;
        if state.holds.iter().any(|there| there.id == hold.id && there != hold) {
            return Ok(Placed::IdReuse);
        }
        state.holds.retain(|there| there.id != hold.id);
        state.holds.push(hold.clone());
        for (_, row) in state.hours.range_mut((hold.token, hold.from)..=(hold.token, hold.to)) {
            row.gate.hold.get_or_insert(hold.id.clone());
        }
        Ok(Placed::InForce)
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        let mut state = self.call("release_hold")?;
        state.holds.retain(|hold| hold.id != *id);
        state
            .hours
            .values_mut()
            .for_each(|row| row.gate.hold = row.gate.hold.take().filter(|hold| hold != id));
        Ok(())
    }

    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        let mut state = self.call("set_retention")?;
        let customer = state.customer(token);
        if customer.retention == seen {
            customer.retention = to;
        }
        Ok(customer.retention == to)
    }

    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        let mut state = self.call("raise_floor")?;
        let customer = state.customer(token);
        customer.floor = customer.floor.max(Some(floor));
        Ok(())
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        self.call("close_customer").map(|mut state| state.customer(token).closed = true)
    }

    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        let mut state = self.call("store_verdict")?;
        if let Some(before) = state.verdicts.get(&digest) {
            return Ok(Stored::Before(before.clone()));
        }
        if state.ids.contains_key(id) {
            return Ok(Stored::IdReuse);
        }
        state.ids.insert(id.to_owned(), digest);
        state.verdicts.insert(digest, body.to_vec());
        Ok(Stored::New)
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.call("verdict").map(|state| state.verdicts.get(&digest).cloned())
    }

    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        self.call("applied_receipt").map(|mut state| state.mark = state.mark.max(Some(offset)))
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let mut state = self.call("advance_kek")?;
        let Some(stands) = state.keks.get_mut(id) else { return Ok(None) };
        *stands = to.max(*stands);
        Ok(Some(kek_row(id, *stands)))
    }
}
