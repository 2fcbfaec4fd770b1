//! Decisions: holds, policies, verdicts, the receipts' position, the states of a KEK.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction};

use super::SqliteStore;
use super::read::kek_of;
use crate::keys::{DecisionStore, Hold, HoldId, KekRow, KekState, Placed, StoreError, Stored};
use crate::model::{Digest, Hour, KekId, Retention, Token};

#[async_trait]
impl DecisionStore for SqliteStore {
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        let hold = hold.clone();
        self.db.write(move |tx| place_hold(tx, &hold)).await
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        let id = id.clone();
        self.db.write(move |tx| release_hold(tx, &id)).await
    }

    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        self.db
            .write(move |tx| {
                list_customer(tx, token)?;
                let hours = |retention: Option<Retention>| retention.map(Retention::as_hours);
                let sql = "UPDATE customer SET retention = ?3 \
                           WHERE token = ?1 AND (retention IS ?2 OR retention IS ?3)";
                Ok(tx.execute(sql, (token.0, hours(seen), hours(to)))? == 1)
            })
            .await
    }

    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                list_customer(tx, token)?;
                tx.execute(
                    "UPDATE customer SET floor = max(coalesce(floor, 0), ?2) WHERE token = ?1",
                    (token.0, floor.0),
                )?;
                Ok(())
            })
            .await
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                list_customer(tx, token)?;
                tx.execute("UPDATE customer SET status = 1 WHERE token = ?1", [token.0])?;
                Ok(())
            })
            .await
    }

    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        let (id, body) = (id.to_owned(), body.to_vec());
        self.db
            .write(move |tx| {
                if let Some(before) = verdict(tx, digest)? {
                    return Ok(Stored::Before(before));
                }
                let sql =
                    "INSERT INTO verdict (digest, id, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
                let stored = tx.execute(sql, (digest.0, id, body))?;
                Ok(if stored == 1 { Stored::New } else { Stored::IdReuse })
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(move |tx| verdict(tx, digest)).await.map_err(StoreError::of_every_customer)
    }

    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        let sql = "UPDATE meta SET value = CAST(CAST(?1 AS TEXT) AS BLOB)
                   WHERE name = 'last_receipt' AND CAST(CAST(value AS TEXT) AS INTEGER) < ?1";
        self.db.write(move |tx| Ok(tx.execute(sql, [offset]).map(drop)?)).await
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let id = id.clone();
        self.db
            .write(move |tx| {
                let sql = "UPDATE kek SET state = max(state, ?2) WHERE id = ?1";
                tx.execute(sql, (id.as_str(), to.number()))?;
                kek_of(tx, &id)
            })
            .await
    }
}

fn place_hold(tx: &Transaction<'_>, hold: &Hold) -> Result<Placed, StoreError> {
    let Hold { id, token, from, to } = hold;
    let placed = tx.execute(
        "INSERT INTO hold (id, token, from_hour, to_hour) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (&id.0, token.0, from.0, to.0),
    )?;
    if placed == 0 {
        let same = tx.query_row(
            "SELECT token = ?2 AND from_hour = ?3 AND to_hour = ?4 FROM hold WHERE id = ?1",
            (&id.0, token.0, from.0, to.0),
            |row| row.get(0),
        )?;
        return Ok(if same { Placed::InForce } else { Placed::IdReuse });
    }
    tx.execute(
        "UPDATE gate SET hold = ?1 WHERE token = ?2 AND hour BETWEEN ?3 AND ?4 AND hold IS NULL",
        (&id.0, token.0, from.0, to.0),
    )?;
    Ok(Placed::InForce)
}

/// Each gate that carries the hold gets another hold that covers it, or no hold.
fn release_hold(tx: &Transaction<'_>, id: &HoldId) -> Result<(), StoreError> {
    let token: Option<[u8; 16]> = tx
        .query_row("DELETE FROM hold WHERE id = ?1 RETURNING token", [&id.0], |row| row.get(0))
        .optional()?;
    let Some(token) = token else { return Ok(()) };
    tx.execute(
        "UPDATE gate SET hold = (SELECT id FROM hold WHERE hold.token = gate.token
                                 AND from_hour <= gate.hour AND to_hour >= gate.hour ORDER BY id LIMIT 1)
         WHERE token = ?1 AND hold = ?2",
        (token, &id.0),
    )?;
    Ok(())
}

/// Lists a customer that a receipt mentions. Its name is not known yet, and may never be.
fn list_customer(tx: &Transaction<'_>, token: Token) -> Result<(), StoreError> {
    let sql = "INSERT INTO customer (token, name) VALUES (?1, x'') ON CONFLICT DO NOTHING";
    tx.execute(sql, [token.0])?;
    Ok(())
}

fn verdict(tx: &Transaction<'_>, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tx.query_row("SELECT body FROM verdict WHERE digest = ?1", [digest.0], |row| row.get(0)).optional()?)
}
