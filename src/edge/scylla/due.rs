//! Reads the list of due hours; it has one partition for each day and shard.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::SerializeRow;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;

use super::cells::{Cells, cells};
use super::fault::was_given_up;
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{SHARDS, due_day, kek_day, token};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{DueHour, KekState, ReadStore as _, StoreError};
use crate::model::{Due, Hour, Token};

/// A partition of the `due` table.
type DuePartition = (i32, i8);

statements! {
    page: plain(
        r#"SELECT due, "token", hour FROM due WHERE due_day = :due_day AND shard = :shard
             AND (due, "token", hour) > (:after_due, :after_token, :after_hour)
             AND (due, "token", hour) <= (:to_due, :to_token, :to_hour) LIMIT :at_most"#
    ),
}

#[derive(SerializeRow)]
struct PageOf<'a> {
    due_day: i32,
    shard: i8,
    after_due: i64,
    after_token: &'a [u8],
    after_hour: i64,
    to_due: i64,
    to_token: [u8; 16],
    to_hour: i64,
    at_most: i32,
}

impl ScyllaStore {
    /// The next rows of the `due` table in order: at most `limit`, and at least one if any exist. It asks
    /// each shard for twice its share, so that one round of reads is usually enough.
    pub(super) async fn due_rows(
        &self,
        until: Due,
        after: Option<&DueHour>,
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

    /// The days on which hours may fall due, in order: the days of all KEKs that are not destroyed. A KEK is
    /// registered before the first mint of its day, and destroyed when no hour of its day is open. Listing
    /// the partitions of the table would read the tombstone of every row that was ever deleted, until a
    /// server refuses (`READ_TOO_MANY_TOMBSTONES`).
    async fn due_days(&self, until: Due, after: Option<&DueHour>) -> Result<Vec<i32>, StoreError> {
        let first = after.map_or(i32::MIN, |after| due_day(after.due));
        let keks = self.keks().await?;
        let existing = keks.iter().filter(|row| row.state != KekState::Destroyed);
        let days = existing.map(|row| kek_day(&row.id)).filter(|day| (first..=due_day(until)).contains(day));
        Ok(days.collect::<BTreeSet<i32>>().into_iter().collect())
    }

    /// Reads the page in one read, or in smaller and smaller parts if a part has more deleted rows than the
    /// server reads past.
    async fn due_page(
        &self,
        partition: DuePartition,
        until: Due,
        after: Option<&DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (mut hours, mut parts) = (Vec::new(), vec![Part::of_day(partition.0, until, after)]);
        while hours.len() < limit
            && let Some(part) = parts.pop()
        {
            match self.rows_of(partition, &part, limit - hours.len()).await {
                Err(error) if was_given_up(&error) => {
                    parts.extend(part.split().ok_or(error)?.into_iter().rev());
                }
                rows => hours.extend(due_hours(rows?)?),
            }
        }
        Ok(hours)
    }

    async fn rows_of(
        &self,
        (due_day, shard): DuePartition,
        Part { after, to }: &Part,
        limit: usize,
    ) -> Result<QueryResult, ExecutionError> {
        // Due -1 with an empty token precedes every row.
        let (after_due, after_token, after_hour) = match after {
            Some(after) => (after.due.0.into(), after.token.0.as_slice(), after.hour.0.into()),
            None => (-1, [].as_slice(), -1),
        };
        let page = PageOf {
            due_day,
            shard,
            after_due,
            after_token,
            after_hour,
            to_due: to.due.0.into(),
            to_token: to.token.0,
            to_hour: to.hour.0.into(),
            at_most: i32::try_from(limit).unwrap_or(i32::MAX),
        };
        self.ask.answer(StoreOp::List, &self.statements.due.page, page).await
    }
}

/// Merges the beginnings of sorted lists into the beginning of one list, and says whether that list is
/// complete. A list with `most` entries may continue, and its next entry may precede the last entry of
/// another list.
fn merged(beginnings: Vec<Vec<DueHour>>, most: usize) -> (Vec<DueHour>, bool) {
    let may_go_on = beginnings.iter().filter(|hours| hours.len() >= most);
    let known_to = may_go_on.filter_map(|hours| hours.last().cloned()).min();
    let mut hours: Vec<DueHour> = beginnings.into_iter().flatten().collect();
    hours.sort_unstable();
    if let Some(last) = &known_to {
        hours.retain(|hour| hour <= last);
    }
    (hours, known_to.is_none())
}

fn due_hours(rows: QueryResult) -> Result<Vec<DueHour>, StoreError> {
    let hour = |row: &Cells| Ok(DueHour::new(Due(row.need("due")?), token(row)?, Hour(row.need("hour")?)));
    cells(rows)?.iter().map(hour).collect()
}

/// A part of a partition of the `due` table: after one place (exclusive), up to another (inclusive).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    after: Option<DueHour>,
    to: DueHour,
}

