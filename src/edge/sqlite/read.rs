//! Reads and lists, each on one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::SqliteStore;
use super::fault::malformed;
use super::open::read_meta;
use super::rows::{Reads, customer, gate, kek, kek_id};
use crate::keys::{
    Customer, DueHour, Found, Hold, HoldId, HourRow, KekRow, Meta, ReadStore, SlotRef, StoreError, TokenKey,
};
use crate::model::{Due, Hour, KekId, Millis, Token};

#[async_trait]
impl ReadStore for SqliteStore {
    /// The process's own clock: the store is on the same host.
    async fn now(&self) -> Result<Millis, StoreError> {
        Ok(self.clock.now())
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let known = self.schema;
        self.db.read(move |tx| read_meta(tx, known)).await.map_err(StoreError::of_every_customer)
    }

    fn token_key(&self) -> &Arc<TokenKey> {
        &self.token_key
    }

    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
        let slots = slots.to_vec();
        self.db
            .read(move |tx| {
                let mut reads = Reads::new(tx)?;
                slots.iter().map(|slot| reads.found(slot)).collect()
            })
            .await
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        let id = id.clone();
        self.db.read(move |tx| kek_of(tx, &id)).await
    }

    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        self.db
            .read(|tx| {
                let mut statement = tx.prepare("SELECT id, check_value, state FROM kek ORDER BY id")?;
                let mut rows = statement.query(())?;
                let mut keks = Vec::new();
                while let Some(row) = rows.next()? {
                    keks.push(kek(row)?);
                }
                Ok(keks)
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        self.db.read(move |tx| Reads::new(tx)?.customer(token)).await
    }

    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        self.db
            .read(move |tx| {
                let mut statement = tx.prepare(
                    "SELECT token, name, retention, floor, status FROM customer
                 WHERE ?1 IS NULL OR token > ?1 ORDER BY token LIMIT ?2",
                )?;
                let mut rows = statement.query((after.map(|token| token.0), row_limit(limit)))?;
                let mut customers = Vec::new();
                while let Some(row) = rows.next()? {
                    customers.push((Token(row.get(0)?), customer(row, 1)?));
                }
                Ok(customers)
            })
            .await
    }

    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        self.db.read(move |tx| hours(tx, token, from, to)).await
    }

    async fn due_hours(
        &self,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (due, token, hour) = match after {
            Some(after) => (i64::from(after.due.0), after.token.0.to_vec(), i64::from(after.hour.0)),
            None => (-1, Vec::new(), -1),
        };
        self.db
            .read(move |tx| {
                let read =
                    |row: &Row<'_>| Ok(DueHour::new(Due(row.get(0)?), Token(row.get(1)?), Hour(row.get(2)?)));
                let mut statement = tx.prepare(
                    "SELECT due, token, hour FROM gate
                 WHERE state = 1 AND due <= ?1 AND due >= ?2 AND (due, token, hour) > (?2, ?3, ?4)
                 ORDER BY due, token, hour LIMIT ?5",
                )?;
                let rows = statement.query_map((until.0, due, token, hour, row_limit(limit)), read)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        Ok(self.holds().await?.into_iter().find(|hold| hold.id == *id))
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.db
            .read(|tx| {
                let mut statement =
                    tx.prepare("SELECT id, token, from_hour, to_hour FROM hold ORDER BY id")?;
                let hold = |row: &Row<'_>| {
                    Ok(Hold {
                        id: HoldId(row.get(0)?),
                        token: Token(row.get(1)?),
                        from: Hour(row.get(2)?),
                        to: Hour(row.get(3)?),
                    })
                };
                Ok(statement.query_map((), hold)?.collect::<Result<_, _>>()?)
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        self.db
            .read(|tx| {
                let mut statement =
                    tx.prepare("SELECT kek, count(*) FROM key WHERE state = 1 GROUP BY kek")?;
                let mut rows = statement.query(())?;
                let mut live = BTreeMap::new();
                while let Some(row) = rows.next()? {
                    let id: String = row.get(0)?;
                    live.insert(kek_id(&id)?, row.get::<_, i64>(1)?.unsigned_abs());
                }
                Ok(live)
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        let kek = kek.clone();
        self.db
            .read(move |tx| {
                let mut statement =
                    tx.prepare("SELECT DISTINCT token, hour FROM key WHERE kek = ?1 AND state = 1 LIMIT ?2")?;
                let place = |row: &Row<'_>| Ok((Token(row.get(0)?), Hour(row.get(1)?)));
                Ok(statement.query_map((kek.as_str(), row_limit(limit)), place)?.collect::<Result<_, _>>()?)
            })
            .await
            .map_err(StoreError::of_every_customer)
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        self.db
            .read(|tx| {
                let [live, erased, by_ttl]: [i64; 3] = tx.query_row(
                    "SELECT count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2),
                        count(*) FILTER (WHERE state = 3) FROM key",
                    [],
                    |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]),
                )?;
                Ok((live.unsigned_abs(), erased.unsigned_abs(), by_ttl.unsigned_abs()))
            })
            .await
    }

    async fn placement(&self, topic: &str) -> Result<Option<i32>, StoreError> {
        let topic = topic.to_owned();
        self.db.read(move |tx| placement_of(tx, &topic)).await
    }
}

/// # Errors
/// [`StoreError::Unusable`] for a number below 1: no worker writes one.
pub(super) fn placement_of(tx: &Transaction<'_>, topic: &str) -> Result<Option<i32>, StoreError> {
    let mut statement = tx.prepare("SELECT partitions FROM placement WHERE topic = ?1")?;
    let found: Option<i32> = statement.query_row([topic], |row| row.get(0)).optional()?;
    match found {
        Some(partitions) if partitions < 1 => Err(malformed("placement")),
        found => Ok(found),
    }
}

pub(super) fn kek_of(tx: &Transaction<'_>, id: &KekId) -> Result<Option<KekRow>, StoreError> {
    let mut statement = tx.prepare("SELECT id, check_value, state FROM kek WHERE id = ?1")?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(kek).transpose()
}

pub(super) fn hours(
    tx: &Transaction<'_>,
    token: Token,
    from: Hour,
    to: Hour,
) -> Result<Vec<HourRow>, StoreError> {
    let mut statement = tx.prepare(
        "SELECT hour, due, kek, state, hold, command FROM gate
         WHERE token = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour",
    )?;
    let mut reads = Reads::new(tx)?;
    let mut rows = statement.query((token.0, from.0, to.0))?;
    let mut hours = Vec::new();
    while let Some(row) = rows.next()? {
        let hour = Hour(row.get(0)?);
        hours.push(HourRow { token, hour, gate: gate(row, 1)?, keys: reads.keys(token, hour)? });
    }
    Ok(hours)
}

fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
