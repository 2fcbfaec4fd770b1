//! Parses rows into the types of the store's traits.

use scylla::SerializeRow;

use super::cells::Cells;
use super::fault::malformed_row;
use crate::keys::{Customer, Gate, Hold, HoldId, HourRow, KekRow, KekState, KeyRow, KeyState, StoreError};
use crate::model::{
    CustomerId, Digest, Due, Generation, Hour, KekId, KeyId, Millis, QUARANTINE_CUSTOMER, Retention, Token,
};

/// The generation number of an hour's gate.
pub(super) const GATE: i32 = -1;
pub(super) const OPEN: i8 = 1;
pub(super) const FENCED: i8 = 2;
pub(super) const ERASED: i8 = 2;
pub(super) const ERASED_BY_TTL: i8 = 3;

/// An hour's partition: floor(hour / 24).
pub(super) fn day(hour: Hour) -> i32 {
    i32::try_from(hour.0 / 24).expect("u32 / 24 is less than 2^31")
}

/// The columns that a read of `key` selects.
pub(super) const KEY_COLUMNS: &str =
    "hour, generation, state, kek, command, due, hold, kept, key_id, commitment,
    wrapped, TTL(wrapped) AS wrapped_ttl, minted_at, erased_at";

/// Selects an hour's rows of `key`. A [`Place`] binds its markers.
pub(super) const AT_HOUR: &str = r#""token" = :"token" AND day = :day AND hour = :hour"#;

/// The partition and the hour of rows in `key`.
#[derive(Clone, Copy, SerializeRow)]
pub(super) struct Place {
    token: [u8; 16],
    day: i32,
    hour: i64,
}

impl Place {
    pub(super) fn of(token: Token, hour: Hour) -> Self {
        Self { token: token.0, day: day(hour), hour: hour.0.into() }
    }
}

pub(super) fn due_day(due: Due) -> i32 {
    day(Hour(due.0))
}

/// The due day of the keys that a KEK wraps.
pub(super) fn kek_day(id: &KekId) -> i32 {
    i32::try_from(id.ends().0 / 86_400_000 - 1).expect("a day of the calendar")
}

/// Partitions of a due day.
pub(super) const SHARDS: i8 = 16;

/// The shard of a token within a due day.
pub(super) fn shard(token: Token) -> i8 {
    i8::try_from(token.0[0] & 15).expect("at most 15")
}

/// A gate, and the field that only this store has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct GateRow {
    pub(super) gate: Gate,
    /// A hold was once placed: all cells of the hour are written without TTL.
    pub(super) kept: bool,
}

impl GateRow {
    pub(super) fn state(&self) -> i8 {
        if self.gate.fenced { FENCED } else { OPEN }
    }

    /// The value of the cell `kek`: empty for an hour that was fenced before it had a key.
    pub(super) fn kek_text(&self) -> &str {
        self.gate.kek.as_ref().map_or("", KekId::as_str)
    }
}

/// A key, and the field that only this store has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoredKey {
    pub(super) key: KeyRow,
    /// Its secret has a TTL.
    pub(super) fades: bool,
}

impl StoredKey {
    /// The key's generation, and the number of its state. If a TTL has removed the secret, this returns 3
    /// although the row may still have 1.
    pub(super) fn row(&self) -> (i32, i8) {
        let state = match self.key.state {
            KeyState::Live => 1,
            KeyState::Erased => ERASED,
            KeyState::ErasedByTtl => ERASED_BY_TTL,
        };
        (self.key.generation.0.into(), state)
    }
}

/// The rows of an hour.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct HourRows {
    pub(super) gate: Option<GateRow>,
    /// Sorted by generation.
    pub(super) keys: Vec<StoredKey>,
}

impl HourRows {
    /// The rows of one hour, in any order. ScyllaDB returns a row of nulls for a missing row.
    pub(super) fn parse(rows: &[Cells]) -> Result<Self, StoreError> {
        let mut hour = Self::default();
        for row in rows {
            match row.number("generation")? {
                None => {}
                Some(generation) if generation == i64::from(GATE) => hour.gate = gate(row)?,
                Some(_) => hour.keys.extend(key(row)?),
            }
        }
        hour.keys.sort_by_key(|stored| stored.key.generation);
        Ok(hour)
    }

    pub(super) fn key(&self, generation: Generation) -> Option<&KeyRow> {
        self.keys.iter().map(|stored| &stored.key).find(|key| key.generation == generation)
    }

    pub(super) fn hold(&self) -> Option<&HoldId> {
        self.gate.as_ref()?.gate.hold.as_ref()
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.gate.as_ref().is_some_and(|row| row.gate.fenced)
    }

    pub(super) fn into_keys(self) -> Vec<KeyRow> {
        self.keys.into_iter().map(|stored| stored.key).collect()
    }

