//! Fence, erase, holds, and the jobs that do what a TTL does elsewhere.

use rusqlite::{OptionalExtension, Transaction};

use super::listing;
use super::rows::Reads;
use crate::keys::{DueHour, Erasure, Fence, Hold, HoldId, HourRow, Placed, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};

pub(super) fn fence(
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

pub(super) fn keep_fence(tx: &Transaction<'_>, token: Token, hour: Hour, due: Due) -> Result<(), StoreError> {
    let sql = "UPDATE gate SET due = max(due, ?3) WHERE token = ?1 AND hour = ?2 AND state = 2";
    tx.execute(sql, (token.0, hour.0, due.0))?;
    Ok(())
}

pub(super) fn erase(
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

/// All of them in one transaction, so that the log is cleared once.
pub(super) fn forget(
    tx: &Transaction<'_>,
    hours: &[DueHour],
    command: Digest,
    now: Millis,
) -> Result<Vec<Option<HourRow>>, StoreError> {
    let forget_one = |&DueHour { due, token, hour }: &DueHour| {
        let row = || Ok::<_, StoreError>(listing::hours(tx, token, hour, hour)?.pop());
        let fenced = row()?.is_some() && fence(tx, token, hour, due, command)? == Fence::Fenced;
        if fenced {
            erase(tx, token, hour, command, now)?;
        }
        row()
    };
    hours.iter().map(forget_one).collect()
}

pub(super) fn place_hold(tx: &Transaction<'_>, hold: &Hold) -> Result<Placed, StoreError> {
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

/// Each gate that carries the hold gets another one that covers it, or none.
pub(super) fn release_hold(tx: &Transaction<'_>, id: &HoldId) -> Result<(), StoreError> {
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

/// Hours whose rows may go: below the floor, due for long, fenced, not held, nothing live.
const EXPIRED_HOURS: &str = "
    SELECT gate.token, gate.hour FROM gate JOIN customer USING (token)
    WHERE gate.hour < customer.floor AND gate.due <= ?1 AND gate.state = 2 AND gate.hold IS NULL
      AND NOT EXISTS (SELECT 1 FROM key
                      WHERE key.token = gate.token AND key.hour = gate.hour AND key.state = 1)";

pub(super) fn expire_markers(tx: &Transaction<'_>, until: Due) -> Result<u64, StoreError> {
    tx.execute(&format!("DELETE FROM key WHERE (token, hour) IN ({EXPIRED_HOURS})"), [until.0])?;
    let hours =
        tx.execute(&format!("DELETE FROM gate WHERE (token, hour) IN ({EXPIRED_HOURS})"), [until.0])?;
    Ok(hours as u64)
}

pub(super) fn expire_secrets(tx: &Transaction<'_>, until: Due, now: Millis) -> Result<u64, StoreError> {
    let keys = tx.execute(
        "UPDATE key SET state = 3, wrapped = x'', erased_at = ?2
         WHERE state = 1 AND (token, hour) IN (SELECT token, hour FROM gate WHERE due <= ?1 AND hold IS NULL)",
        (until.0, now.0),
    )?;
    Ok(keys as u64)
}
