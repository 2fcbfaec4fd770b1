//! What was decided and agreed on: KEKs, policies, verdicts, the receipts' mark, started partitions; the clock and the probe.

use scylla::statement::prepared::PreparedStatement;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::fault::malformed;
use super::rows;
use crate::keys::{KekRow, KekState, StoreError, Stored};
use crate::model::{Digest, Hour, KekId, Millis, Retention, Token};
use crate::telemetry::{Settled, StoreOp};

impl ScyllaStore {
    /// Of whichever node answers.
    pub(super) async fn server_now(&self) -> Result<Millis, StoreError> {
        let row = self.ask.row(StoreOp::Read, &self.say.now, ()).await?;
        let now: i64 = row.ok_or_else(|| malformed("clock"))?.need("now")?;
        #[cfg(feature = "testkit")]
        let now = now + crate::testkit::store_clock_offset_ms();
        Ok(Millis(now))
    }

    pub(super) async fn write_probe(&self) -> Result<(), StoreError> {
        self.publish_connections();
        match self.ask.cas(StoreOp::Probe, &self.say.probe, (self.probe.as_str(),)).await? {
            Cas::Applied | Cas::Refused(_) => Ok(()),
            Cas::Unknown => {
                Err(StoreError::Unavailable("a majority of the replicas does not take a write".to_owned()))
            }
        }
    }

    pub(super) async fn read_kek(
        &self,
        id: &KekId,
        statement: &PreparedStatement,
    ) -> Result<Option<KekRow>, StoreError> {
        let row = self.ask.row(StoreOp::Kek, statement, (id.as_str(),)).await?;
        row.as_ref().map(rows::kek).transpose()
    }

    pub(super) async fn register(&self, id: &KekId, check: [u8; 16]) -> Result<KekRow, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(row) = self.read_kek(id, &self.say.kek_serial).await? {
                attempts.settle(if row.check == check { Settled::Won } else { Settled::Adopted });
                return Ok(row);
            }
            attempts.settle(Settled::None);
            let values = (id.as_str(), check.as_slice());
            match self.ask.cas(StoreOp::Kek, &self.say.register_kek, values).await? {
                Cas::Applied => {}
                cas => attempts.again(&cas).await?,
            }
        }
    }

    pub(super) async fn advance(&self, id: &KekId, to: KekState) -> Result<Option<KekRow>, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let Some(row) = self.read_kek(id, &self.say.kek_serial).await? else { return Ok(None) };
            if row.state >= to {
                attempts.settle(Settled::Won);
                return Ok(Some(row));
            }
            attempts.settle(Settled::None);
            let values = (rows::kek_state(to), id.as_str(), rows::kek_state(row.state));
            match self.ask.cas(StoreOp::Kek, &self.say.advance_kek, values).await? {
                Cas::Applied => {}
                cas => attempts.again(&cas).await?,
            }
        }
    }

    pub(super) async fn write_retention(
        &self,
        token: Token,
        seen: Option<Retention>,
        to: Option<Retention>,
    ) -> Result<bool, StoreError> {
        let hours = |retention: Option<Retention>| retention.map(|retention| i32::from(retention.as_hours()));
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.policy_serial(token).await?.retention;
            if now == to || now != seen {
                attempts.settle(Settled::Won);
                return Ok(now == to);
            }
            attempts.settle(Settled::None);
            let values = (hours(to), token.0.as_slice(), hours(seen));
            match self.ask.cas(StoreOp::Policy, &self.say.set_retention, values).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    pub(super) async fn write_floor(&self, token: Token, floor: Hour) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.policy_serial(token).await?.floor;
            if now >= Some(floor) {
                attempts.settle(Settled::Won);
                return Ok(());
            }
            attempts.settle(Settled::None);
            let values = (i64::from(floor.0), token.0.as_slice(), now.map(|hour| i64::from(hour.0)));
            match self.ask.cas(StoreOp::Policy, &self.say.set_floor, values).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    pub(super) async fn write_closed(&self, token: Token) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        while !self.policy_serial(token).await?.closed {
            attempts.settle(Settled::None);
            match self.ask.cas(StoreOp::Policy, &self.say.close, (token.0.as_slice(),)).await? {
                Cas::Applied => return Ok(()),
                cas => attempts.again(&cas).await?,
            }
        }
        attempts.settle(Settled::Won);
        Ok(())
    }

    /// The id is claimed first, so that two commands with one id cannot both have a verdict.
    pub(super) async fn write_verdict(
        &self,
        digest: Digest,
        id: &str,
        body: &[u8],
    ) -> Result<Stored, StoreError> {
        if let Some(before) = self.read_verdict(digest).await? {
            return Ok(Stored::Before(before));
        }
        if !self.claim_command(digest, id).await? {
            return Ok(Stored::IdReuse);
        }
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let values = (digest.0.as_slice(), body);
            match self.ask.cas(StoreOp::Verdict, &self.say.store_verdict, values).await? {
                Cas::Applied => return Ok(Stored::New),
                cas => attempts.again(&cas).await?,
            }
            match self.read_verdict(digest).await? {
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

    /// False when another command has the id.
    async fn claim_command(&self, digest: Digest, id: &str) -> Result<bool, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            if let Some(row) = self.ask.row(StoreOp::SerialRead, &self.say.command_serial, (id,)).await? {
                attempts.settle(Settled::Won);
                return Ok(row.blob("digest")? == Some(digest.0.as_slice()));
            }
            attempts.settle(Settled::None);
            let values = (id, digest.0.as_slice());
            match self.ask.cas(StoreOp::Verdict, &self.say.store_command, values).await? {
                Cas::Applied => return Ok(true),
                cas => attempts.again(&cas).await?,
            }
        }
    }

    pub(super) async fn read_verdict(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let values = (digest.0.as_slice(),);
        let row = self.ask.row(StoreOp::SerialRead, &self.say.verdict_serial, values).await?;
        row.map(|row| Ok(row.blob("body")?.ok_or_else(|| malformed("verdict"))?.to_vec())).transpose()
    }

    /// Never back. It is asked about once a proof, so the mark of another process is met now and then.
    pub(super) async fn move_mark(&self, offset: i64) -> Result<(), StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.read_mark(&self.say.mark_serial).await?;
            if now >= Some(offset) {
                attempts.settle(Settled::Won);
                return Ok(());
            }
            attempts.settle(Settled::None);
            let cas = match now {
                None => self.ask.cas(StoreOp::Mark, &self.say.first_mark, (offset,)).await?,
                Some(now) => self.ask.cas(StoreOp::Mark, &self.say.move_mark, (offset, now)).await?,
            };
            if matches!(cas, Cas::Applied) {
                return Ok(());
            }
            attempts.again(&cas).await?;
        }
    }

    pub(super) async fn read_mark(&self, statement: &PreparedStatement) -> Result<Option<i64>, StoreError> {
        match self.ask.row(StoreOp::Read, statement, ()).await? {
            Some(row) => row.number("offset"),
            None => Ok(None),
        }
    }

    pub(super) async fn read_started(&self, input: &str) -> Result<Vec<i32>, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.say.started, (input,)).await?;
        rows.iter().map(|row| row.need("partition")).collect()
    }

    pub(super) async fn write_started(&self, input: &str, partitions: &[i32]) -> Result<(), StoreError> {
        for partition in partitions {
            self.ask.write(StoreOp::Upsert, &self.say.mark_started, (input, *partition)).await?;
        }
        Ok(())
    }
}
