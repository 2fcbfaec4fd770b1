//! Sealing: a mint is one conditional batch. Its conditions decide races with fences, holds and other mints.
//! The floor is checked before, on the rows that were read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::SerializeRow;
use scylla::value::MaybeUnset;

use super::ask::{Attempts, Cas};
use super::cells::Cells;
use super::lifetime::{KEPT, Ttl};
use super::metrics::{Settled, StoreOp};
use super::prepare::statements;
use super::rows::{AT_HOUR, HourRows, Place, Policy, day};
use super::seen::fresh;
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{Candidate, HoldId, KekRow, Minted, SealStore, SlotRef, StoreError, refusal};
use crate::model::{KekId, Millis, Started, Token, TopicId};

/// Inserts the key unless it exists, its secret, and then the gate.
fn mint(gate: &str) -> String {
    format!(
        r#"BEGIN BATCH
           INSERT INTO key ("token", day, hour, generation, state, key_id, commitment, kek, minted_at)
             VALUES (:"token", :day, :hour, :generation, 1, :key_id, :commitment, :kek, :minted_at)
             IF NOT EXISTS USING TTL :marker;
           UPDATE key USING TTL :secret SET wrapped = :wrapped WHERE {AT_HOUR} AND generation = :generation;
           UPDATE key USING TTL :marker {gate};
           APPLY BATCH"#
    )
}

statements! {
    open: cas(mint(&format!(
        "SET state = 1, due = :due, kek = :kek, hold = :hold, kept = :kept
           WHERE {AT_HOUR} AND generation = -1 IF state = null"
    ))),
    join: cas(mint(&format!(
        "SET kek = :kek
           WHERE {AT_HOUR} AND generation = -1 IF state = 1 AND due = :due AND kek = :kek AND kept = :kept"
    ))),
    register_kek: cas("INSERT INTO kek (id, check_value, state) VALUES (:id, :check_value, 1) IF NOT EXISTS"),
    started: plain("SELECT partition, topic, accepted FROM started WHERE input = :input"),
    mark_started: plain(
        "INSERT INTO started (input, partition, topic, accepted)
         VALUES (:input, :partition, :topic, :accepted)"
    ),
    probe: cas("INSERT INTO probe (id, part, value) VALUES (:id, 0, 0) IF NOT EXISTS USING TTL 60"),
}

/// A key, and the terms of its gate: the gate already has them, or is written with them.
#[derive(SerializeRow)]
struct NewKey<'a> {
    #[scylla(flatten)]
    place: Place,
    generation: i32,
    key_id: [u8; 16],
    commitment: &'a [u8],
    wrapped: &'a [u8],
    minted_at: i64,
    due: i64,
    kek: &'a str,
    kept: bool,
    secret: Ttl,
    marker: Ttl,
}

#[derive(SerializeRow)]
struct KeyAndGate<'a> {
    #[scylla(flatten)]
    key: NewKey<'a>,
    /// Unset without a hold: null would leave a tombstone.
    hold: MaybeUnset<&'a [u8]>,
}

#[derive(SerializeRow)]
struct NewKek<'a> {
    id: &'a str,
    check_value: [u8; 16],
}

/// Null replaces what was stored before.
#[derive(SerializeRow)]
struct StartedRow<'a> {
    input: &'a str,
    partition: i32,
    topic: Option<[u8; 16]>,
    accepted: Option<i64>,
}

#[async_trait]
impl SealStore for ScyllaStore {
    /// Executes one lightweight transaction. If it is answered, a majority of the replicas accepts writes.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.publish_connections();
        match self.ask.cas(StoreOp::Probe, &self.statements.mint.probe, (self.probe.as_str(),)).await? {
            Cas::Applied | Cas::Refused(_) => Ok(()),
            Cas::Unknown => {
                Err(StoreError::Unavailable("a majority of the replicas did not confirm a write".to_owned()))
            }
        }
    }

    /// Mints the candidates of one customer's day one after the other, because transactions on one partition
    /// only delay each other. Mints partitions concurrently.
    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
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

    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(row) = self.read_kek(id, &self.statements.slots.kek_serial).await? {
                attempts.settle(if row.check == check { Settled::Won } else { Settled::Adopted });
                return Ok(row);
            }
            attempts.settle(Settled::None);
            let values = NewKek { id: id.as_str(), check_value: check };
            match self.ask.cas(StoreOp::Kek, &self.statements.mint.register_kek, values).await? {
                Cas::Applied => {}
                cas => attempts.again(&cas).await?,
            }
        }
    }

    async fn started(&self, input: &str) -> Result<Vec<Started>, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.statements.mint.started, (input,)).await?;
        rows.iter().map(started).collect()
    }

    async fn mark_started(&self, input: &str, partitions: &[Started]) -> Result<(), StoreError> {
        for &Started { partition, topic, accepted } in partitions {
            let row = StartedRow { input, partition, topic: topic.map(|id| id.0), accepted };
            self.ask.write(StoreOp::Upsert, &self.statements.mint.mark_started, row).await?;
        }
        Ok(())
    }

    async fn set_placement(&self, topic: &str, seen: Option<i32>, to: i32) -> Result<i32, StoreError> {
        self.write_placement(topic, seen, to).await
    }
}

