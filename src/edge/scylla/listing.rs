//! Lists of customers, hours and KEKs; counts.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::cells::Cells;
use super::fault::malformed;
use super::mint::known;
use super::rows::{GATE, HourRows, customer_name, day, kek, kek_id, token};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{Customer, HourRow, KekRow, KeyState, StoreError};
use crate::model::{Hour, KekId, Token};
use crate::telemetry::StoreOp;

impl ScyllaStore {
    /// Partitions without a name are hours that were fenced for a customer who never had a key: no customer.
    pub(super) async fn list_customers(
        &self,
        after: Option<Token>,
        limit: usize,
    ) -> Result<Vec<(Token, Customer)>, StoreError> {
        let (mut customers, mut after) = (Vec::new(), after);
        while customers.len() < limit {
            let missing = i32::try_from(limit - customers.len()).unwrap_or(i32::MAX).min(5_000);
            let rows = match after {
                None => self.ask.rows(StoreOp::List, &self.say.customers, (missing,)).await?,
                Some(token) => {
                    let values = (token.0.to_vec(), missing);
                    self.ask.rows(StoreOp::List, &self.say.customers_after, values).await?
                }
            };
            let Some(last) = rows.last() else { break };
            after = Some(token(last)?);
            let named: Vec<_> = rows.iter().map(named).collect::<Result<_, _>>()?;
            let page: Vec<_> = stream::iter(named)
                .map(|(token, name)| async move {
                    let customer = known(name, self.read_policy(token).await?);
                    Ok::<_, StoreError>(customer.map(|customer| (token, customer)))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            customers.extend(page.into_iter().flatten());
        }
        Ok(customers)
    }

    /// At SERIAL: this is what an erasure must reach, and what is read back after it.
    pub(super) async fn list_hours(
        &self,
        token: Token,
        from: Hour,
        to: Hour,
    ) -> Result<Vec<HourRow>, StoreError> {
        let values = (token.0.as_slice(), day(from), day(to));
        let days = self.ask.rows(StoreOp::List, &self.say.days, values).await?;
        let days: Vec<i32> = days.iter().map(|row| row.need("day")).collect::<Result<_, _>>()?;
        let rows: Vec<Vec<HourRow>> = stream::iter(days)
            .map(|day| self.list_day(token, day, from, to))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(rows.into_iter().flatten().collect())
    }

    async fn list_day(
        &self,
        token: Token,
        day: i32,
        from: Hour,
        to: Hour,
    ) -> Result<Vec<HourRow>, StoreError> {
        let values = (token.0.as_slice(), day, i64::from(from.0), i64::from(to.0));
        let rows = self.ask.rows(StoreOp::SerialRead, &self.say.day_serial, values).await?;
        let mut hours: BTreeMap<u32, Vec<Cells>> = BTreeMap::new();
        for row in rows {
            hours.entry(row.need("hour")?).or_default().push(row);
        }
        let hours =
            hours.into_iter().map(|(hour, rows)| Ok(HourRows::parse(&rows)?.into_hour(token, Hour(hour))));
        hours.filter_map(Result::transpose).collect()
    }

    /// One for each day on which keys fall due: few enough for one answer.
    pub(super) async fn list_keks(&self) -> Result<Vec<KekRow>, StoreError> {
        let rows = self.ask.rows(StoreOp::Kek, &self.say.keks, ()).await?;
        let mut keks: Vec<KekRow> = rows.iter().map(kek).collect::<Result<_, _>>()?;
        keks.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(keks)
    }

    /// (live, erased, erased by TTL)
    pub(super) async fn count(&self) -> Result<(u64, u64, u64), StoreError> {
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

    pub(super) async fn count_live(&self) -> Result<BTreeMap<KekId, u64>, StoreError> {
        let mut live = BTreeMap::new();
        self.each_key(|_, kek, state| {
            if state == KeyState::Live {
                *live.entry(kek_id(kek.unwrap_or_default())?).or_default() += 1;
            }
            Ok(())
        })
        .await?;
        Ok(live)
    }

    pub(super) async fn list_under(
        &self,
        kek: &KekId,
        limit: usize,
    ) -> Result<Vec<(Token, Hour)>, StoreError> {
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

    /// Hears every key's hour, KEK and state: a scan of the whole table.
    async fn each_key(
        &self,
        mut hear: impl FnMut((Token, Hour), Option<&str>, KeyState) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        type State = (Vec<u8>, i64, i32, Option<i8>, Option<String>, Option<i64>);
        let pager = self.ask.session.execute_iter(self.say.states.clone(), ()).await;
        let unreadable =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("keys not counted: {error}"));
        let pager = pager.map_err(|error| unreadable(&error))?;
        let mut rows = pager.rows_stream::<State>().map_err(|error| unreadable(&error))?;
        while let Some(row) = rows.next().await {
            let (token, hour, generation, state, kek, secret) = row.map_err(|error| unreadable(&error))?;
            let state = match (generation, state, secret) {
                (GATE, _, _) | (_, None, _) => continue,
                (_, Some(1), Some(_)) => KeyState::Live,
                (_, Some(2), _) => KeyState::Erased,
                (_, Some(_), _) => KeyState::ErasedByTtl,
            };
            let token = Token(token.try_into().map_err(|_| malformed("token"))?);
            let hour = Hour(u32::try_from(hour).map_err(|_| malformed("hour"))?);
            hear((token, hour), kek.as_deref(), state)?;
        }
        Ok(())
    }
}

fn named(row: &Cells) -> Result<(Token, Option<crate::model::CustomerId>), StoreError> {
    Ok((token(row)?, row.blob("name")?.map(customer_name).transpose()?))
}
