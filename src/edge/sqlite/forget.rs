//! Erasing: fence, erase, and the jobs that do what TTLs do on CQL.

use async_trait::async_trait;
use rusqlite::Transaction;

use super::SqliteStore;
use super::read::hours;
use super::rewrap::rewrap;
use super::rows::Reads;
use crate::keys::{DueHour, EraseStore, Erasure, Fence, HourRow, Rewrap, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};

#[async_trait]
impl EraseStore for SqliteStore {
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
        self.db.write(move |tx| fence(tx, token, hour, due, command)).await
    }

    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, _now: Millis) -> Result<(), StoreError> {
        let sql = "UPDATE gate SET due = max(due, ?3) WHERE token = ?1 AND hour = ?2 AND state = 2";
        self.db.write(move |tx| Ok(tx.execute(sql, (token.0, hour.0, due.0)).map(drop)?)).await
    }

    async fn erase(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        self.db.write_and_wipe(move |tx| erase(tx, token, hour, command, now)).await
    }

    /// Forgets all hours in one transaction, so that the log is cleared once.
    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let hours = hours.to_vec();
        self.db
            .write_and_wipe(move |tx| hours.iter().map(|hour| forget(tx, hour, command, now)).collect())
            .await
    }

    async fn rewrap(&self, terms: &Rewrap, _now: Millis) -> Result<Option<HourRow>, StoreError> {
        let terms = terms.clone();
        self.db.write_and_wipe(move |tx| rewrap(tx, &terms)).await
    }

    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError> {
        self.db
            .write(move |tx| {
                tx.execute(&format!("DELETE FROM key WHERE (token, hour) IN ({EXPIRED_HOURS})"), [until.0])?;
                let hours = tx.execute(
                    &format!("DELETE FROM gate WHERE (token, hour) IN ({EXPIRED_HOURS})"),
                    [until.0],
                )?;
                Ok(hours as u64)
            })
            .await
    }

    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        self.db
            .write_and_wipe(move |tx| {
                let keys = tx.execute(
                    "UPDATE key SET state = 3, wrapped = x'', erased_at = ?2
                 WHERE state = 1 \
                     AND (token, hour) IN (SELECT token, hour FROM gate WHERE due <= ?1 AND hold IS NULL)",
                    (until.0, now.0),
                )?;
                Ok(keys as u64)
            })
            .await
    }
}

fn fence(
    tx: &Transaction<'_>,
    token: Token,
    hour: Hour,
    due: Due,
    command: Digest,
) -> Result<Fence, StoreError> {
    let mut reads = Reads::new(tx)?;
    let gate = reads.gate(token, hour)?;
    let hold = match &gate {
        Some(gate) => gate.hold.clone(),
        None => reads.hold_over(token, hour)?,
    };
    match (gate, hold) {
        (_, Some(hold)) => return Ok(Fence::Held(hold)),
        (Some(gate), None) if gate.fenced => {}
        (Some(_), None) => {
            let sql = "UPDATE gate SET state = 2, command = ?3 WHERE token = ?1 AND hour = ?2";
            tx.execute(sql, (token.0, hour.0, command.0))?;
        }
        (None, None) => {
            let sql =
                "INSERT INTO gate (token, hour, due, kek, state, command) VALUES (?1, ?2, ?3, '', 2, ?4)";
            tx.execute(sql, (token.0, hour.0, due.0, command.0))?;
        }
    }
    Ok(Fence::Fenced)
}

fn erase(
    tx: &Transaction<'_>,
    token: Token,
    hour: Hour,
    command: Digest,
    now: Millis,
) -> Result<Erasure, StoreError> {
    let mut reads = Reads::new(tx)?;
    match reads.gate(token, hour)? {
        Some(gate) if gate.hold.is_some() => return Ok(Erasure::Held(gate.hold.expect("just seen"))),
        Some(gate) if gate.fenced => {}
        Some(_) | None => return Ok(Erasure::NotFenced),
    }
    tx.execute(
        "UPDATE key SET state = 2, wrapped = x'', erased_at = ?3, command = ?4
         WHERE token = ?1 AND hour = ?2 AND state = 1",
        (token.0, hour.0, now.0, command.0),
    )?;
    Ok(Erasure::Erased(reads.keys(token, hour)?))
}

/// Returns `None` if the hour has no gate. Returns a held hour unchanged.
fn forget(
    tx: &Transaction<'_>,
    &DueHour { due, token, hour, .. }: &DueHour,
    command: Digest,
    now: Millis,
) -> Result<Option<HourRow>, StoreError> {
    let row = || Ok::<_, StoreError>(hours(tx, token, hour, hour)?.pop());
    let fenced = row()?.is_some() && fence(tx, token, hour, due, command)? == Fence::Fenced;
    if fenced {
        erase(tx, token, hour, command, now)?;
    }
    row()
}

/// Hours whose rows may be deleted: below the floor, due at or before ?1, fenced, not held, no live key.
const EXPIRED_HOURS: &str = "
    SELECT gate.token, gate.hour FROM gate JOIN customer USING (token)
    WHERE gate.hour < customer.floor AND gate.due <= ?1 AND gate.state = 2 AND gate.hold IS NULL
      AND NOT EXISTS (SELECT 1 FROM key
                      WHERE key.token = gate.token AND key.hour = gate.hour AND key.state = 1)";