impl Part {
    /// A day up to `until`, after `after`.
    fn of_day(day: i32, until: Due, after: Option<&DueHour>) -> Self {
        let first = u32::try_from(day).unwrap_or(0) * 24;
        let last = Due(until.0.min(first.saturating_add(23)));
        Self { after: after.cloned().max(DueHour::before(Due(first))), to: DueHour::last(last) }
    }

    /// Splits the part by its dues, or splits the tokens of a single due into sixteenths, in order. It does
    /// not split into halves, because a server takes long to give up. `None` if the part is too small.
    fn split(&self) -> Option<Vec<Self>> {
        let number = |token: Token| u128::from_be_bytes(token.0);
        let Self { after, to } = self;
        let (due, token) = match after {
            None => (0, 0),
            Some(last) if *last == DueHour::last(last.due) => (last.due.0 + 1, 0),
            Some(after) => (after.due.0, number(after.token)),
        };
        let mut ends: Vec<DueHour> = (due..to.due.0).map(|due| DueHour::last(Due(due))).collect();
        if due == to.due.0 {
            let width = number(to.token).checked_sub(token)? / 16;
            let end = |part: u128| Token((token + part * width).to_be_bytes());
            let ends_of_tokens = (1..16).map(|part| DueHour::new(to.due, end(part), Hour(u32::MAX)));
            ends.extend(ends_of_tokens.filter(|_| width > 0));
        }
        ends.push(to.clone());
        let starts = std::iter::once(after.clone()).chain(ends.iter().cloned().map(Some));
        let parts: Vec<Self> =
            starts.zip(ends.iter().cloned()).map(|(after, to)| Self { after, to }).collect();
        (parts.len() > 1).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_far_as_it_is_wanted() {
        let ends = |until, after: Option<u32>| {
            let after = after.map(|due| DueHour::last(Due(due)));
            let part = Part::of_day(2, Due(until), after.as_ref());
            (part.after.expect("days before").due.0 + 1, part.to.due.0)
        };
        assert_eq!(ends(u32::MAX, None), (48, 71));
        assert_eq!(ends(50, Some(3)), (48, 50));
        assert_eq!(ends(u32::MAX, Some(69)), (70, 71));
        assert_eq!(Part::of_day(0, Due(9), None).after, None);
    }

    #[test]
    fn parts_leave_nothing_out_and_are_smaller() {
        let place = |due, token: u128| DueHour::new(Due(due), Token(token.to_be_bytes()), Hour(u32::MAX));
        let part = |after, to| Part { after: Some(after), to };
        let day = Part::of_day(2, Due(u32::MAX), None);
        for (whole, count) in [
            (day.clone(), 24),
            (part(place(50, 7), day.to), 22),
            (part(DueHour::last(Due(49)), DueHour::last(Due(50))), 16),
            (part(place(50, 7), place(50, 23)), 16),
        ] {
            let parts = whole.split().expect("parts");
            assert_eq!(parts.len(), count);
            assert_eq!((&parts[0].after, &parts[count - 1].to), (&whole.after, &whole.to));
            assert!(parts.windows(2).all(|pair| pair[1].after.as_ref() == Some(&pair[0].to)), "{parts:?}");
            assert!(parts.iter().all(|part| part.after.as_ref() < Some(&part.to)), "{parts:?}");
        }
        for whole in [part(place(50, 7), place(50, 22)), part(place(50, 7), place(49, 9))] {
            assert_eq!(whole.split(), None);
        }
    }

    #[test]
    fn what_a_list_may_still_hold_back_is_not_passed_over() {
        let hours = |dues: &[u32]| -> Vec<DueHour> {
            let hour = |&due| DueHour::new(Due(due), Token([0; 16]), Hour(0));
            dues.iter().map(hour).collect()
        };
        let merged = |lists: &[&[u32]]| merged(lists.iter().map(|dues| hours(dues)).collect(), 3);
        assert_eq!(merged(&[&[1, 4], &[], &[2]]), (hours(&[1, 2, 4]), true));
        assert_eq!(merged(&[&[1, 4, 9], &[2, 12]]), (hours(&[1, 2, 4, 9]), false));
        assert_eq!(merged(&[&[1, 4, 9], &[2, 3, 5]]), (hours(&[1, 2, 3, 4, 5]), false));
        assert_eq!(merged(&[]), (Vec::new(), true));
    }
}
