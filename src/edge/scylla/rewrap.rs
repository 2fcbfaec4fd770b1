//! Gives an hour new terms: first to its gate, so that every later mint has them, and then to each key. Each
//! key is written on condition that the gate still has the new terms and that the key has not changed since
//! it was unwrapped.

use scylla::SerializeRow;
use scylla::value::MaybeUnset;

use super::ScyllaStore;
use super::ask::Cas;
use super::lifetime::{KEPT, Ttl};
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{AT_HOUR, GateRow, HourRows, Place};
use crate::keys::{Rewrap, Rewrapped, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};

statements! {
    gate: cas(format!(
        "UPDATE key USING TTL :marker
           SET state = :state, due = :due, kek = :kek, kept = :kept, command = :command
           WHERE {AT_HOUR} AND generation = -1
           IF state = :state AND due = :seen_due AND kek = :seen_kek AND kept = :kept
             AND command = :seen_command"
    )),
    key: cas(format!(
        "BEGIN BATCH
         UPDATE key USING TTL :marker SET due = :due
           WHERE {AT_HOUR} AND generation = -1 IF state = :state AND kek = :kek AND kept = :kept;
         UPDATE key USING TTL :marker
           SET state = 1, key_id = :key_id, commitment = :commitment, kek = :kek, minted_at = :minted_at
           WHERE {AT_HOUR} AND generation = :generation
           IF state = 1 AND key_id = :key_id AND wrapped = :seen_wrapped;
         UPDATE key USING TTL :secret SET wrapped = :wrapped WHERE {AT_HOUR} AND generation = :generation;
         APPLY BATCH"
    )),
}

/// A gate's new terms, and the state that goes with them.
#[derive(SerializeRow)]
struct GateTerms<'a> {
    #[scylla(flatten)]
    place: Place,
    state: i8,
    due: i64,
    kek: &'a str,
    kept: bool,
    marker: Ttl,
}

#[derive(SerializeRow)]
struct GateAsSeen<'a> {
    #[scylla(flatten)]
    terms: GateTerms<'a>,
    /// Unset keeps the existing command: null would leave a tombstone.
    command: MaybeUnset<[u8; 32]>,
    seen_due: i64,
    seen_kek: &'a str,
    /// Null in a condition is a value; it does not mean that the cell is ignored.
    seen_command: Option<[u8; 32]>,
}

#[derive(SerializeRow)]
struct KeyUnderTerms<'a> {
    #[scylla(flatten)]
    terms: GateTerms<'a>,
    generation: i32,
    key_id: [u8; 16],
    commitment: [u8; 32],
    minted_at: i64,
    seen_wrapped: &'a [u8],
    wrapped: &'a [u8],
    secret: Ttl,
}

impl ScyllaStore {
    /// Does nothing if the gate is not as it was seen, or if it is fenced and was never held: such a fence
    /// has a TTL, and the keys under it do not last long.
    pub(super) async fn give_terms(
        &self,
        terms: &Rewrap,
        row: &GateRow,
        now: Millis,
    ) -> Result<(), StoreError> {
        let Rewrap { token, hour, due, kek, command, .. } = terms;
        if !is_seen(row, terms) || (row.gate.fenced && !row.kept) {
            return Ok(());
        }
        let marker = self.lifetimes.marker_of(row.kept, *due, Some(kek), now);
        // The hour is listed before the write, as for a mint: under its new due, with the TTL of that due.
        self.list_day(*token, *hour, marker).await?;
        if !row.gate.fenced {
            self.list_due(*token, *hour, *due, marker).await?;
        }
        let new = (*due, kek.as_str(), *command);
        match self.write_gate(StoreOp::Rewrap, (*token, *hour), row, new, marker).await? {
            Cas::Applied => self.rewrap_keys(terms, row, marker, now).await,
            Cas::Refused(_) | Cas::Unknown => Ok(()),
        }
    }

    /// Gives a gate another due, KEK and command (`None` = keep the existing command), if it is still as it
    /// was seen. Its other cells are written again with the same TTL. A cell that is not written has no TTL:
    /// a hold, and the command of an hour that is held.
    pub(super) async fn write_gate(
        &self,
        op: StoreOp,
        (token, hour): (Token, Hour),
        seen: &GateRow,
        (due, kek, command): (Due, &str, Option<Digest>),
        marker: Ttl,
    ) -> Result<Cas, StoreError> {
        let bytes = |command: Option<Digest>| command.map(|digest| digest.0);
        let place = Place::of(token, hour);
        let values = GateAsSeen {
            terms: GateTerms { place, state: seen.state(), due: due.0.into(), kek, kept: seen.kept, marker },
            command: MaybeUnset::from_option(bytes(command)),
            seen_due: seen.gate.due.0.into(),
            seen_kek: seen.kek_text(),
            seen_command: bytes(seen.gate.command),
        };
        self.ask.cas(op, &self.statements.rewrap.gate, values).await
    }

    /// Ignores the outcome of each write: the caller reads the hour back, and asks again for keys that still
    /// have the old terms. A key that was seen without its bytes is not live.
    async fn rewrap_keys(
        &self,
        Rewrap { token, hour, due, kek, keys, .. }: &Rewrap,
        row: &GateRow,
        marker: Ttl,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (place, due_number, kek) = (Place::of(*token, *hour), due.0.into(), kek.as_str());
        let secret = if row.kept { KEPT } else { self.lifetimes.secret(*due, now) };
        for Rewrapped { seen, wrapped } in keys {
            let Some(seen_wrapped) = &seen.wrapped else { continue };
            let (state, kept) = (row.state(), row.kept);
            let values = KeyUnderTerms {
                terms: GateTerms { place, state, due: due_number, kek, kept, marker },
                generation: seen.generation.0.into(),
                key_id: seen.key_id.0,
                commitment: seen.commitment,
                minted_at: seen.minted_at.0,
                seen_wrapped,
                wrapped,
                secret,
            };
            self.ask.cas(StoreOp::Rewrap, &self.statements.rewrap.key, values).await?;
        }
        Ok(())
    }

    /// Deletes the stale row of the old due. If this is interrupted the row stays, and readers skip it.
    pub(super) async fn unlist_old(&self, terms: &Rewrap, after: &HourRows) -> Result<(), StoreError> {
        let Rewrap { token, hour, seen: (old, ..), due, .. } = terms;
        let has_moved = after.gate.as_ref().is_some_and(|row| row.gate.due == *due) && old != due;
        if has_moved { self.unlist_due(*token, *hour, *old).await } else { Ok(()) }
    }
}

fn is_seen(row: &GateRow, Rewrap { seen: (due, kek, command), .. }: &Rewrap) -> bool {
    (row.gate.due, row.gate.kek.as_ref(), row.gate.command) == (*due, Some(kek), *command)
}
