//! New terms for an hour: its gate first, so that whatever is minted from then on has them; then key by key, each on the
//! condition that the gate still has them and the key is still what was unwrapped.

use scylla::value::MaybeUnset;

use super::ScyllaStore;
use super::ask::Cas;
use super::cells::{big, blob, bound, flag, int, text};
use super::lifetime::{KEPT, Ttl};
use super::rows::{GateRow, HourRows, day, due_day, gate_state, place, shard};
use crate::keys::{HourRow, Rewrap, Rewrapped, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};
use crate::telemetry::StoreOp;

impl ScyllaStore {
    pub(super) async fn rewrap_hour(
        &self,
        terms: &Rewrap,
        now: Millis,
    ) -> Result<Option<HourRow>, StoreError> {
        let Rewrap { token, hour, .. } = terms;
        let seen = self.read_hour_serial(*token, *hour).await?;
        // A fence without a hold has a TTL, and nothing under it is for long.
        let is_left = |row: &&GateRow| is_seen(row, terms) && (row.kept || !row.gate.fenced);
        if let Some(row) = seen.gate.as_ref().filter(is_left) {
            self.list_terms(terms, row, now).await?;
            if self.move_gate(terms, row, now).await? {
                self.rewrap_keys(terms, row, now).await?;
            }
        }
        let after = self.read_hour_serial(*token, *hour).await?;
        self.unlist_old(terms, &after).await?;
        Ok(after.into_hour(*token, *hour))
    }

    /// Listed before it is so, as a mint is: under its new due, and for as long as that asks for.
    async fn list_terms(&self, terms: &Rewrap, row: &GateRow, now: Millis) -> Result<(), StoreError> {
        let Rewrap { token, hour, due, .. } = terms;
        let (bytes, marker) = (token.0.as_slice(), self.marker_of(row, terms, now));
        self.ask.write(StoreOp::Upsert, &self.say.list_day, (bytes, day(*hour), marker)).await?;
        if row.gate.fenced {
            return Ok(());
        }
        let due = (due_day(*due), shard(*token), i64::from(due.0), bytes, i64::from(hour.0), marker);
        self.ask.write(StoreOp::Upsert, &self.say.list_due, due).await
    }

    /// Whether it has the new terms for sure. What is not written has no TTL: a hold, and the fence of an hour that is held.
    async fn move_gate(&self, terms: &Rewrap, row: &GateRow, now: Millis) -> Result<bool, StoreError> {
        let marker = self.marker_of(row, terms, now);
        let new = (terms.due, terms.kek.as_str(), terms.command);
        let cas = self.write_gate(StoreOp::Rewrap, (terms.token, terms.hour), row, new, marker).await?;
        Ok(matches!(cas, Cas::Applied))
    }

    /// Gives a gate another due, KEK and command (`None` = the one that it has stays), if it still is as it was seen. What it
    /// says besides is written anew, with the same life.
    pub(super) async fn write_gate(
        &self,
        op: StoreOp,
        (token, hour): (Token, Hour),
        seen: &GateRow,
        (due, kek, command): (Due, &str, Option<Digest>),
        marker: Ttl,
    ) -> Result<Cas, StoreError> {
        let digest = |command: Option<Digest>| command.and_then(|digest| blob(&digest.0));
        let is = &seen.gate;
        let mut values =
            vec![int(marker), gate_state(seen), big(due.0), text(kek), flag(seen.kept), digest(command)];
        values.extend(place(token, hour));
        values.extend([gate_state(seen), big(is.due.0), text(seen.kek_text()), flag(seen.kept)]);
        // Null in a condition is a value, and not what is left alone.
        let mut values: Vec<_> = bound(values).into_iter().map(Some).collect();
        values.push(digest(is.command).map(MaybeUnset::Set));
        self.ask.cas(op, &self.say.gate_terms, values).await
    }

    /// Whatever became of each: what is read back tells, and what is not done is asked for again.
    async fn rewrap_keys(&self, terms: &Rewrap, row: &GateRow, now: Millis) -> Result<(), StoreError> {
        let marker = self.marker_of(row, terms, now);
        let secret = if row.kept { KEPT } else { self.lifetimes.secret(terms.due, now) };
        let kek = || text(terms.kek.as_str());
        for Rewrapped { seen, wrapped } in &terms.keys {
            let key_id = || blob(&seen.key_id.0);
            let generation = || int(seen.generation.0);
            let mut values = vec![int(marker), big(terms.due.0)];
            values.extend(place(terms.token, terms.hour));
            values.extend([gate_state(row), kek(), flag(row.kept)]);
            values.extend([int(marker), key_id(), blob(&seen.commitment), kek(), big(seen.minted_at.0)]);
            values.extend(place(terms.token, terms.hour));
            values.extend([generation(), key_id(), seen.wrapped.as_ref().and_then(|bytes| blob(bytes))]);
            values.extend([int(secret), blob(wrapped)]);
            values.extend(place(terms.token, terms.hour));
            values.push(generation());
            self.ask.cas(StoreOp::Rewrap, &self.say.rewrap, bound(values)).await?;
        }
        Ok(())
    }

    /// The row of the old due says nothing any more. Where this is cut short it stays, and is passed over.
    async fn unlist_old(&self, terms: &Rewrap, after: &HourRows) -> Result<(), StoreError> {
        let Rewrap { token, hour, seen: (old, ..), due, .. } = terms;
        let has_moved = after.gate.as_ref().is_some_and(|row| row.gate.due == *due) && old != due;
        if has_moved { self.unlist_due(*token, *hour, *old).await } else { Ok(()) }
    }

    fn marker_of(&self, row: &GateRow, terms: &Rewrap, now: Millis) -> Ttl {
        self.lifetimes.marker_of(row.kept, terms.due, Some(&terms.kek), now)
    }
}

fn is_seen(row: &GateRow, Rewrap { seen: (due, kek, command), .. }: &Rewrap) -> bool {
    (row.gate.due, row.gate.kek.as_ref(), row.gate.command) == (*due, Some(kek), *command)
}
