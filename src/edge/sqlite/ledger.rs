//! What was decided and agreed on: KEKs, policies, verdicts, receipts, started partitions.

use rusqlite::{OptionalExtension, Transaction};

use super::rows;
use crate::keys::{KekRow, KekState, StoreError, Stored};
use crate::model::{Digest, Hour, KekId, Retention, Token};

pub(super) fn register_kek(tx: &Transaction<'_>, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
    tx.execute(
        "INSERT INTO kek (id, check_value, state) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING",
        (id.as_str(), check),
    )?;
    Ok(kek(tx, id)?.expect("it was there or was inserted, in this transaction"))
}

pub(super) fn kek(tx: &Transaction<'_>, id: &KekId) -> Result<Option<KekRow>, StoreError> {
    let mut statement = tx.prepare("SELECT id, check_value, state FROM kek WHERE id = ?1")?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(rows::kek).transpose()
}

pub(super) fn advance_kek(
    tx: &Transaction<'_>,
    id: &KekId,
    to: KekState,
) -> Result<Option<KekRow>, StoreError> {
    let sql = "UPDATE kek SET state = max(state, ?2) WHERE id = ?1";
    tx.execute(sql, (id.as_str(), rows::kek_state(to)))?;
    kek(tx, id)
}

/// A customer of whom a receipt tells: its name is not known yet, and may never be.
fn list_customer(tx: &Transaction<'_>, token: Token) -> Result<(), StoreError> {
    let sql = "INSERT INTO customer (token, name) VALUES (?1, x'') ON CONFLICT DO NOTHING";
    tx.execute(sql, [token.0])?;
    Ok(())
}

pub(super) fn set_retention(
    tx: &Transaction<'_>,
    token: Token,
    seen: Option<Retention>,
    to: Option<Retention>,
) -> Result<bool, StoreError> {
    list_customer(tx, token)?;
    let hours = |retention: Option<Retention>| retention.map(Retention::as_hours);
    let sql = "UPDATE customer SET retention = ?3 WHERE token = ?1 AND (retention IS ?2 OR retention IS ?3)";
    Ok(tx.execute(sql, (token.0, hours(seen), hours(to)))? == 1)
}

pub(super) fn raise_floor(tx: &Transaction<'_>, token: Token, floor: Hour) -> Result<(), StoreError> {
    list_customer(tx, token)?;
    tx.execute(
        "UPDATE customer SET floor = max(coalesce(floor, 0), ?2) WHERE token = ?1",
        (token.0, floor.0),
    )?;
    Ok(())
}

pub(super) fn close_customer(tx: &Transaction<'_>, token: Token) -> Result<(), StoreError> {
    list_customer(tx, token)?;
    tx.execute("UPDATE customer SET status = 1 WHERE token = ?1", [token.0])?;
    Ok(())
}

pub(super) fn store_verdict(
    tx: &Transaction<'_>,
    digest: Digest,
    id: &str,
    body: &[u8],
) -> Result<Stored, StoreError> {
    if let Some(before) = verdict(tx, digest)? {
        return Ok(Stored::Before(before));
    }
    let sql = "INSERT INTO verdict (digest, id, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
    let stored = tx.execute(sql, (digest.0, id, body))?;
    Ok(if stored == 1 { Stored::New } else { Stored::IdReuse })
}

pub(super) fn verdict(tx: &Transaction<'_>, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tx.query_row("SELECT body FROM verdict WHERE digest = ?1", [digest.0], |row| row.get(0)).optional()?)
}

pub(super) fn applied_receipt(tx: &Transaction<'_>, offset: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE meta SET value = CAST(CAST(?1 AS TEXT) AS BLOB)
         WHERE name = 'last_receipt' AND CAST(CAST(value AS TEXT) AS INTEGER) < ?1",
        [offset],
    )?;
    Ok(())
}

pub(super) fn started(tx: &Transaction<'_>, input: &str) -> Result<Vec<i32>, StoreError> {
    let mut statement = tx.prepare("SELECT partition FROM started WHERE input = ?1 ORDER BY partition")?;
    let rows = statement.query_map([input], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn mark_started(tx: &Transaction<'_>, input: &str, partitions: &[i32]) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare("INSERT INTO started (input, partition) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for partition in partitions {
        statement.execute((input, partition))?;
    }
    Ok(())
}