    /// Converts the rows for a listing; `None` without a gate.
    pub(super) fn into_hour(self, token: Token, hour: Hour) -> Option<HourRow> {
        let gate = self.gate.as_ref()?.gate.clone();
        Some(HourRow { token, hour, gate, keys: self.into_keys() })
    }
}

/// `None` if its state has expired: the other cells expire at about the same time.
fn gate(row: &Cells) -> Result<Option<GateRow>, StoreError> {
    let fenced = match row.number("state")? {
        None => return Ok(None),
        Some(1) => false,
        Some(2) => true,
        Some(_) => return Err(malformed_row("gate state")),
    };
    let kek = row.text("kek")?.ok_or_else(|| malformed_row("gate: its kek is missing"))?;
    let gate = Gate {
        due: Due(row.need("due")?),
        kek: if kek.is_empty() { None } else { Some(kek_id(kek)?) },
        fenced,
        hold: row.blob("hold")?.map(|id| HoldId(id.to_vec())),
        command: row.bytes("command")?.map(Digest),
    };
    Ok(Some(GateRow { gate, kept: row.flag("kept")? }))
}

/// `None` if its state has expired.
fn key(row: &Cells) -> Result<Option<StoredKey>, StoreError> {
    let Some(state) = row.number("state")? else { return Ok(None) };
    let wrapped = match row.blob("wrapped")? {
        None | Some([]) => None,
        Some(bytes) => Some(bytes.try_into().map_err(|_| malformed_row("wrapped key"))?),
    };
    let state = match (state, &wrapped) {
        (1, Some(_)) => KeyState::Live,
        // The TTL has removed the secret. The state remains.
        (1 | 3, None) => KeyState::ErasedByTtl,
        (2, None) => KeyState::Erased,
        _ => return Err(malformed_row("key: its state and its bytes contradict each other")),
    };
    let key = KeyRow {
        generation: Generation(row.need("generation")?),
        state,
        key_id: KeyId(row.bytes("key_id")?.ok_or_else(|| malformed_row("key_id"))?),
        commitment: row.bytes("commitment")?.ok_or_else(|| malformed_row("commitment"))?,
        kek: kek_id(row.text("kek")?.unwrap_or_default())?,
        wrapped,
        minted_at: Millis(row.need("minted_at")?),
        erased_at: row.number("erased_at")?.map(Millis),
        command: row.bytes("command")?.map(Digest),
    };
    Ok(Some(StoredKey { key, fades: row.number("wrapped_ttl")?.is_some() }))
}

/// The decisions on a customer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Policy {
    pub(super) retention: Option<Retention>,
    pub(super) floor: Option<Hour>,
    pub(super) closed: bool,
    /// Sorted by id.
    pub(super) holds: Vec<Hold>,
}

impl Policy {
    pub(super) fn parse(token: Token, rows: &[Cells]) -> Result<Self, StoreError> {
        let Some(first) = rows.first() else { return Ok(Self::default()) };
        let retention = first.number("retention")?.map(|hours| {
            let hours = u16::try_from(hours).ok().and_then(Retention::hours);
            hours.ok_or_else(|| malformed_row("retention"))
        });
        let floor =
            first.number("floor")?.map(|hour| u32::try_from(hour).map_err(|_| malformed_row("floor")));
        let closed = match first.number("status")? {
            None => false,
            Some(1) => true,
            Some(_) => return Err(malformed_row("customer status")),
        };
        let holds = rows.iter().map(|row| hold(token, row)).filter_map(Result::transpose);
        Ok(Self {
            retention: retention.transpose()?,
            floor: floor.transpose()?.map(Hour),
            closed,
            holds: holds.collect::<Result<_, _>>()?,
        })
    }

    /// The hold over an hour, whether it has a gate or not.
    pub(super) fn hold_over(&self, hour: Hour) -> Option<&HoldId> {
        self.holds.iter().find(|hold| (hold.from..=hold.to).contains(&hour)).map(|hold| &hold.id)
    }

    pub(super) fn of(&self, name: Option<CustomerId>) -> Customer {
        Customer { name, retention: self.retention, floor: self.floor, closed: self.closed }
    }
}

fn hold(token: Token, row: &Cells) -> Result<Option<Hold>, StoreError> {
    let Some(id) = row.blob("hold")? else { return Ok(None) };
    let hour = |name| Ok::<_, StoreError>(Hour(row.need(name)?));
    Ok(Some(Hold { id: HoldId(id.to_vec()), token, from: hour("from_hour")?, to: hour("to_hour")? }))
}

pub(super) fn customer_name(name: &[u8]) -> Result<CustomerId, StoreError> {
    let name = std::str::from_utf8(name).map_err(|_| malformed_row("customer name"))?;
    match name {
        QUARANTINE_CUSTOMER => Ok(CustomerId::quarantine()),
        name => CustomerId::parse(name).map_err(|_| malformed_row("customer name")),
    }
}

