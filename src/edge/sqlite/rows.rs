//! Parses rows into the types of the store's traits, and has the statements that read single rows.

use rusqlite::{Connection, Row, Statement};

use super::fault::malformed_row;
use crate::keys::{
    Customer, Found, Gate, HoldId, KekRow, KekState, KeyRow, KeyState, Seen, SlotRef, StoreError,
};
use crate::model::{
    CustomerId, Digest, Due, Generation, Hour, KekId, KeyId, Millis, QUARANTINE_CUSTOMER, Retention, Token,
};

/// Statements that read, prepared once per batch.
pub(super) struct Reads<'c> {
    customer: Statement<'c>,
    gate: Statement<'c>,
    key: Statement<'c>,
    keys: Statement<'c>,
    hold: Statement<'c>,
}

/// Values: token, name. Gives a customer its name. The customer's policy may already exist without a name.
pub(super) const NAME_CUSTOMER: &str = "INSERT INTO customer (token, name) VALUES (?1, ?2)
     ON CONFLICT (token) DO UPDATE SET name = excluded.name WHERE name = x''";

const KEY_COLUMNS: &str =
    "generation, state, key_id, commitment, kek, wrapped, minted_at, erased_at, command FROM key";

impl<'c> Reads<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            customer: connection
                .prepare("SELECT name, retention, floor, status FROM customer WHERE token = ?1")?,
            gate: connection
                .prepare("SELECT due, kek, state, hold, command FROM gate WHERE token = ?1 AND hour = ?2")?,
            key: connection.prepare(&format!(
                "SELECT {KEY_COLUMNS} WHERE token = ?1 AND hour = ?2 AND generation = ?3"
            ))?,
            keys: connection.prepare(&format!(
                "SELECT {KEY_COLUMNS} WHERE token = ?1 AND hour = ?2 ORDER BY generation"
            ))?,
            hold: connection.prepare(
                "SELECT id FROM hold WHERE token = ?1 AND from_hour <= ?2 AND to_hour >= ?2 \
                 ORDER BY id LIMIT 1",
            )?,
        })
    }

    /// Reads everything that a decision on a slot needs.
    pub(super) fn found(&mut self, slot: &SlotRef) -> Result<Found, StoreError> {
        Ok(Found {
            customer: self.customer(slot.token)?,
            gate: self.gate(slot.token, slot.hour)?,
            key: self.key(slot)?,
            seen: Seen::nothing(),
        })
    }

    pub(super) fn customer(&mut self, token: Token) -> Result<Option<Customer>, StoreError> {
        let mut rows = self.customer.query([token.0])?;
        rows.next()?.map(|row| customer(row, 0)).transpose()
    }

    pub(super) fn gate(&mut self, token: Token, hour: Hour) -> Result<Option<Gate>, StoreError> {
        let mut rows = self.gate.query((token.0, hour.0))?;
        rows.next()?.map(|row| gate(row, 0)).transpose()
    }

    fn key(&mut self, slot: &SlotRef) -> Result<Option<KeyRow>, StoreError> {
        let mut rows = self.key.query((slot.token.0, slot.hour.0, slot.generation.0))?;
        rows.next()?.map(key).transpose()
    }

    /// Every generation of an hour, in order.
    pub(super) fn keys(&mut self, token: Token, hour: Hour) -> Result<Vec<KeyRow>, StoreError> {
        let mut rows = self.keys.query((token.0, hour.0))?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(key(row)?);
        }
        Ok(keys)
    }

    /// A hold that covers the hour, whether it has a gate or not.
    pub(super) fn hold_over(&mut self, token: Token, hour: Hour) -> Result<Option<HoldId>, StoreError> {
        let mut rows = self.hold.query((token.0, hour.0))?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?.map(HoldId))
    }
}

/// Columns from `at`: name, retention, floor, status.
pub(super) fn customer(row: &Row<'_>, at: usize) -> Result<Customer, StoreError> {
    let name = String::from_utf8(row.get(at)?).map_err(|_| malformed_row("customer name"))?;
    let name = match name.as_str() {
        "" => None,
        QUARANTINE_CUSTOMER => Some(CustomerId::quarantine()),
        name => Some(CustomerId::parse(name).map_err(|_| malformed_row("customer name"))?),
    };
    let retention: Option<u16> = row.get(at + 1)?;
    let retention = retention
        .map(|hours| Retention::hours(hours).ok_or_else(|| malformed_row("retention")))
        .transpose()?;
    let floor: Option<u32> = row.get(at + 2)?;
    let closed = match row.get(at + 3)? {
        0 => false,
        1 => true,
        2i64.. | ..0 => return Err(malformed_row("customer status")),
    };
    Ok(Customer { name, retention, floor: floor.map(Hour), closed })
}

/// Columns from `at`: due, kek, state, hold, command.
pub(super) fn gate(row: &Row<'_>, at: usize) -> Result<Gate, StoreError> {
    let kek: String = row.get(at + 1)?;
    let fenced = match row.get(at + 2)? {
        1 => false,
        2 => true,
        3i64.. | ..1 => return Err(malformed_row("gate state")),
    };
    let hold: Option<Vec<u8>> = row.get(at + 3)?;
    Ok(Gate {
        due: Due(row.get(at)?),
        kek: if kek.is_empty() { None } else { Some(kek_id(&kek)?) },
        fenced,
        hold: hold.map(HoldId),
        command: digest(row, at + 4)?,
    })
}

fn key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let wrapped: Vec<u8> = row.get(5)?;
    let wrapped = match wrapped.as_slice() {
        [] => None,
        bytes => Some(bytes.try_into().map_err(|_| malformed_row("wrapped key"))?),
    };
    let state = match row.get(1)? {
        1 => KeyState::Live,
        2 => KeyState::Erased,
        3 => KeyState::ErasedByTtl,
        4i64.. | ..1 => return Err(malformed_row("key state")),
    };
    if wrapped.is_some() != (state == KeyState::Live) {
        return Err(malformed_row("key: its state and its bytes contradict each other"));
    }
    let kek: String = row.get(4)?;
    let erased_at: Option<i64> = row.get(7)?;
    Ok(KeyRow {
        generation: Generation(row.get(0)?),
        state,
        key_id: KeyId(row.get(2)?),
        commitment: row.get(3)?,
        kek: kek_id(&kek)?,
        wrapped,
        minted_at: Millis(row.get(6)?),
        erased_at: erased_at.map(Millis),
        command: digest(row, 8)?,
    })
}

/// Columns: id, check_value, state.
pub(super) fn kek(row: &Row<'_>) -> Result<KekRow, StoreError> {
    let id: String = row.get(0)?;
    let state = KekState::of_number(row.get(2)?).ok_or_else(|| malformed_row("KEK state"))?;
    Ok(KekRow { id: kek_id(&id)?, check: row.get(1)?, state })
}

pub(super) fn kek_id(text: &str) -> Result<KekId, StoreError> {
    KekId::parse(text).ok_or_else(|| malformed_row("KEK id"))
}

fn digest(row: &Row<'_>, at: usize) -> Result<Option<Digest>, StoreError> {
    Ok(row.get::<_, Option<[u8; 32]>>(at)?.map(Digest))
}
