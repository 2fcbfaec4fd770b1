//! The list of due hours, a partition for each day and shard.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;

use super::cells::{Cells, cells};
use super::fault::was_given_up;
use super::rows::{SHARDS, due_day, kek_day, token};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{DueHour, KekState, StoreError};
use crate::model::{Due, Hour, Token};
use crate::telemetry::StoreOp;

/// A partition of the `due` table.
type DuePartition = (i32, i8);

impl ScyllaStore {
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

    /// At once, or in smaller and smaller parts where more was taken out of one than the server reads past.
    async fn due_page(
        &self,
        partition: DuePartition,
        until: Due,
        after: Option<DueHour>,
        limit: usize,
    ) -> Result<Vec<DueHour>, StoreError> {
        let (mut hours, mut parts) = (Vec::new(), vec![Part::of_day(partition.0, until, after)]);
        while hours.len() < limit
            && let Some(part) = parts.pop()
        {
            match self.due_rows(partition, part, limit - hours.len()).await {
                Err(error) if was_given_up(&error) => {
                    parts.extend(part.split().ok_or(error)?.into_iter().rev());
                }
                rows => hours.extend(due_hours(rows?)?),
            }
        }
        Ok(hours)
    }

    async fn due_rows(
        &self,
        (due_day, shard): DuePartition,
        Part { after, to }: Part,
        limit: usize,
    ) -> Result<QueryResult, ExecutionError> {
        let place = |at: DueHour| (i64::from(at.due.0), at.token.0.to_vec(), i64::from(at.hour.0));
        let (due, token, hour) = after.map_or((-1, Vec::new(), -1), place);
        let (to_due, to_token, to_hour) = place(to);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (due_day, shard, due, token, hour, to_due, to_token, to_hour, limit);
        self.ask.answer(StoreOp::List, &self.say.due, values).await
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

fn due_hours(rows: QueryResult) -> Result<Vec<DueHour>, StoreError> {
    let hour = |row: &Cells| {
        Ok(DueHour { due: Due(row.need("due")?), token: token(row)?, hour: Hour(row.need("hour")?) })
    };
    cells(rows)?.iter().map(hour).collect()
}

/// A part of a partition of the `due` table: behind one place, up to and with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    after: Option<DueHour>,
    to: DueHour,
}

impl Part {
    /// A day as far as `until`, behind `after`.
    fn of_day(day: i32, until: Due, after: Option<DueHour>) -> Self {
        let first = u32::try_from(day).unwrap_or(0) * 24;
        let last = Due(until.0.min(first.saturating_add(23)));
        Self { after: after.max(DueHour::before(Due(first))), to: DueHour::last(last) }
    }

    /// Its dues, or sixteenths of the tokens of one, in order: a server takes its time to give up, so not by halves. `None`
    /// where it has too few of them.
    fn split(self) -> Option<Vec<Self>> {
        let number = |token: Token| u128::from_be_bytes(token.0);
        let Self { after, to } = self;
        let (due, token) = match after {
            None => (0, 0),
            Some(last) if last == DueHour::last(last.due) => (last.due.0 + 1, 0),
            Some(after) => (after.due.0, number(after.token)),
        };
        let mut ends: Vec<DueHour> = (due..to.due.0).map(|due| DueHour::last(Due(due))).collect();
        if due == to.due.0 {
            let width = number(to.token).checked_sub(token)? / 16;
            let end = |part: u128| Token((token + part * width).to_be_bytes());
            let ends_of_tokens = (1..16).map(|part| DueHour { token: end(part), hour: Hour(u32::MAX), ..to });
            ends.extend(ends_of_tokens.filter(|_| width > 0));
        }
        ends.push(to);
        let starts = std::iter::once(after).chain(ends.iter().copied().map(Some));
        let parts: Vec<Self> =
            starts.zip(ends.iter().copied()).map(|(after, to)| Self { after, to }).collect();
        (parts.len() > 1).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_far_as_it_is_wanted() {
        let ends = |until, after: Option<u32>| {
            let part = Part::of_day(2, Due(until), after.map(|due| DueHour::last(Due(due))));
            (part.after.expect("days before").due.0 + 1, part.to.due.0)
        };
        assert_eq!(ends(u32::MAX, None), (48, 71));
        assert_eq!(ends(50, Some(3)), (48, 50));
        assert_eq!(ends(u32::MAX, Some(69)), (70, 71));
        assert_eq!(Part::of_day(0, Due(9), None).after, None);
    }

    #[test]
    fn parts_leave_nothing_out_and_are_smaller() {
        let place = |due, token: u128| DueHour {
            due: Due(due),
            token: Token(token.to_be_bytes()),
            hour: Hour(u32::MAX),
        };
        let part = |after, to| Part { after: Some(after), to };
        let day = Part::of_day(2, Due(u32::MAX), None);
        for (whole, count) in [
            (day, 24),
            (part(place(50, 7), day.to), 22),
            (part(DueHour::last(Due(49)), DueHour::last(Due(50))), 16),
            (part(place(50, 7), place(50, 23)), 16),
        ] {
            let parts = whole.split().expect("parts");
            assert_eq!(parts.len(), count);
            assert_eq!((parts[0].after, parts[count - 1].to), (whole.after, whole.to));
            assert!(parts.windows(2).all(|pair| pair[1].after == Some(pair[0].to)), "{parts:?}");
            assert!(parts.iter().all(|part| part.after < Some(part.to)), "{parts:?}");
        }
        for whole in [part(place(50, 7), place(50, 22)), part(place(50, 7), place(49, 9))] {
            assert_eq!(whole.split(), None);
        }
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
