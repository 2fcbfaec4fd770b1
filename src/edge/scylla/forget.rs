//! Fence, erase, and the job that does at once what TTLs do in the end.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{Attempts, Cas};
use super::cells::{Value, big, blob, bound, flag, int, text, tiny};
use super::lifetime::Ttl;
use super::rows::{
    ERASED, ERASED_BY_TTL, FENCED, GATE, GateRow, HourRows, StoredKey, day, due_day, gate_state, place, shard,
};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{DueHour, Erasure, Fence, KeyRow, KeyState, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};
use crate::telemetry::{Settled, StoreOp};

/// By whom live keys of an hour are overwritten.
#[derive(Clone, Copy)]
pub(super) enum By {
    Command(Digest),
    FailSafe,
}

impl ScyllaStore {
    /// The hold is looked up by customer too: an hour without a gate carries none, and a sealer could change the gate's.
    pub(super) async fn fence_hour(
        &self,
        token: Token,
        hour: Hour,
        due: Due,
        command: Digest,
    ) -> Result<Fence, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let now = self.clock.now();
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            if let Some(hold) = seen.hold() {
                return Ok(Fence::Held(hold.clone()));
            }
            if let Some(row) = seen.gate.as_ref().filter(|row| row.gate.fenced) {
                attempts.settle(Settled::Won);
                self.unlist_due(token, hour, row.gate.due).await?;
                return Ok(Fence::Fenced);
            }
            attempts.settle(Settled::None);
            if let Some(hold) = self.policy_serial(token).await?.hold_over(hour) {
                return Ok(Fence::Held(hold.clone()));
            }
            let cas = self.write_fence(token, hour, &seen, due, command, now).await?;
            if matches!(cas, Cas::Applied) {
                let due = seen.gate.as_ref().map_or(due, |row| row.gate.due);
                self.unlist_due(token, hour, due).await?;
                return Ok(Fence::Fenced);
            }
            attempts.again(&cas).await?;
        }
    }

    pub(super) async fn write_fence(
        &self,
        token: Token,
        hour: Hour,
        seen: &HourRows,
        due: Due,
        command: Digest,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        let Some(row) = &seen.gate else {
            let (bytes, command) = (token.0.as_slice(), command.0.as_slice());
            let (day, hour_number) = (day(hour), i64::from(hour.0));
            let marker = self.lifetimes.marker(due, now);
            // Listed first, as a mint is: an hour that is fenced is found by whoever looks.
            self.ask.write(StoreOp::Upsert, &self.say.list_day, (bytes, day, marker)).await?;
            let values = (marker, i64::from(due.0), command, bytes, day, hour_number);
            return self.ask.cas(StoreOp::Fence, &self.say.fence_absent, values).await;
        };
        let values = self.fenced((token, hour), row, command, now);
        self.ask.cas(StoreOp::Fence, &self.say.fence, bound(values)).await
    }

    /// The values of the fence of an hour that is still as it was seen.
    pub(super) fn fenced(
        &self,
        (token, hour): (Token, Hour),
        row: &GateRow,
        command: Digest,
        now: Millis,
    ) -> Vec<Value> {
        let terms = || [big(row.gate.due.0), text(row.kek_text())];
        let mut values = vec![int(self.marker(row, now))];
        values.extend(terms());
        values.push(blob(&command.0));
        values.extend(place(token, hour));
        values.push(flag(row.kept));
        values.extend(terms());
        values
    }

    /// All cells of the gate are written anew, with the life that the later due asks for.
    pub(super) async fn keep_fence_of(
        &self,
        token: Token,
        hour: Hour,
        due: Due,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            let shorter = |row: &&GateRow| row.gate.fenced && row.gate.due < due;
            let Some(row) = seen.gate.as_ref().filter(shorter) else {
                attempts.settle(Settled::Won);
                return Ok(());
            };
            attempts.settle(Settled::None);
            let old = row.gate.due;
            let marker = self.lifetimes.marker_of(row.kept, due, row.gate.kek.as_ref(), now);
            let listed = (token.0.as_slice(), day(hour), marker);
            self.ask.write(StoreOp::Upsert, &self.say.list_day, listed).await?;
            let new = (due, row.kek_text(), row.gate.command);
            let cas = self.write_gate(StoreOp::Fence, (token, hour), row, new, marker).await?;
            if matches!(cas, Cas::Applied) {
                return self.unlist_due(token, hour, old).await;
            }
            attempts.again(&cas).await?;
        }
    }

    pub(super) fn marker(&self, GateRow { gate, kept }: &GateRow, now: Millis) -> Ttl {
        self.lifetimes.marker_of(*kept, gate.due, gate.kek.as_ref(), now)
    }

    pub(super) async fn unlist_due(&self, token: Token, hour: Hour, due: Due) -> Result<(), StoreError> {
        let values = (due_day(due), shard(token), i64::from(due.0), token.0.as_slice(), i64::from(hour.0));
        self.ask.write(StoreOp::Upsert, &self.say.unlist_due, values).await
    }

    /// Lists at SERIAL before and after, so that what it answers is what is there.
    pub(super) async fn erase_hour(
        &self,
        token: Token,
        hour: Hour,
        command: Digest,
        now: Millis,
    ) -> Result<Erasure, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            if let Some(hold) = seen.hold() {
                return Ok(Erasure::Held(hold.clone()));
            }
            if !seen.is_fenced() {
                return Ok(Erasure::NotFenced);
            }
            let Some(live) = live(&seen) else {
                attempts.settle(Settled::Won);
                return Ok(Erasure::Erased(seen.into_keys()));
            };
            attempts.settle(Settled::None);
            // After the gate was seen: a hold that comes later finds the gate, and is met by the condition.
            if let Some(hold) = self.policy_serial(token).await?.hold_over(hour) {
                return Ok(Erasure::Held(hold.clone()));
            }
            let cas = self.overwrite(token, hour, &seen, live, By::Command(command), now).await?;
            if !matches!(cas, Cas::Applied) {
                attempts.again(&cas).await?;
            }
        }
    }

    /// Overwrites one live key, if its gate is still as it was seen and no hold is on it.
    pub(super) async fn overwrite(
        &self,
        token: Token,
        hour: Hour,
        seen: &HourRows,
        key: &KeyRow,
        by: By,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        let Some(row) = &seen.gate else { return Ok(Cas::Refused(Vec::new())) };
        let mut values = vec![int(self.marker(row, now)), big(row.gate.due.0)];
        values.extend(place(token, hour));
        values.push(gate_state(row));
        values.extend(self.overwritten((token, hour), row, key, by, now));
        self.ask.cas(StoreOp::Erase, &self.say.overwrite, bound(values)).await
    }

    /// The values of the row of a key that is overwritten.
    pub(super) fn overwritten(
        &self,
        (token, hour): (Token, Hour),
        row: &GateRow,
        key: &KeyRow,
        by: By,
        now: Millis,
    ) -> Vec<Value> {
        let (state, command): (i8, Value) = match by {
            By::Command(digest) => (ERASED, blob(&digest.0)),
            By::FailSafe => (ERASED_BY_TTL, None),
        };
        let mut values = vec![int(self.marker(row, now)), tiny(state), big(now.0), command];
        values.extend([
            blob(&key.key_id.0),
            blob(&key.commitment),
            text(key.kek.as_str()),
            big(key.minted_at.0),
        ]);
        values.extend(place(token, hour));
        values.extend([int(key.generation.0), blob(&key.key_id.0)]);
        values
    }

    /// The fail-safe by hand: what is due and not held.
    pub(super) async fn overwrite_due(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.list_due_rows(until, after, 1_000).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(*last);
            let overwritten: Vec<u64> = stream::iter(page)
                .map(|hour| self.overwrite_hour(hour, now))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            count += overwritten.into_iter().sum::<u64>();
        }
    }

    /// A row of a due that the hour has no more says nothing of it.
    async fn overwrite_hour(
        &self,
        DueHour { token, hour, due }: DueHour,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let mut count = 0;
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            let moved = seen.gate.as_ref().is_some_and(|row| row.gate.due != due);
            let held = seen.hold().is_some() || self.policy_serial(token).await?.hold_over(hour).is_some();
            let Some(live) = live(&seen).filter(|_| !held && !moved) else { return Ok(count) };
            let cas = self.overwrite(token, hour, &seen, live, By::FailSafe, now).await?;
            match cas {
                Cas::Applied => count += 1,
                cas => attempts.again(&cas).await?,
            }
        }
    }

    /// Deletes what the TTL would take later: fenced hours below the floor without a hold and without a live key.
    pub(super) async fn delete_markers(&self, until: Due) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.list_customers(after, 1_000).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(*last);
            for (token, customer) in &page {
                if let Some(last) = customer.floor.and_then(|floor| floor.0.checked_sub(1)) {
                    count += self.delete_markers_of(*token, Hour(last), until).await?;
                }
            }
        }
    }

    async fn delete_markers_of(&self, token: Token, last: Hour, until: Due) -> Result<u64, StoreError> {
        let mut count = 0;
        let rows = self.list_hours(token, Hour(0), last).await?;
        for row in rows.into_iter().filter(|row| row.gate.due <= until) {
            let seen = self.read_hour_serial(token, row.hour).await?;
            if seen.is_fenced() && seen.hold().is_none() && live(&seen).is_none() {
                self.delete_hour(token, row.hour, &seen).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The gate last, so that nothing is minted meanwhile.
    async fn delete_hour(&self, token: Token, hour: Hour, seen: &HourRows) -> Result<(), StoreError> {
        let keys = seen
            .keys
            .iter()
            .map(|StoredKey { key, .. }| (i32::from(key.generation.0), state_number(key.state)));
        for (generation, state) in keys.chain([(GATE, FENCED)]) {
            let values = (token.0.as_slice(), day(hour), i64::from(hour.0), generation, state);
            // Whatever the outcome: a row that stays is deleted by the next run, or by its TTL.
            self.ask.cas(StoreOp::Erase, &self.say.delete_hour, values).await?;
        }
        Ok(())
    }
}

pub(super) fn live(seen: &HourRows) -> Option<&KeyRow> {
    seen.keys.iter().map(|stored| &stored.key).find(|key| key.state == KeyState::Live)
}

/// What stands in the row of a key that is not live; a secret that its TTL took leaves the state of a live one.
fn state_number(state: KeyState) -> i8 {
    match state {
        KeyState::Live => 1,
        KeyState::Erased => ERASED,
        KeyState::ErasedByTtl => ERASED_BY_TTL,
    }
}
