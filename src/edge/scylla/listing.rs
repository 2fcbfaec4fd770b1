//! Lists of customers, hours and due hours; counts.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;

use super::cells::{Cells, cells};
use super::fault::{malformed, was_given_up};
use super::mint::known;
use super::rows::{GATE, HourRows, SHARDS, customer_name, day, due_day, kek, kek_day, kek_id};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{Customer, DueHour, HourRow, KekRow, KekState, KeyState, StoreError};
use crate::model::{Due, Hour, KekId, Token};
use crate::telemetry::StoreOp;

/// A partition of the `due` table.
type DuePartition = (i32, i8);

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

    /// What a fence left behind when it was cut short is fenced, and is no due hour.
    pub(super) async fn list_due(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (mut hours, mut after) = (Vec::new(), after);
        while hours.len() < limit {
            let page = self.list_due_rows(until, after, limit - hours.len()).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            let open: Vec<Option<DueHour>> = stream::iter(page)
                .map(|due| async move {
                    let rows = self.read_hour(due.token, due.hour).await?;
                    let is_open =
                        rows.gate.as_ref().is_some_and(|row| !row.gate.fenced && row.gate.due == due.due);
                    if is_open {
                        self.recent.due.put(due.token, due.hour, rows);
                    }
                    Ok::<_, StoreError>(is_open.then_some(due))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            hours.extend(open.into_iter().flatten());
        }
        Ok(hours)
    }

    /// The next rows of the `due` table in their order: at most `limit`, at least one where there are any. A shard is asked for
    /// twice its share, so that one round of questions does, as a rule.
    pub(super) async fn list_due_rows(
        &self,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (mut hours, most) = (Vec::new(), limit.div_ceil(SHARDS as usize / 2));
        for day in self.due_days(until, after).await? {
            let pages: Vec<Vec<DueHour>> = stream::iter(0..SHARDS)
                .map(|shard| self.due_page((day, shard), until, after, most))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            let (day, is_whole) = merged(pages, most);
            hours.extend(day);
            if !is_whole || hours.len() >= limit {
                break;
            }
        }
        hours.truncate(limit);
        Ok(hours)
    }

    /// The days on which something may fall due, in order: those that have a KEK, which is registered before the first mint
    /// and destroyed when no hour of its day is open. Asking the table for its partitions would read the tombstone of
    /// every hour that was ever taken out, until a server refuses (`READ_TOO_MANY_TOMBSTONES`).
    async fn due_days(&self, until: Due, after: Option<DueHour>) -> Result<Vec<i32>, StoreError> {
        let first = after.map_or(i32::MIN, |after| due_day(after.due));
        let keks = self.list_keks().await?;
        let existing = keks.iter().filter(|row| row.state != KekState::Destroyed);
        let days = existing.map(|row| kek_day(&row.id)).filter(|day| (first..=due_day(until)).contains(day));
        Ok(days.collect::<BTreeSet<i32>>().into_iter().collect())
    }

    /// At once, or due by due where more was taken out of the partition than the server reads past.
    async fn due_page(
        &self,
        partition: DuePartition,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        match self.due_rows(partition, until, after, limit).await {
            Err(error) if was_given_up(&error) => {}
            rows => return due_hours(rows?),
        }
        let mut hours = Vec::new();
        for due in dues(partition.0, until, after) {
            let after = after.filter(|after| after.due == due).or_else(|| DueHour::before(due));
            hours.extend(due_hours(self.due_rows(partition, due, after, limit - hours.len()).await?)?);
            if hours.len() >= limit {
                break;
            }
        }
        Ok(hours)
    }

    async fn due_rows(
        &self,
        (due_day, shard): DuePartition,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<QueryResult, ExecutionError> {
        let (due, token, hour) = match after {
            Some(after) => (i64::from(after.due.0), after.token.0.to_vec(), i64::from(after.hour.0)),
            None => (-1, Vec::new(), -1),
        };
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (due_day, shard, due, token, hour, i64::from(until.0), limit);
        self.ask.answer(StoreOp::List, &self.say.due, values).await
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

/// The beginnings of some sorted lists as the beginning of one, and whether it is all of it. One of `most` may go on, with what
/// comes before another's last.
fn merged(beginnings: Vec<Vec<DueHour>>, most: usize) -> (Vec<DueHour>, bool) {
    let may_go_on = beginnings.iter().filter(|hours| hours.len() >= most);
    let known_to = may_go_on.filter_map(|hours| hours.last().copied()).min();
    let mut hours: Vec<DueHour> = beginnings.into_iter().flatten().collect();
    hours.sort_unstable();
    if let Some(last) = known_to {
        hours.retain(|hour| *hour <= last);
    }
    (hours, known_to.is_none())
}

fn token(row: &Cells) -> Result<Token, StoreError> {
    Ok(Token(row.bytes("token")?.ok_or_else(|| malformed("token"))?))
}

fn named(row: &Cells) -> Result<(Token, Option<crate::model::CustomerId>), StoreError> {
    Ok((token(row)?, row.blob("name")?.map(customer_name).transpose()?))
}

fn due_hours(rows: QueryResult) -> Result<Vec<DueHour>, StoreError> {
    let hour = |row: &Cells| {
        Ok(DueHour { due: Due(row.need("due")?), token: token(row)?, hour: Hour(row.need("hour")?) })
    };
    cells(rows)?.iter().map(hour).collect()
}

/// Those of a day as far as `until`, from that of `after` on.
fn dues(day: i32, until: Due, after: Option<DueHour>) -> impl Iterator<Item = Due> {
    let first = u32::try_from(day).unwrap_or(0) * 24;
    let from = after.map_or(0, |after| after.due.0);
    (first.max(from)..=until.0.min(first + 23)).map(Due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_dues_are_read_as_far_as_they_are_wanted() {
        let after = |due| Some(DueHour { due: Due(due), token: Token([0; 16]), hour: Hour(0) });
        let dues = |until, after| -> Vec<u32> { dues(2, Due(until), after).map(|due| due.0).collect() };
        assert_eq!(dues(u32::MAX, None), (48..72).collect::<Vec<_>>());
        assert_eq!(dues(50, after(3)), [48, 49, 50]);
        assert_eq!(dues(u32::MAX, after(70)), [70, 71]);
        assert!(dues(47, None).is_empty() && dues(99, after(72)).is_empty());
    }

    #[test]
    fn what_a_list_may_still_hold_back_is_not_passed_over() {
        let hours = |dues: &[u32]| -> Vec<DueHour> {
            let hour = |&due| DueHour { due: Due(due), token: Token([0; 16]), hour: Hour(0) };
            dues.iter().map(hour).collect()
        };
        let merged = |lists: &[&[u32]]| merged(lists.iter().map(|dues| hours(dues)).collect(), 3);
        assert_eq!(merged(&[&[1, 4], &[], &[2]]), (hours(&[1, 2, 4]), true));
        assert_eq!(merged(&[&[1, 4, 9], &[2, 12]]), (hours(&[1, 2, 4, 9]), false));
        assert_eq!(merged(&[&[1, 4, 9], &[2, 3, 5]]), (hours(&[1, 2, 3, 4, 5]), false));
        assert_eq!(merged(&[]), (Vec::new(), true));
    }
}
