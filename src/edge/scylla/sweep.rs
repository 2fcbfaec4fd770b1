//! Fencing and erasing many hours at once, as a sweep does: few statements for each.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{Attempts, Cas};
use super::cells::bound;
use super::forget::{By, live};
use super::rows::{GateRow, HourRows, due_day, shard};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{DueHour, HourRow, KeyRow, KeyState, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};
use crate::telemetry::{Settled, StoreOp};

/// Rows of the due list taken out by one statement, all of one partition.
const UNLISTED_AT_ONCE: usize = 100;

impl ScyllaStore {
    pub(super) async fn forget_hours(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let forget = |DueHour { token, hour, due }: DueHour| self.forget_hour(token, hour, due, command, now);
        let forgotten: Vec<_> =
            stream::iter(hours.to_vec()).map(forget).buffered(AT_ONCE).try_collect().await?;
        let gone = forgotten.iter().flatten().filter(|row| is_gone(row));
        self.unlist_all(gone.map(|row| (row.token, row.hour, row.gate.due))).await?;
        Ok(forgotten)
    }

    /// In as few writes as the list has partitions, as a rule.
    async fn unlist_all(&self, hours: impl Iterator<Item = (Token, Hour, Due)>) -> Result<(), StoreError> {
        let mut listed: HashMap<(i32, i8), Vec<_>> = HashMap::new();
        for (token, hour, due) in hours {
            let (day, shard) = (due_day(due), shard(token));
            let values = (day, shard, i64::from(due.0), token.0, i64::from(hour.0));
            listed.entry((day, shard)).or_default().push(values);
        }
        for values in listed.values().flat_map(|all| all.chunks(UNLISTED_AT_ONCE)) {
            self.ask.write_all(StoreOp::Upsert, &self.say.unlist_due, values).await?;
        }
        Ok(())
    }

    /// Answers what the last read at SERIAL saw, for its caller to unlist. What is seen first is not, and may be what the list of
    /// due hours saw: it only says what to write, and the conditions decide. Nor is the read of the customer's holds, which comes
    /// after the gate was seen: a hold is learned at QUORUM before it goes to the gates, so one that this read misses finds the
    /// gate, and is met by the conditions.
    async fn forget_hour(
        &self,
        token: Token,
        hour: Hour,
        due: Due,
        command: Digest,
        now: Millis,
    ) -> Result<Option<HourRow>, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let mut seen = match self.recent.due.take(token, hour) {
            Some(seen) => seen,
            None => self.read_hour(token, hour).await?,
        };
        let mut is_serial = false;
        loop {
            let free = seen.gate.as_ref().filter(|row| row.gate.hold.is_none());
            let is_done = free.is_some_and(|row| row.gate.fenced) && live(&seen).is_none();
            attempts.settle(if is_done { Settled::Won } else { Settled::None });
            let stays = free.is_none() || is_done || self.read_policy(token).await?.hold_over(hour).is_some();
            if stays && is_serial {
                return Ok(seen.into_hour(token, hour));
            }
            if !stays && let Some(cas) = self.forget_seen(token, hour, seen, due, command, now).await? {
                attempts.again(&cas).await?;
            }
            (seen, is_serial) = (self.read_hour_serial(token, hour).await?, true);
        }
    }

    /// The fence and then each live key, all on the condition of what was seen. Answers the first write that was not
    /// applied. What was minted before the fence stood is seen by the next read.
    async fn forget_seen(
        &self,
        token: Token,
        hour: Hour,
        mut seen: HourRows,
        due: Due,
        command: Digest,
        now: Millis,
    ) -> Result<Option<Cas>, StoreError> {
        let mut done = None;
        if !seen.is_fenced() {
            let cas = match (&seen.gate, live(&seen)) {
                (Some(row), Some(key)) => {
                    done = Some(key.generation);
                    self.fence_and_overwrite((token, hour), row, key, command, now).await?
                }
                _ => self.write_fence(token, hour, &seen, due, command, now).await?,
            };
            if !matches!(cas, Cas::Applied) {
                return Ok(Some(cas));
            }
            seen.gate.iter_mut().for_each(|row| row.gate.fenced = true);
        }
        let keys = seen.keys.iter().map(|stored| &stored.key);
        for key in keys.filter(|key| key.state == KeyState::Live && Some(key.generation) != done) {
            let cas = self.overwrite(token, hour, &seen, key, By::Command(command), now).await?;
            if !matches!(cas, Cas::Applied) {
                return Ok(Some(cas));
            }
        }
        Ok(None)
    }

    /// The fence of an open hour and the first of its live keys in one statement: a sweep's hours have one key, as a rule.
    async fn fence_and_overwrite(
        &self,
        (token, hour): (Token, Hour),
        row: &GateRow,
        key: &KeyRow,
        command: Digest,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        let mut values = self.fenced((token, hour), row, command, now);
        values.extend(self.overwritten((token, hour), row, key, By::Command(command), now));
        self.ask.cas(StoreOp::Erase, &self.say.fence_and_overwrite, bound(values)).await
    }
}

/// Nothing of it is left to be found by the list of what is due.
fn is_gone(row: &HourRow) -> bool {
    row.gate.fenced && row.gate.hold.is_none() && row.keys.iter().all(|key| key.state != KeyState::Live)
}