fn started(row: &Cells) -> Result<Started, StoreError> {
    let (topic, accepted) = (row.bytes("topic")?.map(TopicId), row.number("accepted")?);
    Ok(Started { partition: row.need("partition")?, topic, accepted })
}

/// The next step for a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Next {
    Answer(Minted),
    Write(Gating),
}

/// The way in which a mint goes through its hour's gate.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Gating {
    /// The hour has no gate: the mint writes it, under this hold.
    Open(Option<HoldId>),
    /// The gate has the candidate's due and KEK.
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

fn next(candidate: &Candidate, policy: &Policy, seen: &HourRows) -> Next {
    let SlotRef { hour, generation, .. } = candidate.slot;
    let gate = seen.gate.as_ref().map(|row| &row.gate);
    match refusal(candidate, Some(&policy.of(None)), gate, seen.key(generation)) {
        // An earlier attempt was applied after all.
        Some(Minted::Adopted { key, .. }) if key.key_id == candidate.key_id() => Next::Answer(Minted::Won),
        Some(refusal) => Next::Answer(refusal),
        None => Next::Write(match &seen.gate {
            None => Gating::Open(policy.hold_over(hour).cloned()),
            Some(row) => Gating::Join { kept: row.kept },
        }),
    }
}

impl ScyllaStore {
    async fn mint_day(
        &self,
        candidates: &[Candidate],
        places: Vec<usize>,
        now: Millis,
    ) -> Result<Vec<(usize, Minted)>, StoreError> {
        let (mut minted, mut hours) = (Vec::with_capacity(places.len()), BTreeSet::new());
        for at in places {
            let candidate = &candidates[at];
            let SlotRef { token, hour, .. } = candidate.slot;
            // The first candidate of an hour changes the rows that the others have seen.
            let seen = if hours.insert(hour) { fresh::<(Policy, HourRows)>(&candidate.seen) } else { None };
            let minted_one = match seen {
                Some((policy, rows)) => self.mint_one(candidate, policy, rows, now).await?,
                None => {
                    let (policy, rows) =
                        tokio::try_join!(self.read_policy(token), self.read_hour(token, hour))?;
                    self.mint_one(candidate, &policy, &rows, now).await?
                }
            };
            minted.push((at, minted_one));
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

    /// The rows that a refused batch met: from its reply, or from a SERIAL read.
    async fn seen_after(&self, cas: Cas, slot: SlotRef) -> Result<HourRows, StoreError> {
        if let Cas::Refused(rows) = &cas
            && let Ok(rows) = HourRows::parse(rows)
            && rows.gate.is_some()
        {
            return Ok(rows);
        }
        self.read_hour_serial(slot.token, slot.hour).await
    }

    /// Lists the hour before the mint, so that no key is ever unlisted.
    async fn list(&self, candidate: &Candidate, kept: bool, now: Millis) -> Result<(), StoreError> {
        let Candidate { slot: SlotRef { token, hour, .. }, customer, due, kek, .. } = candidate;
        let marker = self.lifetimes.marker_of(kept, *due, Some(kek), now);
        tokio::try_join!(
            self.list_customer(*token, customer, *hour, marker),
            self.list_due(*token, *hour, *due, marker),
        )?;
        Ok(())
    }

    /// Executes the conditional batch: the key unless it exists, its secret, and the gate if it is as seen.
    async fn offer(&self, candidate: &Candidate, gating: &Gating, now: Millis) -> Result<Cas, StoreError> {
        let Candidate { slot, due, kek, commitment, wrapped, .. } = candidate;
        let kept = gating.kept();
        let (secret, marker) = match kept {
            true => (KEPT, KEPT),
            false => (self.lifetimes.secret(*due, now), self.lifetimes.marker_under(*due, Some(kek), now)),
        };
        let key = NewKey {
            place: Place::of(slot.token, slot.hour),
            generation: slot.generation.0.into(),
            key_id: candidate.key_id().0,
            commitment,
            wrapped,
            minted_at: now.0,
            due: due.0.into(),
            kek: kek.as_str(),
            kept,
            secret,
            marker,
        };
        let statements = &self.statements.mint;
        match gating {
            Gating::Open(hold) => {
                let hold = MaybeUnset::from_option(hold.as_ref().map(|hold| hold.0.as_slice()));
                self.ask.cas(StoreOp::Mint, &statements.open, KeyAndGate { key, hold }).await
            }
            Gating::Join { .. } => self.ask.cas(StoreOp::Mint, &statements.join, key).await,
        }
    }
}
