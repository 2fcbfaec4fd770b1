//! Sealing: a batch of mints is one transaction. It decides on fence, hold and floor, and on races.

use async_trait::async_trait;
use rusqlite::{Row, Statement, Transaction};

use super::SqliteStore;
use super::read::{kek_of, placement_of};
use super::rows::{NAME_CUSTOMER, Reads};
use crate::keys::{Candidate, KekRow, Minted, SealStore, StoreError, refusal};
use crate::model::{KekId, Millis, Started, TopicId};

#[async_trait]
impl SealStore for SqliteStore {
    /// Takes the write lock and releases it. It writes and syncs nothing.
    async fn check_writable(&self) -> Result<(), StoreError> {
        self.db.write(|_| Ok(())).await
    }

    async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
        let candidates = candidates.to_vec();
        self.db
            .write(move |tx| {
                let mut statements = Statements::new(tx)?;
                candidates.iter().map(|candidate| statements.mint(candidate, now)).collect()
            })
            .await
    }

    async fn register_kek(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
        let id = id.clone();
        self.db
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO kek (id, check_value, state) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING",
                    (id.as_str(), check),
                )?;
                Ok(kek_of(tx, &id)?.expect("it was there or was inserted, in this transaction"))
            })
            .await
    }

    async fn started(&self, input: &str) -> Result<Vec<Started>, StoreError> {
        let input = input.to_owned();
        self.db
            .read(move |tx| {
                let mut statement = tx.prepare(
                    "SELECT partition, topic, accepted FROM started WHERE input = ?1 ORDER BY partition",
                )?;
                Ok(statement.query_map([input], started)?.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn mark_started(&self, input: &str, partitions: &[Started]) -> Result<(), StoreError> {
        let (input, partitions) = (input.to_owned(), partitions.to_vec());
        self.db
            .write(move |tx| {
                let mut statement = tx.prepare(
                    "INSERT INTO started (input, partition, topic, accepted) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET topic = excluded.topic, accepted = excluded.accepted",
                )?;
                for Started { partition, topic, accepted } in partitions {
                    statement.execute((&input, partition, topic.map(|id| id.0), accepted))?;
                }
                Ok(())
            })
            .await
    }

    async fn set_placement(&self, topic: &str, seen: Option<i32>, to: i32) -> Result<i32, StoreError> {
        let topic = topic.to_owned();
        self.db
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO placement (topic, partitions) VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET partitions = excluded.partitions WHERE partitions = ?3",
                    (&topic, to, seen),
                )?;
                Ok(placement_of(tx, &topic)?.expect("it was there or was inserted, in this transaction"))
            })
            .await
    }
}

fn started(row: &Row<'_>) -> rusqlite::Result<Started> {
    let topic = row.get::<_, Option<[u8; 16]>>("topic")?.map(TopicId);
    Ok(Started { partition: row.get("partition")?, topic, accepted: row.get("accepted")? })
}

/// The statements of a batch.
struct Statements<'c> {
    reads: Reads<'c>,
    customer: Statement<'c>,
    gate: Statement<'c>,
    key: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn new(tx: &'c Transaction<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            reads: Reads::new(tx)?,
            customer: tx.prepare(NAME_CUSTOMER)?,
            gate: tx.prepare(
                "INSERT INTO gate (token, hour, due, kek, state, hold) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
            )?,
            key: tx.prepare(
                "INSERT INTO key (token, hour, generation, state, key_id, commitment, kek, wrapped, minted_at)
                 VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)",
            )?,
        })
    }

    fn mint(&mut self, candidate: &Candidate, now: Millis) -> Result<Minted, StoreError> {
        let Candidate { slot, customer, due, kek, commitment, wrapped, .. } = candidate;
        let there = self.reads.found(slot)?;
        let refusal = refusal(candidate, there.customer.as_ref(), there.gate.as_ref(), there.key.as_ref());
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        self.customer.execute((slot.token.0, customer.as_bytes()))?;
        if there.gate.is_none() {
            let hold = self.reads.hold_over(slot.token, slot.hour)?.map(|hold| hold.0);
            self.gate.execute((slot.token.0, slot.hour.0, due.0, kek.as_str(), hold))?;
        }
        self.key.execute((
            slot.token.0,
            slot.hour.0,
            slot.generation.0,
            candidate.key_id().0,
            commitment,
            kek.as_str(),
            wrapped,
            now.0,
        ))?;
        Ok(Minted::Won)
    }
}
