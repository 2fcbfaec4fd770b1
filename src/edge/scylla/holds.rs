//! Legal holds: on the customer first, then on every gate, then every secret without its TTL.

use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::cells::Cells;
use super::fault::malformed;
use super::rows::{FENCED, GateRow, HourRows, OPEN, Policy, StoredKey, day, due_day, shard};
use crate::keys::{Hold, HoldId, KeyState, Placed, StoreError};
use crate::model::{Hour, Token};
use crate::telemetry::{Settled, StoreOp};

impl ScyllaStore {
    /// It is in force when this answers; what an attempt before left half done is finished.
    pub(super) async fn place(&self, hold: &Hold) -> Result<Placed, StoreError> {
        if !self.claim_id(hold).await? {
            return Ok(Placed::IdReuse);
        }
        let Hold { id, token, from, to } = hold;
        let values = (token.0.as_slice(), id.0.as_slice(), i64::from(from.0), i64::from(to.0));
        self.until(Goal::Listed(hold), &self.say.policy_hold, values).await?;
        for row in self.list_hours(*token, *from, *to).await? {
            self.hold_gate(*token, row.hour, Some(id), None).await?;
            self.keep_hour(*token, row.hour).await?;
        }
        Ok(Placed::InForce)
    }

    /// False when the id means another hold.
    async fn claim_id(&self, hold: &Hold) -> Result<bool, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(there) = self.read_hold(&hold.id).await? {
                attempts.settle(Settled::Won);
                return Ok(there == *hold);
            }
            attempts.settle(Settled::None);
            let Hold { id, token, from, to } = hold;
            let values = (id.0.as_slice(), token.0.as_slice(), i64::from(from.0), i64::from(to.0));
            match self.ask.cas(StoreOp::Hold, &self.say.place_hold, values).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    /// The id goes last, so that a release that was cut short can be finished.
    pub(super) async fn release(&self, id: &HoldId) -> Result<(), StoreError> {
        let Some(hold) = self.read_hold(id).await? else { return Ok(()) };
        let token = hold.token;
        let values = (token.0.as_slice(), id.0.as_slice());
        self.until(Goal::Unlisted(token, id), &self.say.drop_policy_hold, values).await?;
        let policy = self.policy_serial(token).await?;
        for row in self.list_hours(token, hold.from, hold.to).await? {
            self.hold_gate(token, row.hour, policy.hold_over(row.hour), Some(id)).await?;
        }
        self.until(Goal::Forgotten(id), &self.say.drop_hold, (id.0.as_slice(),)).await
    }

    pub(super) async fn read_hold(&self, id: &HoldId) -> Result<Option<Hold>, StoreError> {
        let row = self.ask.row(StoreOp::SerialRead, &self.say.hold_serial, (id.0.as_slice(),)).await?;
        row.map(|row| hold(&row)).transpose()
    }

    pub(super) async fn list_holds(&self) -> Result<Vec<Hold>, StoreError> {
        let rows = self.ask.rows(StoreOp::List, &self.say.holds, ()).await?;
        let mut holds: Vec<Hold> = rows.iter().map(hold).collect::<Result<_, _>>()?;
        holds.sort_by(|one, other| one.id.0.cmp(&other.id.0));
        Ok(holds)
    }

