//! Reads and lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::cells::Cells;
use super::fault::malformed;
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{HourRows, KEY_COLUMNS, Policy, day, kek, kek_id, token};
use super::seen::seen;
use super::settings::{META, Settings};
use super::slots::{known, name};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{
    Customer, DueHour, Found, Gate, Hold, HoldId, HourRow, KekRow, KeyState, Meta, ReadStore, Seen, SlotRef,
    StoreError, TokenKey,
};
use crate::model::{CustomerId, Due, Hour, KekId, Millis, Token};

/// The receipts' position.
pub(super) const POSITION: &str = r#"SELECT "offset" FROM receipt_mark WHERE part = 'store'"#;
const CUSTOMERS: &str = r#"SELECT DISTINCT "token", name FROM customer"#;
const HOLDS: &str = r#"SELECT id, "token", from_hour, to_hour FROM hold"#;

statements! {
    now: plain("SELECT toTimestamp(now()) AS now FROM system.local"),
    meta: plain(META),
    position: plain(POSITION),
    keks: plain("SELECT id, check_value, state FROM kek"),
    customers: plain(format!("{CUSTOMERS} LIMIT :at_most")),
    customers_after: plain(format!(r#"{CUSTOMERS} WHERE token("token") > token(:after) LIMIT :at_most"#)),
    days: plain(
        r#"SELECT day FROM customer WHERE "token" = :"token" AND day >= :from_day AND day <= :to_day"#
    ),
    day_serial: serial(format!(
        r#"SELECT {KEY_COLUMNS} FROM key
           WHERE "token" = :"token" AND day = :day AND hour >= :from_hour AND hour <= :to_hour"#
    )),
    hold_serial: serial(format!("{HOLDS} WHERE id = :id")),
    holds: plain(HOLDS),
}

#[derive(SerializeRow)]
struct PageAfter {
    after: [u8; 16],
    at_most: i32,
}

#[derive(SerializeRow)]
struct Days {
    token: [u8; 16],
    from_day: i32,
    to_day: i32,
}

#[derive(SerializeRow)]
struct HoursOfDay {
    token: [u8; 16],
    day: i32,
    from_hour: i64,
    to_hour: i64,
}

#[async_trait]
impl ReadStore for ScyllaStore {
    /// The time of the node that answers.
    async fn now(&self) -> Result<Millis, StoreError> {
        let row = self.ask.row(StoreOp::Read, &self.statements.read.now, ()).await?;
        let now: i64 = row.ok_or_else(|| malformed("clock"))?.need("now")?;
        #[cfg(feature = "testkit")]
        let now = now + crate::testkit::store_clock_offset_ms();
        Ok(Millis(now))
    }

    async fn meta(&self) -> Result<Meta, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.statements.read.meta, ());
        let (rows, position) = tokio::try_join!(rows, self.read_position(&self.statements.read.position))?;
        Settings::meta(&rows, position, self.schema).map_err(StoreError::of_every_customer)
    }

    fn token_key(&self) -> &Arc<TokenKey> {
        &self.token_key
    }

    /// Reads each customer and each hour once.
    async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
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
            let seen = if key.is_none() { seen((policy.clone(), rows.clone())) } else { Seen::nothing() };
            let gate = rows.gate.as_ref().map(|row| row.gate.clone());
            Found { customer: known(name.clone(), policy), gate, key, seen }
        };
        Ok(slots.iter().map(found).collect())
    }

    async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
        self.read_kek(id, &self.statements.slots.kek).await
    }

    /// There is one KEK for each day on which keys fall due: few enough for one answer.
    async fn keks(&self) -> Result<Vec<KekRow>, StoreError> {
        let rows = self.ask.rows(StoreOp::Kek, &self.statements.read.keks, ()).await?;
        let keks: Result<Vec<KekRow>, StoreError> = rows.iter().map(kek).collect();
        let mut keks = keks.map_err(StoreError::of_every_customer)?;
        keks.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(keks)
    }

    async fn customer(&self, token: Token) -> Result<Option<Customer>, StoreError> {
        let (name, policy) = tokio::try_join!(self.read_name(token), self.read_policy(token))?;
        Ok(known(name, &policy))
    }

    /// Returns customers in the order in which the cluster keeps them, which is the same each time. A
    /// partition without a name lists hours that were fenced for a customer without any key. That alone does
    /// not make a customer.
    async fn customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        let (mut customers, mut after) = (Vec::new(), after);
        while customers.len() < limit {
            let at_most = i32::try_from(limit - customers.len()).unwrap_or(i32::MAX).min(5_000);
            let statements = &self.statements.read;
            let rows = match after {
                None => self.ask.rows(StoreOp::List, &statements.customers, (at_most,)).await?,
                Some(token) => {
                    let page = PageAfter { after: token.0, at_most };
                    self.ask.rows(StoreOp::List, &statements.customers_after, page).await?
                }
            };
            let Some(last) = rows.last() else { break };
            after = Some(token(last)?);
            let named = rows.iter().map(|row| Ok::<_, StoreError>((token(row)?, name(row)?)));
            let named: Vec<_> = named.collect::<Result<_, _>>()?;
            let page: Vec<_> = stream::iter(named)
                .map(|(token, name)| async move {
                    let customer = known(name, &self.read_policy(token).await?);
                    Ok::<_, StoreError>(customer.map(|customer| (token, customer)))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            customers.extend(page.into_iter().flatten());
        }
        Ok(customers)
    }

    /// Reads keys at SERIAL: an erasure must reach all of them, and reads them back afterwards.
    async fn hours(&self, token: Token, from: Hour, to: Hour) -> Result<Vec<HourRow>, StoreError> {
        let days = Days { token: token.0, from_day: day(from), to_day: day(to) };
        let days = self.ask.rows(StoreOp::List, &self.statements.read.days, days).await?;
        let days: Vec<i32> = days.iter().map(|row| row.need("day")).collect::<Result<_, _>>()?;
        let rows: Vec<Vec<HourRow>> = stream::iter(days)
            .map(|day| self.hours_of_day(token, day, from, to))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Skips a row if its hour has no open gate with that due: an interrupted write left the row in the list.
    /// An hour with an unusable row may be open, so it is listed.
    async fn due_hours(
        &self,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (mut hours, mut after) = (Vec::new(), after.cloned());
        while hours.len() < limit {
            let page = self.due_rows(until, after.as_ref(), limit - hours.len()).await;
            let page = page.map_err(StoreError::of_every_customer)?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let open: Vec<Option<DueHour>> = stream::iter(page)
                .map(|hour| async move {
                    let rows = match self.read_hour(hour.token, hour.hour).await {
                        Err(StoreError::Row(_)) => return Ok(Some(hour)),
                        rows => rows?,
                    };
                    let is_open = |gate: &Gate| !gate.fenced && gate.due == hour.due;
                    let is_open = rows.gate.as_ref().is_some_and(|row| is_open(&row.gate));
                    Ok::<_, StoreError>(is_open.then(|| DueHour { seen: seen(rows), ..hour }))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            hours.extend(open.into_iter().flatten());
        }
        Ok(hours)
    }

    async fn hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        let values = (id.0.as_slice(),);
        let row = self.ask.row(StoreOp::SerialRead, &self.statements.read.hold_serial, values).await?;
        row.as_ref().map(hold).transpose()
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let rows = self.ask.rows(StoreOp::List, &self.statements.read.holds, ()).await?;
        let holds: Result<Vec<Hold>, StoreError> = rows.iter().map(hold).collect();
        let mut holds = holds.map_err(StoreError::of_every_customer)?;
        holds.sort_by(|one, other| one.id.0.cmp(&other.id.0));
        Ok(holds)
    }

    async fn live_keys(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        let mut live = BTreeMap::new();
        self.each_key(|_, kek, state| {
            if state == KeyState::Live {
                let kek = kek_id(kek.unwrap_or_default()).map_err(StoreError::of_every_customer)?;
                *live.entry(kek).or_default() += 1;
            }
            Ok(())
        })
        .await?;
        Ok(live)
    }

    async fn hours_under(&self, kek: &KekId, limit: usize) -> Result<Vec<(Token, Hour)>, StoreError> {
        let mut places = BTreeSet::new();
        self.each_key(|place, of, state| {
            if state == KeyState::Live && of == Some(kek.as_str()) && places.len() < limit {
                places.insert(place);
            }
            Ok(())
        })
        .await?;
        Ok(places.into_iter().collect())
    }

    async fn count_keys(&self) -> Result<(u64, u64, u64), StoreError> {
        let (mut live, mut erased, mut by_ttl) = (0, 0, 0);
        self.each_key(|_, _, state| {
            match state {
                KeyState::Live => live += 1,
                KeyState::Erased => erased += 1,
                KeyState::ErasedByTtl => by_ttl += 1,
            }
            Ok(())
        })
        .await?;
        Ok((live, erased, by_ttl))
    }

    async fn placement(&self, topic: &str) -> Result<Option<i32>, StoreError> {
        self.read_placement(topic).await
    }
}

impl ScyllaStore {
    async fn hours_of_day(
        &self,
        token: Token,
        day: i32,
        from: Hour,
        to: Hour,
    ) -> Result<Vec<HourRow>, StoreError> {
        let values = HoursOfDay { token: token.0, day, from_hour: from.0.into(), to_hour: to.0.into() };
        let rows = self.ask.rows(StoreOp::SerialRead, &self.statements.read.day_serial, values).await?;
        let mut hours: BTreeMap<u32, Vec<Cells>> = BTreeMap::new();
        for row in rows {
            hours.entry(row.need("hour")?).or_default().push(row);
        }
        let hours =
            hours.into_iter().map(|(hour, rows)| Ok(HourRows::parse(&rows)?.into_hour(token, Hour(hour))));
        hours.filter_map(Result::transpose).collect()
    }

    /// Reads the receipts' position with a prepared statement of [`POSITION`].
    pub(super) async fn read_position(
        &self,
        statement: &PreparedStatement,
    ) -> Result<Option<i64>, StoreError> {
        match self.ask.row(StoreOp::Read, statement, ()).await? {
            Some(row) => row.number("offset"),
            None => Ok(None),
        }
    }
}

fn hold(row: &Cells) -> Result<Hold, StoreError> {
    Ok(Hold {
        id: HoldId(row.blob("id")?.ok_or_else(|| malformed("hold"))?.to_vec()),
        token: Token(row.bytes("token")?.ok_or_else(|| malformed("hold"))?),
        from: Hour(row.need("from_hour")?),
        to: Hour(row.need("to_hour")?),
    })
}
