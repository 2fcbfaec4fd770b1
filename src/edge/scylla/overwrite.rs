//! Conditional statements that fence an hour and overwrite its keys.

use scylla::SerializeRow;
use scylla::value::MaybeUnset;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::lifetime::Ttl;
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{AT_HOUR, ERASED, ERASED_BY_TTL, GateRow, HourRows, Place};
use crate::keys::{DueHour, KeyRow, KeyState, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};

/// The cause for which live keys of an hour are overwritten.
#[derive(Clone, Copy)]
pub(super) enum By {
    Command(Digest),
    FailSafe,
}

fn fence() -> String {
    format!(
        "UPDATE key USING TTL :marker SET state = 2, due = :due, kek = :kek, command = :command
           WHERE {AT_HOUR} AND generation = -1
           IF state = 1 AND hold = null AND kept = :kept AND due = :due AND kek = :kek"
    )
}

fn overwritten() -> String {
    format!(
        "UPDATE key USING TTL :marker SET state = :key_state, wrapped = 0x, erased_at = :erased_at,
             command = :command, key_id = :key_id, commitment = :commitment, kek = :key_kek,
             minted_at = :minted_at
           WHERE {AT_HOUR} AND generation = :generation IF state = 1 AND key_id = :key_id"
    )
}

statements! {
    fence: cas(fence()),
    fence_absent: cas(format!(
        "UPDATE key USING TTL :marker SET state = 2, due = :due, kek = '', command = :command, kept = false
           WHERE {AT_HOUR} AND generation = -1 IF state = null"
    )),
    fence_and_overwrite: cas(format!("BEGIN BATCH {}; {}; APPLY BATCH", fence(), overwritten())),
    overwrite: cas(format!(
        "BEGIN BATCH
         UPDATE key USING TTL :marker SET due = :due
           WHERE {AT_HOUR} AND generation = -1 IF state = :gate_state AND hold = null;
         {};
         APPLY BATCH",
        overwritten()
    )),
}

/// The fence of an hour without a gate.
#[derive(SerializeRow)]
struct NewFence {
    #[scylla(flatten)]
    place: Place,
    due: i64,
    command: [u8; 32],
    marker: Ttl,
}

/// The fence of an hour whose gate is still as it was seen.
#[derive(SerializeRow)]
struct FenceOf<'a> {
    #[scylla(flatten)]
    fence: NewFence,
    kek: &'a str,
    kept: bool,
}

/// The current values of a key, without its secret.
#[derive(SerializeRow)]
struct OverwrittenKey<'a> {
    generation: i32,
    key_state: i8,
    erased_at: i64,
    key_id: [u8; 16],
    commitment: [u8; 32],
    key_kek: &'a str,
    minted_at: i64,
}

#[derive(SerializeRow)]
struct FenceAndKey<'a> {
    #[scylla(flatten)]
    fence: FenceOf<'a>,
    #[scylla(flatten)]
    key: OverwrittenKey<'a>,
}

/// A key under a gate that is still as it was seen.
#[derive(SerializeRow)]
struct KeyUnderGate<'a> {
    #[scylla(flatten)]
    place: Place,
    due: i64,
    gate_state: i8,
    /// Unset if no command overwrites the key: null would leave a tombstone.
    command: MaybeUnset<[u8; 32]>,
    marker: Ttl,
    #[scylla(flatten)]
    key: OverwrittenKey<'a>,
}

impl<'a> OverwrittenKey<'a> {
    fn of(key: &'a KeyRow, key_state: i8, now: Millis) -> Self {
        Self {
            generation: key.generation.0.into(),
            key_state,
            erased_at: now.0,
            key_id: key.key_id.0,
            commitment: key.commitment,
            key_kek: key.kek.as_str(),
            minted_at: key.minted_at.0,
        }
    }
}

