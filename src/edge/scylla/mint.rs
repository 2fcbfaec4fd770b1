//! Minting: where fence, hold, floor and race are decided, one conditional batch per candidate.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{Attempts, Cas};
use super::cells::{big, blob, bound, flag, int, text};
use super::lifetime::KEPT;
use super::rows::{HourRows, Policy, customer_name, day, due_day, place, shard};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{Candidate, Customer, Found, HoldId, Minted, SlotRef, StoreError};
use crate::model::{CustomerId, Hour, Millis, Token};
use crate::telemetry::{Settled, StoreOp};

/// What is next for a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Next {
    Answer(Minted),
    Write(Gating),
}

/// How a mint goes through its hour's gate.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Gating {
    /// There is none: the mint writes it, under this hold.
    Open(Option<HoldId>),
    /// It has the candidate's due and KEK.
    Join { kept: bool },
}

impl Gating {
    fn kept(&self) -> bool {
        match self {
            Self::Open(hold) => hold.is_some(),
            Self::Join { kept } => *kept,
        }
    }
}

/// Refusals go first; whose key is in the row is told by its id.
fn next(candidate: &Candidate, policy: &Policy, seen: &HourRows) -> Next {
    let slot = &candidate.slot;
    if policy.closed {
        return Next::Answer(Minted::Closed);
    }
    if let Some(floor) = policy.floor.filter(|floor| slot.hour < *floor) {
        return Next::Answer(Minted::BelowFloor(floor));
    }
    let Some(row) = &seen.gate else {
        return Next::Write(Gating::Open(policy.hold_over(slot.hour).cloned()));
    };
    let gate = &row.gate;
    if gate.fenced {
        return Next::Answer(Minted::Fenced(gate.clone()));
    }
    match seen.key(slot.generation) {
        Some(key) if key.key_id == candidate.key_id() => Next::Answer(Minted::Won),
        Some(key) => Next::Answer(Minted::Adopted { due: gate.due, key: key.clone() }),
        None if gate.due != candidate.due || gate.kek.as_ref() != Some(&candidate.kek) => {
            Next::Answer(Minted::GateDiffers(gate.clone()))
        }
        None => Next::Write(Gating::Join { kept: row.kept }),
    }
}

