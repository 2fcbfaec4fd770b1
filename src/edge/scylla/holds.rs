//! Legal holds. A hold is put on the customer first, then on every gate; then every secret loses its TTL.

use scylla::SerializeRow;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::lifetime::KEPT;
use super::metrics::{Settled, StoreOp};
use super::prepare::statements;
use super::rows::{AT_HOUR, GateRow, HourRows, Place, StoredKey};
use crate::keys::{Hold, HoldId, KeyState, ReadStore as _, StoreError, WRAPPED_LEN};
use crate::model::{Hour, Token};

statements! {
    claim: cas(
        r#"INSERT INTO hold (id, "token", from_hour, to_hour)
           VALUES (:id, :"token", :from_hour, :to_hour) IF NOT EXISTS"#
    ),
    forget: cas("DELETE FROM hold WHERE id = :id IF EXISTS"),
    put_on_customer: cas(
        r#"INSERT INTO policy ("token", hold, from_hour, to_hour)
           VALUES (:"token", :id, :from_hour, :to_hour) IF NOT EXISTS"#
    ),
    take_from_customer: cas(r#"DELETE FROM policy WHERE "token" = :"token" AND hold = :id IF EXISTS"#),
    gate: cas(format!(
        "UPDATE key USING TTL 0
           SET state = :state, due = :due, kek = :kek, command = :command, hold = :new_hold, kept = true
           WHERE {AT_HOUR} AND generation = -1 IF state = :state AND hold = :old_hold"
    )),
    key: cas(format!(
        "UPDATE key USING TTL 0 SET state = 1, key_id = :key_id, commitment = :commitment, kek = :kek,
             wrapped = :wrapped, minted_at = :minted_at
           WHERE {AT_HOUR} AND generation = :generation IF state = 1 AND key_id = :key_id"
    )),
}

#[derive(SerializeRow)]
struct HoldOn<'a> {
    id: &'a [u8],
    token: [u8; 16],
}

#[derive(SerializeRow)]
struct HoldRow<'a> {
    #[scylla(flatten)]
    hold: HoldOn<'a>,
    from_hour: i64,
    to_hour: i64,
}

impl<'a> HoldRow<'a> {
    fn of(Hold { id, token, from, to }: &'a Hold) -> Self {
        let hold = HoldOn { id: &id.0, token: token.0 };
        Self { hold, from_hour: from.0.into(), to_hour: to.0.into() }
    }
}

/// The current values of a gate, with another hold. Null is a value here, also in the condition.
#[derive(SerializeRow)]
struct GateHold<'a> {
    #[scylla(flatten)]
    place: Place,
    state: i8,
    due: i64,
    kek: &'a str,
    command: Option<[u8; 32]>,
    old_hold: Option<&'a [u8]>,
    new_hold: Option<&'a [u8]>,
}

/// The current values of a live key.
#[derive(SerializeRow)]
struct KeptKey<'a> {
    #[scylla(flatten)]
    place: Place,
    generation: i32,
    key_id: [u8; 16],
    commitment: [u8; 32],
    kek: &'a str,
    wrapped: Option<[u8; WRAPPED_LEN]>,
    minted_at: i64,
}

