//! Sends reads, plain writes and conditional statements to the server, and classifies their outcomes.

use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;

use super::cells::{Cells, cells};
use super::fault::{Fate, fate};
use super::metrics::{Outcome, Settled, StoreMetrics, StoreOp};
use crate::envelope::random;
use crate::keys::StoreError;

/// A session that counts and times every statement.
pub(super) struct Ask {
    pub(super) session: Session,
    pub(super) metrics: StoreMetrics,
}

/// The outcome of a conditional statement.
pub(super) enum Cas {
    Applied,
    /// Its condition did not hold. Carries the rows that it met, as far as the server returns them.
    Refused(Vec<Cells>),
    /// It may have been applied, or may still be: only a SERIAL read can find out.
    Unknown,
}

impl Ask {
    pub(super) async fn rows(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<Cells>, StoreError> {
        cells(self.answer(op, statement, values).await?)
    }

    /// As [`Ask::rows`], but returns the driver's error, for a caller that handles some errors itself.
    pub(super) async fn answer(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, ExecutionError> {
        let begun = Instant::now();
        let answer = self.session.execute_unpaged(statement, values).await;
        self.metrics.took(op, if answer.is_ok() { Outcome::Ok } else { Outcome::Failed }, begun.elapsed());
        answer
    }

    pub(super) async fn row(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<Cells>, StoreError> {
        Ok(self.rows(op, statement, values).await?.into_iter().next())
    }

    /// An idempotent write without a condition.
    pub(super) async fn write(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        self.rows(op, statement, values).await.map(drop)
    }

    /// As [`Ask::write`], for many rows of one partition in one batch.
    pub(super) async fn write_all<V: SerializeRow>(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: &[V],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new(BatchType::Unlogged);
        values.iter().for_each(|_| batch.append_statement(statement.clone()));
        batch.set_is_idempotent(true);
        let begun = Instant::now();
        let answer = self.session.batch(&batch, values).await;
        self.metrics.took(op, if answer.is_ok() { Outcome::Ok } else { Outcome::Failed }, begun.elapsed());
        Ok(answer.map(drop)?)
    }

    /// # Errors
    /// Only if the statement was certainly not applied. Every other failure is [`Cas::Unknown`].
    pub(super) async fn cas(
        &self,
        op: StoreOp,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Cas, StoreError> {
        let begun = Instant::now();
        let answer = self.session.execute_unpaged(statement, values).await;
        let (outcome, cas) = match answer {
            Ok(answer) => (Outcome::Ok, applied(cells(answer)?)),
            Err(error) if fate(&error) == Fate::Unknown => (Outcome::Unknown, Ok(Cas::Unknown)),
            Err(error) => (Outcome::Failed, Err(error.into())),
        };
        self.metrics.took(op, outcome, begun.elapsed());
        if matches!(cas, Ok(Cas::Refused(_))) {
            self.metrics.contended();
        }
        cas
    }
}

/// Reads `[applied]` by its name. ScyllaDB returns one row for each condition, all with the same value.
fn applied(rows: Vec<Cells>) -> Result<Cas, StoreError> {
    match rows.first() {
        None => Err(StoreError::Unusable("a conditional statement returned no row".to_owned())),
        Some(row) if row.flag("[applied]")? => Ok(Cas::Applied),
        Some(_) => Ok(Cas::Refused(rows)),
    }
}

/// Counts the attempts of one decision: read, decide, write on condition, repeat.
pub(super) struct Attempts<'a> {
    metrics: &'a StoreMetrics,
    made: u32,
    until: Instant,
    unsettled: bool,
}

impl<'a> Attempts<'a> {
    const MOST: u32 = 40;
    const LONGEST: Duration = Duration::from_secs(20);

    pub(super) fn new(ask: &'a Ask) -> Self {
        Self { metrics: &ask.metrics, made: 0, until: Instant::now() + Self::LONGEST, unsettled: false }
    }

    /// Call it after a write that was not applied, or whose outcome is unknown. It waits for a random time,
    /// so that contenders spread out; after the first refusal it does not wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] after 40 attempts or 20 s. The caller must not assume any outcome. A retry
    /// is safe.
    pub(super) async fn again(&mut self, cas: &Cas) -> Result<(), StoreError> {
        self.unsettled |= matches!(cas, Cas::Unknown);
        self.made += 1;
        if self.made >= Self::MOST || Instant::now() >= self.until {
            return Err(StoreError::Unavailable(
                "no decision in time: its rows are contended, or outcomes stay unknown".to_owned(),
            ));
        }
        if self.made > 1 || self.unsettled {
            tokio::time::sleep(self.pause()).await;
        }
        Ok(())
    }

    /// Records the result of the read after an unknown outcome.
    pub(super) fn settle(&mut self, how: Settled) {
        if std::mem::take(&mut self.unsettled) {
            self.metrics.settled(how);
        }
    }

    /// A random pause that grows: up to 10 ms after the first attempt, up to 320 ms from the sixth on.
    fn pause(&self) -> Duration {
        let mut bytes = [0; 4];
        random(&mut bytes);
        let most_us = 5_000_u32 << self.made.min(6);
        Duration::from_micros(u64::from(u32::from_be_bytes(bytes) % most_us))
    }
}