impl ScyllaStore {
    pub(super) async fn write_fence(
        &self,
        (token, hour): (Token, Hour),
        seen: &HourRows,
        due: Due,
        command: Digest,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        if let Some(row) = &seen.gate {
            let fence = self.fence_of((token, hour), row, command, now);
            return self.ask.cas(StoreOp::Fence, &self.statements.overwrite.fence, fence).await;
        }
        let marker = self.lifetimes.marker(due, now);
        // The day is listed first, as for a mint, so that every reader finds the fenced hour.
        self.list_day(token, hour, marker).await?;
        let place = Place::of(token, hour);
        let fence = NewFence { place, due: due.0.into(), command: command.0, marker };
        self.ask.cas(StoreOp::Fence, &self.statements.overwrite.fence_absent, fence).await
    }

    /// Fences an open hour and overwrites one live key in one statement: an hour of a sweep usually has one
    /// key.
    pub(super) async fn fence_and_overwrite(
        &self,
        (token, hour): (Token, Hour),
        row: &GateRow,
        key: &KeyRow,
        command: Digest,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        let fence = self.fence_of((token, hour), row, command, now);
        let values = FenceAndKey { fence, key: OverwrittenKey::of(key, ERASED, now) };
        self.ask.cas(StoreOp::Erase, &self.statements.overwrite.fence_and_overwrite, values).await
    }

    fn fence_of<'a>(
        &self,
        (token, hour): (Token, Hour),
        row: &'a GateRow,
        command: Digest,
        now: Millis,
    ) -> FenceOf<'a> {
        let (due, marker) = (row.gate.due.0.into(), self.marker(row, now));
        let fence = NewFence { place: Place::of(token, hour), due, command: command.0, marker };
        FenceOf { fence, kek: row.kek_text(), kept: row.kept }
    }

    /// Overwrites one live key, if its gate is still as it was seen and no hold is on it.
    pub(super) async fn overwrite(
        &self,
        (token, hour): (Token, Hour),
        seen: &HourRows,
        key: &KeyRow,
        by: By,
        now: Millis,
    ) -> Result<Cas, StoreError> {
        let Some(row) = &seen.gate else { return Ok(Cas::Refused(Vec::new())) };
        let (key_state, command) = match by {
            By::Command(digest) => (ERASED, MaybeUnset::Set(digest.0)),
            By::FailSafe => (ERASED_BY_TTL, MaybeUnset::Unset),
        };
        let values = KeyUnderGate {
            place: Place::of(token, hour),
            due: row.gate.due.0.into(),
            gate_state: row.state(),
            command,
            marker: self.marker(row, now),
            key: OverwrittenKey::of(key, key_state, now),
        };
        self.ask.cas(StoreOp::Erase, &self.statements.overwrite.overwrite, values).await
    }

    /// Applies the fail-safe without waiting for TTLs. It overwrites all live keys of a due hour without a
    /// hold, and returns their number. It skips a listed row whose due is not the hour's due any more.
    pub(super) async fn overwrite_hour(
        &self,
        DueHour { token, hour, due, .. }: DueHour,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let mut count = 0;
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            let moved = seen.gate.as_ref().is_some_and(|row| row.gate.due != due);
            let held =
                seen.hold().is_some() || self.read_policy_serial(token).await?.hold_over(hour).is_some();
            let Some(live) = live(&seen).filter(|_| !held && !moved) else { return Ok(count) };
            let cas = self.overwrite((token, hour), &seen, live, By::FailSafe, now).await?;
            match cas {
                Cas::Applied => count += 1,
                cas => attempts.again(&cas).await?,
            }
        }
    }

    fn marker(&self, GateRow { gate, kept }: &GateRow, now: Millis) -> Ttl {
        self.lifetimes.marker_of(*kept, gate.due, gate.kek.as_ref(), now)
    }
}

pub(super) fn live(seen: &HourRows) -> Option<&KeyRow> {
    seen.keys.iter().map(|stored| &stored.key).find(|key| key.state == KeyState::Live)
}