pub(super) fn kek(row: &Cells) -> Result<KekRow, StoreError> {
    let state =
        row.number("state")?.and_then(KekState::of_number).ok_or_else(|| malformed_row("KEK state"))?;
    let check = row.bytes("check_value")?.ok_or_else(|| malformed_row("KEK check value"))?;
    Ok(KekRow { id: kek_id(row.text("id")?.unwrap_or_default())?, check, state })
}

pub(super) fn kek_id(text: &str) -> Result<KekId, StoreError> {
    KekId::parse(text).ok_or_else(|| malformed_row("KEK id"))
}

pub(super) fn token(row: &Cells) -> Result<Token, StoreError> {
    Ok(Token(row.bytes("token")?.ok_or_else(|| malformed_row("token"))?))
}

#[cfg(test)]
mod tests {
    use scylla::value::CqlValue;

    use super::*;

    type Value = Option<CqlValue>;

    const KEK: &str = "day/2026-11-25";

    fn blob(bytes: &[u8]) -> Value {
        Some(CqlValue::Blob(bytes.to_vec()))
    }

    fn text(text: &str) -> Value {
        Some(CqlValue::Text(text.to_owned()))
    }

    fn flag(flag: bool) -> Value {
        Some(CqlValue::Boolean(flag))
    }

    fn tiny(number: i8) -> Value {
        Some(CqlValue::TinyInt(number))
    }

    fn int(number: i32) -> Value {
        Some(CqlValue::Int(number))
    }

    fn big(number: i64) -> Value {
        Some(CqlValue::BigInt(number))
    }

    fn gate_cells(state: Option<i8>) -> Vec<(&'static str, Value)> {
        vec![
            ("generation", int(GATE)),
            ("state", state.and_then(tiny)),
            ("due", big(500_000)),
            ("kek", text(KEK)),
            ("kept", flag(false)),
        ]
    }

    fn key_cells(state: i8, wrapped: Option<&[u8]>) -> Vec<(&'static str, Value)> {
        vec![
            ("generation", int(2)),
            ("state", tiny(state)),
            ("kek", text(KEK)),
            ("key_id", blob(&[1; 16])),
            ("commitment", blob(&[1; 32])),
            ("wrapped", wrapped.and_then(blob)),
            ("minted_at", big(7)),
        ]
    }

    fn parsed(rows: &[Vec<(&'static str, Value)>]) -> Result<HourRows, StoreError> {
        let rows: Vec<Cells> = rows.iter().map(|row| Cells::of(row)).collect();
        HourRows::parse(&rows)
    }

    /// Cassandra answers a refused batch with the existing rows, in their own order. ScyllaDB answers with
    /// one row for each condition, in the statement's order, and with all nulls for a missing row.
    #[test]
    fn both_shapes_of_a_refused_batch_say_the_same() {
        let applied = ("[applied]", flag(false));
        let with = |mut row: Vec<_>| {
            row.insert(0, applied.clone());
            row
        };
        let nulls: Vec<_> = key_cells(1, None).iter().map(|cell| (cell.0, None)).collect();
        let (gate, key) = (gate_cells(Some(1)), key_cells(1, Some(&[9; 74])));
        let cassandra = parsed(&[with(gate.clone()), with(key.clone())]).expect("rows");
        let scylla = parsed(&[with(key), with(gate.clone())]).expect("rows");
        assert_eq!(cassandra, scylla);
        assert_eq!(scylla.keys[0].key.state, KeyState::Live);
        let (alone, beside_nulls) = (parsed(&[with(gate.clone())]), parsed(&[with(nulls), with(gate)]));
        assert_eq!(alone.expect("rows"), beside_nulls.expect("rows"));
    }

    #[test]
    fn what_a_ttl_took_is_not_what_a_command_erased() {
        let state = |state, wrapped| parsed(&[key_cells(state, wrapped)]).map(|hour| hour.keys[0].key.state);
        assert_eq!(state(1, None).expect("a key"), KeyState::ErasedByTtl);
        assert_eq!(state(2, Some(&[])).expect("a key"), KeyState::Erased);
        assert_eq!(state(3, Some(&[])).expect("a key"), KeyState::ErasedByTtl);
        for (number, wrapped) in
            [(2, Some([9; 74].as_slice())), (3, Some(&[9; 74])), (1, Some(&[9; 73])), (4, None)]
        {
            assert!(state(number, wrapped).is_err(), "{number}");
        }
    }

    #[test]
    fn a_gate_whose_state_has_expired_is_none() {
        assert_eq!(parsed(&[gate_cells(None)]).expect("rows"), HourRows::default());
        assert!(parsed(&[gate_cells(Some(2))]).expect("rows").is_fenced());
        assert!(parsed(&[gate_cells(Some(3))]).is_err());
    }
}
