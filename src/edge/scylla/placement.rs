//! Placements of output topics. One conditional statement on one row decides about each, so workers that
//! start at the same time get the same number.

use scylla::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::fault::malformed;
use super::metrics::{Settled, StoreOp};
use super::prepare::statements;
use crate::keys::StoreError;

const PLACEMENT: &str = "SELECT partitions FROM placement WHERE topic = :topic";

statements! {
    placement: plain(PLACEMENT),
    placement_serial: serial(PLACEMENT),
    first: cas("INSERT INTO placement (topic, partitions) VALUES (:topic, :new) IF NOT EXISTS"),
    change: cas("UPDATE placement SET partitions = :new WHERE topic = :topic IF partitions = :old"),
}

#[derive(SerializeRow)]
struct First<'a> {
    topic: &'a str,
    new: i32,
}

#[derive(SerializeRow)]
struct Changed<'a> {
    topic: &'a str,
    old: i32,
    new: i32,
}

impl ScyllaStore {
    pub(super) async fn read_placement(&self, topic: &str) -> Result<Option<i32>, StoreError> {
        self.placement_by(&self.statements.placement.placement, topic).await
    }

    async fn placement_by(
        &self,
        statement: &PreparedStatement,
        topic: &str,
    ) -> Result<Option<i32>, StoreError> {
        let Some(row) = self.ask.row(StoreOp::Placement, statement, (topic,)).await? else { return Ok(None) };
        let partitions = row.number("partitions")?.and_then(|number| i32::try_from(number).ok());
        partitions.filter(|partitions| *partitions >= 1).map(Some).ok_or_else(|| malformed("placement"))
    }

    pub(super) async fn write_placement(
        &self,
        topic: &str,
        seen: Option<i32>,
        to: i32,
    ) -> Result<i32, StoreError> {
        let statements = &self.statements.placement;
        let mut attempts = Attempts::new(&self.ask);
        loop {
            let now = self.placement_by(&statements.placement_serial, topic).await?;
            if let Some(now) = now.filter(|now| *now == to || seen != Some(*now)) {
                attempts.settle(if now == to { Settled::Won } else { Settled::Adopted });
                return Ok(now);
            }
            attempts.settle(Settled::None);
            let cas = match now {
                Some(old) => {
                    let values = Changed { topic, old, new: to };
                    self.ask.cas(StoreOp::Placement, &statements.change, values).await?
                }
                None => {
                    let values = First { topic, new: to };
                    self.ask.cas(StoreOp::Placement, &statements.first, values).await?
                }
            };
            match cas {
                Cas::Applied => return Ok(to),
                cas => attempts.again(&cas).await?,
            }
        }
    }
}