    /// Puts `to` on a gate whose hold is `from`; a gate with another hold stays as it is.
    async fn hold_gate(
        &self,
        token: Token,
        hour: Hour,
        to: Option<&HoldId>,
        from: Option<&HoldId>,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            let Some(row) = seen.gate.filter(|row| row.gate.hold.as_ref() == from) else {
                attempts.settle(Settled::Won);
                return Ok(());
            };
            attempts.settle(Settled::None);
            match self.write_hold(token, hour, &row, to).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    async fn write_hold(
        &self,
        token: Token,
        hour: Hour,
        row: &GateRow,
        to: Option<&HoldId>,
    ) -> Result<Cas, StoreError> {
        let gate = &row.gate;
        let state = if gate.fenced { FENCED } else { OPEN };
        let bytes = |hold: Option<&HoldId>| hold.map(|hold| hold.0.clone());
        let command = gate.command.map(|digest| digest.0.to_vec());
        let (place, due) = ((token.0.as_slice(), day(hour), i64::from(hour.0)), i64::from(gate.due.0));
        let values = (
            state,
            due,
            row.kek_text(),
            command,
            bytes(to),
            place.0,
            place.1,
            place.2,
            state,
            bytes(gate.hold.as_ref()),
        );
        self.ask.cas(StoreOp::Hold, &self.say.gate_hold, values).await
    }

    /// Takes the TTLs from what there is of an hour whose gate says `kept`: what is minted later has none.
    async fn keep_hour(&self, token: Token, hour: Hour) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let seen = self.read_hour_serial(token, hour).await?;
            let Some(fading) = fading(&seen) else {
                attempts.settle(Settled::Won);
                return self.keep_listed(token, hour, &seen).await;
            };
            attempts.settle(Settled::None);
            let key = &fading.key;
            let wrapped = key.wrapped.as_ref().map(|bytes| bytes.to_vec());
            let values = (
                key.key_id.0.as_slice(),
                key.commitment.as_slice(),
                key.kek.as_str(),
                wrapped,
                key.minted_at.0,
                token.0.as_slice(),
                day(hour),
                i64::from(hour.0),
                i32::from(key.generation.0),
                key.key_id.0.as_slice(),
            );
            let cas = self.ask.cas(StoreOp::Hold, &self.say.keep, values).await?;
            if !matches!(cas, Cas::Applied) {
                attempts.again(&cas).await?;
            }
        }
    }

    /// The hour must be found by the sweep after the release, however late that is.
    async fn keep_listed(&self, token: Token, hour: Hour, seen: &HourRows) -> Result<(), StoreError> {
        let Some(GateRow { gate, .. }) = &seen.gate else { return Ok(()) };
        let bytes = token.0.as_slice();
        self.ask.write(StoreOp::Upsert, &self.say.list_day, (bytes, day(hour), 0)).await?;
        if gate.fenced {
            return Ok(());
        }
        let due = (due_day(gate.due), shard(token), i64::from(gate.due.0), bytes, i64::from(hour.0), 0);
        self.ask.write(StoreOp::Upsert, &self.say.list_due, due).await
    }

    pub(super) async fn policy_serial(&self, token: Token) -> Result<Policy, StoreError> {
        let rows = self.ask.rows(StoreOp::SerialRead, &self.say.policy_serial, (token.0.as_slice(),)).await?;
        Policy::parse(token, &rows)
    }

    /// Writes on condition until the goal is reached, which it may be from the beginning.
    async fn until(
        &self,
        goal: Goal<'_>,
        statement: &PreparedStatement,
        values: impl SerializeRow + Copy,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        while !self.is_reached(&goal).await? {
            attempts.settle(Settled::None);
            match self.ask.cas(StoreOp::Hold, statement, values).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
        attempts.settle(Settled::Won);
        Ok(())
    }

    async fn is_reached(&self, goal: &Goal<'_>) -> Result<bool, StoreError> {
        Ok(match goal {
            Goal::Listed(hold) => self.policy_serial(hold.token).await?.holds.contains(hold),
            Goal::Unlisted(token, id) => {
                !self.policy_serial(*token).await?.holds.iter().any(|it| it.id == **id)
            }
            Goal::Forgotten(id) => self.read_hold(id).await?.is_none(),
        })
    }
}

/// What one step of placing or releasing is to come to.
enum Goal<'a> {
    /// The customer's policy lists the hold.
    Listed(&'a Hold),
    Unlisted(Token, &'a HoldId),
    /// The id means no hold.
    Forgotten(&'a HoldId),
}

fn fading(seen: &HourRows) -> Option<&StoredKey> {
    seen.keys.iter().find(|stored| stored.key.state == KeyState::Live && stored.fades)
}

fn hold(row: &Cells) -> Result<Hold, StoreError> {
    Ok(Hold {
        id: HoldId(row.blob("id")?.ok_or_else(|| malformed("hold"))?.to_vec()),
        token: Token(row.bytes("token")?.ok_or_else(|| malformed("hold"))?),
        from: Hour(row.need("from_hour")?),
        to: Hour(row.need("to_hour")?),
    })
}