impl ScyllaStore {
    /// What is known of each slot, in the order asked; each customer and each hour is read once.
    pub(super) async fn fetch_slots(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        let hours: BTreeSet<(Token, Hour)> = slots.iter().map(|slot| (slot.token, slot.hour)).collect();
        let tokens: BTreeSet<Token> = slots.iter().map(|slot| slot.token).collect();
        let customers = stream::iter(tokens)
            .map(|token| async move {
                let known = tokio::try_join!(self.read_name(token), self.read_policy(token))?;
                Ok::<_, StoreError>((token, known))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<HashMap<Token, (Option<CustomerId>, Policy)>>();
        let hours = stream::iter(hours)
            .map(|(token, hour)| async move {
                Ok::<_, StoreError>(((token, hour), self.read_hour(token, hour).await?))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<HashMap<(Token, Hour), HourRows>>();
        let (customers, hours) = tokio::try_join!(customers, hours)?;
        let found = |slot: &SlotRef| {
            let (name, policy) = &customers[&slot.token];
            let rows = &hours[&(slot.token, slot.hour)];
            let key = rows.key(slot.generation).cloned();
            if key.is_none() {
                self.recent.missing.put(slot.token, slot.hour, (policy.clone(), rows.clone()));
            }
            let customer = known(name.clone(), policy.clone());
            Ok(Found { customer, gate: rows.gate.as_ref().map(|row| row.gate.clone()), key })
        };
        slots.iter().map(found).collect()
    }

    /// Candidates of one customer's day one after the other, because transactions on one partition only hinder each other;
    /// partitions side by side.
    pub(super) async fn mint_candidates(
        &self,
        candidates: &[Candidate],
        now: Millis,
    ) -> Result<Vec<Minted>, StoreError> {
        let mut days: BTreeMap<(Token, i32), Vec<usize>> = BTreeMap::new();
        for (at, candidate) in candidates.iter().enumerate() {
            days.entry((candidate.slot.token, day(candidate.slot.hour))).or_default().push(at);
        }
        let minted: Vec<Vec<(usize, Minted)>> = stream::iter(days.into_values())
            .map(|places| self.mint_day(candidates, places, now))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut minted: Vec<_> = minted.into_iter().flatten().collect();
        minted.sort_by_key(|(at, _)| *at);
        Ok(minted.into_iter().map(|(_, minted)| minted).collect())
    }

    async fn mint_day(
        &self,
        candidates: &[Candidate],
        places: Vec<usize>,
        now: Millis,
    ) -> Result<Vec<(usize, Minted)>, StoreError> {
        let mut minted = Vec::with_capacity(places.len());
        for at in places {
            let SlotRef { token, hour, .. } = candidates[at].slot;
            let (policy, seen) = match self.recent.missing.take(token, hour) {
                Some(seen) => seen,
                None => tokio::try_join!(self.read_policy(token), self.read_hour(token, hour))?,
            };
            minted.push((at, self.mint_one(&candidates[at], &policy, &seen, now).await?));
        }
        Ok(minted)
    }

    async fn mint_one(
        &self,
        candidate: &Candidate,
        policy: &Policy,
        seen: &HourRows,
        now: Millis,
    ) -> Result<Minted, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let mut now_next = next(candidate, policy, seen);
        let mut listed = false;
        loop {
            let gating = match now_next {
                Next::Answer(minted) => return Ok(minted),
                Next::Write(gating) => gating,
            };
            if !listed {
                self.list(candidate, gating.kept(), now).await?;
                listed = true;
            }
            let cas = self.offer(candidate, &gating, now).await?;
            if matches!(cas, Cas::Applied) {
                return Ok(Minted::Won);
            }
            attempts.again(&cas).await?;
            let seen = self.seen_after(cas, candidate.slot).await?;
            now_next = next(candidate, policy, &seen);
            attempts.settle(match &now_next {
                Next::Answer(Minted::Won) => Settled::Won,
                Next::Answer(_) => Settled::Adopted,
                Next::Write(_) => Settled::None,
            });
        }
    }

    /// The rows that a refused batch has met, as its reply tells them, or as a SERIAL read does.
    async fn seen_after(&self, cas: Cas, slot: SlotRef) -> Result<HourRows, StoreError> {
        if let Cas::Refused(rows) = &cas
            && let Ok(rows) = HourRows::parse(rows)
            && rows.gate.is_some()
        {
            return Ok(rows);
        }
        self.read_hour_serial(slot.token, slot.hour).await
    }

    /// Before the mint, so that no key is ever unlisted.
    async fn list(&self, candidate: &Candidate, kept: bool, now: Millis) -> Result<(), StoreError> {
        let Candidate { slot, customer, due, kek, .. } = candidate;
        let ttl = self.lifetimes.marker_of(kept, *due, Some(kek), now);
        let token = slot.token.0.as_slice();
        let customer = (token, customer.as_bytes(), token, day(slot.hour), ttl);
        let due = (due_day(*due), shard(slot.token), i64::from(due.0), token, i64::from(slot.hour.0), ttl);
        tokio::try_join!(
            self.ask.write(StoreOp::Upsert, &self.say.list_customer, customer),
            self.ask.write(StoreOp::Upsert, &self.say.list_due, due),
        )?;
        self.recent.named(slot.token, &candidate.customer);
        Ok(())
    }

    /// The conditional batch: the key unless there is one, its secret, and the gate as it was seen.
    async fn offer(&self, candidate: &Candidate, gating: &Gating, now: Millis) -> Result<Cas, StoreError> {
        let Candidate { slot, due, kek, commitment, wrapped, .. } = candidate;
        let (secret, marker) = match gating.kept() {
            true => (KEPT, KEPT),
            false => (self.lifetimes.secret(*due, now), self.lifetimes.marker_under(*due, Some(kek), now)),
        };
        let place = place(slot.token, slot.hour);
        let generation = int(slot.generation.0);
        let mut values = place.to_vec();
        values.extend([
            generation.clone(),
            blob(&candidate.key_id().0),
            blob(commitment),
            text(kek.as_str()),
        ]);
        values.extend([big(now.0), int(marker)]);
        values.extend([int(secret), blob(wrapped)]);
        values.extend(place.clone());
        values.extend([generation, int(marker)]);
        let (due, kek) = (big(due.0), text(kek.as_str()));
        let statement = match gating {
            Gating::Open(hold) => {
                values.extend([due, kek, hold.as_ref().and_then(|hold| blob(&hold.0)), flag(hold.is_some())]);
                values.extend(place);
                &self.say.mint_open
            }
            Gating::Join { kept } => {
                values.push(kek.clone());
                values.extend(place);
                values.extend([due, kek, flag(*kept)]);
                &self.say.mint_join
            }
        };
        self.ask.cas(StoreOp::Mint, statement, bound(values)).await
    }

    pub(super) async fn read_hour(&self, token: Token, hour: Hour) -> Result<HourRows, StoreError> {
        let place = (token.0.as_slice(), day(hour), i64::from(hour.0));
        HourRows::parse(&self.ask.rows(StoreOp::Read, &self.say.hour, place).await?)
    }

    /// Finishes what is under way on the hour, and reads what is there then.
    pub(super) async fn read_hour_serial(&self, token: Token, hour: Hour) -> Result<HourRows, StoreError> {
        let place = (token.0.as_slice(), day(hour), i64::from(hour.0));
        HourRows::parse(&self.ask.rows(StoreOp::SerialRead, &self.say.hour_serial, place).await?)
    }

    pub(super) async fn read_policy(&self, token: Token) -> Result<Policy, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.say.policy, (token.0.as_slice(),)).await?;
        Policy::parse(token, &rows)
    }

    pub(super) async fn read_customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        let (name, policy) = tokio::try_join!(self.read_name(token), self.read_policy(token))?;
        Ok(known(name, policy))
    }

    async fn read_name(&self, token: Token) -> Result<Option<CustomerId>, StoreError> {
        if let Some(name) = self.recent.name(token) {
            return Ok(Some(name));
        }
        let row = self.ask.row(StoreOp::Read, &self.say.name, (token.0.as_slice(),)).await?;
        let name = match &row {
            Some(row) => row.blob("name")?.map(customer_name).transpose()?,
            None => None,
        };
        if let Some(name) = &name {
            self.recent.named(token, name);
        }
        Ok(name)
    }
}

/// A customer is whoever has a name, or of whom a receipt told: that names tokens only. Holds make no customer.
pub(super) fn known(name: Option<CustomerId>, policy: Policy) -> Option<Customer> {
    let customer = policy.of(name);
    let says = customer.retention.is_some() || customer.floor.is_some() || customer.closed;
    (customer.name.is_some() || says).then_some(customer)
}