/// The goal of one step of placing or releasing a hold.
#[derive(Clone, Copy)]
enum Goal<'a> {
    /// The customer's policy lists the hold.
    Listed(&'a Hold),
    Unlisted(&'a Hold),
    /// The id is free.
    Forgotten(&'a HoldId),
}

impl ScyllaStore {
    /// Returns false when the id belongs to another hold.
    pub(super) async fn claim_hold(&self, hold: &Hold) -> Result<bool, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(there) = self.hold(&hold.id).await? {
                attempts.settle(Settled::Won);
                return Ok(there == *hold);
            }
            attempts.settle(Settled::None);
            match self.ask.cas(StoreOp::Hold, &self.statements.holds.claim, HoldRow::of(hold)).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    /// Puts the hold on the customer, and on every existing hour that it covers.
    pub(super) async fn put_hold(&self, hold: &Hold) -> Result<(), StoreError> {
        let Hold { id, token, from, to } = hold;
        self.until(Goal::Listed(hold)).await?;
        for row in self.hours(*token, *from, *to).await? {
            self.hold_gate(*token, row.hour, Some(id), None).await?;
            self.keep_hour(*token, row.hour).await?;
        }
        Ok(())
    }

    /// Deletes the id last, so that an interrupted release can be finished.
    pub(super) async fn take_hold(&self, hold: &Hold) -> Result<(), StoreError> {
        let Hold { id, token, from, to } = hold;
        self.until(Goal::Unlisted(hold)).await?;
        let policy = self.read_policy_serial(*token).await?;
        for row in self.hours(*token, *from, *to).await? {
            self.hold_gate(*token, row.hour, policy.hold_over(row.hour), Some(id)).await?;
        }
        self.until(Goal::Forgotten(id)).await
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
        let values = GateHold {
            place: Place::of(token, hour),
            state: row.state(),
            due: gate.due.0.into(),
            kek: row.kek_text(),
            command: gate.command.map(|digest| digest.0),
            old_hold: gate.hold.as_ref().map(|hold| hold.0.as_slice()),
            new_hold: to.map(|hold| hold.0.as_slice()),
        };
        self.ask.cas(StoreOp::Hold, &self.statements.holds.gate, values).await
    }

    /// Removes the TTLs of an hour's live keys. Its gate has `kept`, so later mints get no TTL.
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
            let values = KeptKey {
                place: Place::of(token, hour),
                generation: key.generation.0.into(),
                key_id: key.key_id.0,
                commitment: key.commitment,
                kek: key.kek.as_str(),
                wrapped: key.wrapped,
                minted_at: key.minted_at.0,
            };
            let cas = self.ask.cas(StoreOp::Hold, &self.statements.holds.key, values).await?;
            if !matches!(cas, Cas::Applied) {
                attempts.again(&cas).await?;
            }
        }
    }

    /// Lists the hour without TTL: the sweep must find it after the release, however late that is.
    async fn keep_listed(&self, token: Token, hour: Hour, seen: &HourRows) -> Result<(), StoreError> {
        let Some(GateRow { gate, .. }) = &seen.gate else { return Ok(()) };
        self.list_day(token, hour, KEPT).await?;
        if gate.fenced { Ok(()) } else { self.list_due(token, hour, gate.due, KEPT).await }
    }

    /// Writes on condition until the goal is reached. Writes nothing if it already is.
    async fn until(&self, goal: Goal<'_>) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        while !self.is_reached(goal).await? {
            attempts.settle(Settled::None);
            match self.write_towards(goal).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
        attempts.settle(Settled::Won);
        Ok(())
    }

    async fn is_reached(&self, goal: Goal<'_>) -> Result<bool, StoreError> {
        Ok(match goal {
            Goal::Listed(hold) => self.read_policy_serial(hold.token).await?.holds.contains(hold),
            Goal::Unlisted(Hold { id, token, .. }) => {
                !self.read_policy_serial(*token).await?.holds.iter().any(|it| it.id == *id)
            }
            Goal::Forgotten(id) => self.hold(id).await?.is_none(),
        })
    }

    async fn write_towards(&self, goal: Goal<'_>) -> Result<Cas, StoreError> {
        let statements = &self.statements.holds;
        match goal {
            Goal::Listed(hold) => {
                self.ask.cas(StoreOp::Hold, &statements.put_on_customer, HoldRow::of(hold)).await
            }
            Goal::Unlisted(Hold { id, token, .. }) => {
                let hold = HoldOn { id: &id.0, token: token.0 };
                self.ask.cas(StoreOp::Hold, &statements.take_from_customer, hold).await
            }
            Goal::Forgotten(id) => self.ask.cas(StoreOp::Hold, &statements.forget, (id.0.as_slice(),)).await,
        }
    }
}

fn fading(seen: &HourRows) -> Option<&StoredKey> {
    seen.keys.iter().find(|stored| stored.key.state == KeyState::Live && stored.fades)
}
