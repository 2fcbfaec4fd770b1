//! Erasing: fence, overwrite, and the jobs that do immediately what TTLs do later.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use scylla::SerializeRow;

use super::ask::{Attempts, Cas};
use super::metrics::{Settled, StoreOp};
use super::overwrite::{By, live};
use super::prepare::statements;
use super::rows::{AT_HOUR, FENCED, GATE, GateRow, HourRows, Place, StoredKey};
use super::{AT_ONCE, ScyllaStore};
use crate::keys::{
    DueHour, EraseStore, Erasure, Fence, HourRow, KeyState, ReadStore as _, Rewrap, StoreError,
};
use crate::model::{Digest, Due, Hour, Millis, Token};

statements! {
    delete_row: cas(format!(
        "DELETE FROM key WHERE {AT_HOUR} AND generation = :generation IF state = :state"
    )),
}

/// A row of an hour that must be in this state.
#[derive(SerializeRow)]
struct RowIn {
    #[scylla(flatten)]
    place: Place,
    generation: i32,
    state: i8,
}

#[async_trait]
impl EraseStore for ScyllaStore {
    /// Looks up the hold by customer, too: an hour without a gate carries no hold, and a sealer could change
    /// the gate's hold.
    async fn fence(&self, token: Token, hour: Hour, due: Due, command: Digest) -> Result<Fence, StoreError> {
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
            if let Some(hold) = self.read_policy_serial(token).await?.hold_over(hour) {
                return Ok(Fence::Held(hold.clone()));
            }
            let cas = self.write_fence((token, hour), &seen, due, command, now).await?;
            if matches!(cas, Cas::Applied) {
                let due = seen.gate.as_ref().map_or(due, |row| row.gate.due);
                self.unlist_due(token, hour, due).await?;
                return Ok(Fence::Fenced);
            }
            attempts.again(&cas).await?;
        }
    }

    /// Writes the gate's state, due, KEK, command and `kept` again, with the TTL of the later due.
    async fn keep_fence(&self, token: Token, hour: Hour, due: Due, now: Millis) -> Result<(), StoreError> {
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
            self.list_day(token, hour, marker).await?;
            let new = (due, row.kek_text(), row.gate.command);
            let cas = self.write_gate(StoreOp::Fence, (token, hour), row, new, marker).await?;
            if matches!(cas, Cas::Applied) {
                return self.unlist_due(token, hour, old).await;
            }
            attempts.again(&cas).await?;
        }
    }

    /// Reads the hour at SERIAL before and after each write, so that its answer is the state of the rows.
    async fn erase(
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
            // Read after the gate was seen: a later hold reaches the gate, and the condition meets it.
            if let Some(hold) = self.read_policy_serial(token).await?.hold_over(hour) {
                return Ok(Erasure::Held(hold.clone()));
            }
            let cas = self.overwrite((token, hour), &seen, live, By::Command(command), now).await?;
            if !matches!(cas, Cas::Applied) {
                attempts.again(&cas).await?;
            }
        }
    }

    async fn forget(
        &self,
        hours: &[DueHour],
        command: Digest,
        now: Millis,
    ) -> Result<Vec<Option<HourRow>>, StoreError> {
        let forget = |hour| self.forget_hour(hour, command, now);
        let forgotten: Vec<_> =
            stream::iter(hours.to_vec()).map(forget).buffered(AT_ONCE).try_collect().await?;
        let gone = forgotten.iter().flatten().filter(|row| is_gone(row));
        self.unlist_all(gone.map(|row| (row.token, row.hour, row.gate.due))).await?;
        Ok(forgotten)
    }

    async fn rewrap(&self, terms: &Rewrap, now: Millis) -> Result<Option<HourRow>, StoreError> {
        let Rewrap { token, hour, .. } = terms;
        let seen = self.read_hour_serial(*token, *hour).await?;
        if let Some(row) = &seen.gate {
            self.give_terms(terms, row, now).await?;
        }
        let after = self.read_hour_serial(*token, *hour).await?;
        self.unlist_old(terms, &after).await?;
        Ok(after.into_hour(*token, *hour))
    }

    /// Deletes early what a TTL would delete later: fenced hours below the floor without a hold and without a
    /// live key.
    async fn expire_markers(&self, until: Due) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.customers(after, 1_000).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(*last);
            for (token, customer) in &page {
                if let Some(last) = customer.floor.and_then(|floor| floor.0.checked_sub(1)) {
                    count += self.delete_markers(*token, Hour(last), until).await?;
                }
            }
        }
    }

    async fn expire_secrets(&self, until: Due, now: Millis) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.due_rows(until, after.as_ref(), 1_000).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.clone());
            let overwritten: Vec<u64> = stream::iter(page)
                .map(|hour| self.overwrite_hour(hour, now))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            count += overwritten.into_iter().sum::<u64>();
        }
    }
}

impl ScyllaStore {
    async fn delete_markers(&self, token: Token, last: Hour, until: Due) -> Result<u64, StoreError> {
        let mut count = 0;
        let rows = self.hours(token, Hour(0), last).await?;
        for row in rows.into_iter().filter(|row| row.gate.due <= until) {
            let seen = self.read_hour_serial(token, row.hour).await?;
            if seen.is_fenced() && seen.hold().is_none() && live(&seen).is_none() {
                self.delete_hour(token, row.hour, &seen).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Deletes the gate last, so that nothing is minted meanwhile.
    async fn delete_hour(&self, token: Token, hour: Hour, seen: &HourRows) -> Result<(), StoreError> {
        let place = Place::of(token, hour);
        let keys = seen.keys.iter().map(StoredKey::row);
        for (generation, state) in keys.chain([(GATE, FENCED)]) {
            let row = RowIn { place, generation, state };
            // The outcome does not matter: a row that stays has no secret, and expires.
            self.ask.cas(StoreOp::Erase, &self.statements.forget.delete_row, row).await?;
        }
        Ok(())
    }
}

/// The hour needs no row in the due list: it is fenced, has no hold and has no live key.
fn is_gone(row: &HourRow) -> bool {
    row.gate.fenced && row.gate.hold.is_none() && row.keys.iter().all(|key| key.state != KeyState::Live)
}
