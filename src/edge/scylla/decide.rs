//! Decisions: holds, policies, verdicts, the receipts' position, the states of a KEK.

use async_trait::async_trait;
use scylla::SerializeRow;
use scylla::serialize::value::SerializeValue;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::fault::malformed;
use super::metrics::{Settled, StoreOp};
use super::prepare::statements;
use super::read::POSITION;
use crate::keys::{
    DecisionStore, Hold, HoldId, KekRow, KekState, Placed, ReadStore as _, StoreError, Stored,
};
use crate::model::{Digest, Hour, KekId, Retention, Token};

fn policy(of: &str) -> String {
    format!(r#"UPDATE policy SET {of} = :new WHERE "token" = :"token" IF {of} = :old"#)
}

statements! {
    set_retention: cas(policy("retention")),
    set_floor: cas(policy("floor")),
    close: cas(r#"UPDATE policy SET status = 1 WHERE "token" = :"token" IF status = null"#),
    verdict_serial: serial("SELECT body FROM verdict WHERE digest = :digest"),
    store_verdict: cas("INSERT INTO verdict (digest, body) VALUES (:digest, :body) IF NOT EXISTS"),
    command_serial: serial("SELECT digest FROM command WHERE id = :id"),
    store_command: cas("INSERT INTO command (id, digest) VALUES (:id, :digest) IF NOT EXISTS"),
    position_serial: serial(POSITION),
    first_position: cas(r#"INSERT INTO receipt_mark (part, "offset") VALUES ('store', :new) IF NOT EXISTS"#),
    move_position: cas(r#"UPDATE receipt_mark SET "offset" = :new WHERE part = 'store' IF "offset" = :old"#),
    advance_kek: cas("UPDATE kek SET state = :new WHERE id = :id IF state = :old"),
}

/// A value of a customer's policy. Null is a value, also in the condition.
#[derive(SerializeRow)]
struct NewPolicy<T: SerializeValue> {
    token: [u8; 16],
    old: Option<T>,
    new: Option<T>,
}

#[derive(SerializeRow)]
struct Verdict<'a> {
    digest: [u8; 32],
    body: &'a [u8],
}

#[derive(SerializeRow)]
struct Command<'a> {
    id: &'a str,
    digest: [u8; 32],
}

#[derive(SerializeRow)]
struct Moved {
    old: i64,
    new: i64,
}

#[derive(SerializeRow)]
struct NewKekState<'a> {
    id: &'a str,
    old: i8,
    new: i8,
}

#[async_trait]
impl DecisionStore for ScyllaStore {
    /// The hold is in force when this returns. It also finishes an earlier attempt that was interrupted.
    async fn place_hold(&self, hold: &Hold) -> Result<Placed, StoreError> {
        if !self.claim_hold(hold).await? {
            return Ok(Placed::IdReuse);
        }
        self.put_hold(hold).await?;
        Ok(Placed::InForce)
    }

    async fn release_hold(&self, id: &HoldId) -> Result<(), StoreError> {
        match self.hold(id).await? {
            Some(hold) => self.take_hold(&hold).await,
            None => Ok(()),
        }
    }

    async fn set_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        let hours = |retention: Option<Retention>| retention.map(|retention| i32::from(retention.as_hours()));
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.read_policy_serial(token).await?.retention;
            if now == to || now != seen {
                attempts.settle(Settled::Won);
                return Ok(now == to);
            }
            attempts.settle(Settled::None);
            let values = NewPolicy { token: token.0, old: hours(seen), new: hours(to) };
            match self.ask.cas(StoreOp::Policy, &self.statements.decide.set_retention, values).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    async fn raise_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.read_policy_serial(token).await?.floor;
            if now >= Some(floor) {
                attempts.settle(Settled::Won);
                return Ok(());
            }
            attempts.settle(Settled::None);
            let hour = |hour: Hour| i64::from(hour.0);
            let values = NewPolicy { token: token.0, old: now.map(hour), new: Some(hour(floor)) };
            match self.ask.cas(StoreOp::Policy, &self.statements.decide.set_floor, values).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    async fn close_customer(&self, token: Token) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        while !self.read_policy_serial(token).await?.closed {
            attempts.settle(Settled::None);
            match self.ask.cas(StoreOp::Policy, &self.statements.decide.close, (token.0,)).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
        attempts.settle(Settled::Won);
        Ok(())
    }

    /// Claims the id first, so that two commands with the same id cannot both have a verdict.
    async fn store_verdict(&self, digest: Digest, id: &str, body: &[u8]) -> Result<Stored, StoreError> {
        if let Some(before) = self.verdict(digest).await? {
            return Ok(Stored::Before(before));
        }
        if !self.claim_command(digest, id).await? {
            return Ok(Stored::IdReuse);
        }
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let values = Verdict { digest: digest.0, body };
            match self.ask.cas(StoreOp::Verdict, &self.statements.decide.store_verdict, values).await? {
                Cas::Applied => return Ok(Stored::New),
                cas => attempts.again(&cas).await?,
            }
            match self.verdict(digest).await? {
                Some(there) if there == body => {
                    attempts.settle(Settled::Won);
                    return Ok(Stored::New);
                }
                Some(there) => {
                    attempts.settle(Settled::Adopted);
                    return Ok(Stored::Before(there));
                }
                None => attempts.settle(Settled::None),
            }
        }
    }

    async fn verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = &self.statements.decide.verdict_serial;
        let row = self.ask.row(StoreOp::SerialRead, statement, (digest.0,)).await?;
        row.map(|row| Ok(row.blob("body")?.ok_or_else(|| malformed("verdict"))?.to_vec())).transpose()
    }

    /// Called once for each proof, so another process may have moved the position in between.
    async fn applied_receipt(&self, offset: i64) -> Result<(), StoreError> {
        let statements = &self.statements.decide;
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.read_position(&statements.position_serial).await?;
            if now >= Some(offset) {
                attempts.settle(Settled::Won);
                return Ok(());
            }
            attempts.settle(Settled::None);
            let cas = match now {
                None => self.ask.cas(StoreOp::Mark, &statements.first_position, (offset,)).await?,
                Some(old) => {
                    let moved = Moved { old, new: offset };
                    self.ask.cas(StoreOp::Mark, &statements.move_position, moved).await?
                }
            };
            if matches!(cas, Cas::Applied) {
                return Ok(());
            }
            attempts.again(&cas).await?;
        }
    }

    async fn advance_kek(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let Some(row) = self.read_kek(id, &self.statements.slots.kek_serial).await? else {
                return Ok(None);
            };
            if row.state >= to {
                attempts.settle(Settled::Won);
                return Ok(Some(row));
            }
            attempts.settle(Settled::None);
            let values = NewKekState { id: id.as_str(), old: row.state.number(), new: to.number() };
            match self.ask.cas(StoreOp::Kek, &self.statements.decide.advance_kek, values).await? {
                Cas::Applied => {}
                cas => attempts.again(&cas).await?,
            }
        }
    }
}

impl ScyllaStore {
    /// Returns false when another command has the id.
    async fn claim_command(&self, digest: Digest, id: &str) -> Result<bool, StoreError> {
        let statements = &self.statements.decide;
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(row) = self.ask.row(StoreOp::SerialRead, &statements.command_serial, (id,)).await? {
                attempts.settle(Settled::Won);
                return Ok(row.blob("digest")? == Some(digest.0.as_slice()));
            }
            attempts.settle(Settled::None);
            let values = Command { id, digest: digest.0 };
            match self.ask.cas(StoreOp::Verdict, &statements.store_command, values).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }
}
