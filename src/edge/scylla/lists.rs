//! The lists that lead to every key: a customer's days, and the hours by due. A row is written before the
//! key that it lists, so that no key is ever unlisted. Readers skip a row that lists nothing any more.

use std::collections::HashMap;

use scylla::SerializeRow;

use super::ScyllaStore;
use super::lifetime::Ttl;
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{day, due_day, shard};
use crate::keys::StoreError;
use crate::model::{CustomerId, Due, Hour, Token};

/// Most rows of the due list that one batch deletes, all of one partition.
const UNLISTED_AT_ONCE: usize = 100;

const DAY: &str = r#"INSERT INTO customer ("token", day) VALUES (:"token", :day) USING TTL :marker"#;
const NAME: &str = r#"INSERT INTO customer ("token", name) VALUES (:"token", :name)"#;

statements! {
    customer: plain(format!("BEGIN UNLOGGED BATCH {NAME}; {DAY}; APPLY BATCH")),
    day: plain(DAY),
    due: plain(
        r#"INSERT INTO due (due_day, shard, due, "token", hour)
           VALUES (:due_day, :shard, :due, :"token", :hour) USING TTL :marker"#
    ),
    unlist_due: plain(
        r#"DELETE FROM due
           WHERE due_day = :due_day AND shard = :shard
             AND due = :due AND "token" = :"token" AND hour = :hour"#
    ),
}

#[derive(SerializeRow)]
struct ListedDay {
    token: [u8; 16],
    day: i32,
    marker: Ttl,
}

#[derive(SerializeRow)]
struct ListedCustomer<'a> {
    #[scylla(flatten)]
    day: ListedDay,
    name: &'a [u8],
}

/// A row of `due`.
#[derive(SerializeRow)]
struct DueRow {
    due_day: i32,
    shard: i8,
    due: i64,
    token: [u8; 16],
    hour: i64,
}

impl DueRow {
    fn of(token: Token, hour: Hour, due: Due) -> Self {
        let (due_day, shard) = (due_day(due), shard(token));
        Self { due_day, shard, due: due.0.into(), token: token.0, hour: hour.0.into() }
    }
}

#[derive(SerializeRow)]
struct ListedDue {
    #[scylla(flatten)]
    row: DueRow,
    marker: Ttl,
}

impl ScyllaStore {
    /// Lists the customer's name and the day of an hour.
    pub(super) async fn list_customer(
        &self,
        token: Token,
        name: &CustomerId,
        hour: Hour,
        marker: Ttl,
    ) -> Result<(), StoreError> {
        let day = ListedDay { token: token.0, day: day(hour), marker };
        let customer = ListedCustomer { day, name: name.as_bytes() };
        self.ask.write(StoreOp::Upsert, &self.statements.lists.customer, customer).await?;
        self.names.put(token, name);
        Ok(())
    }

    /// Lists the day of an hour.
    pub(super) async fn list_day(&self, token: Token, hour: Hour, marker: Ttl) -> Result<(), StoreError> {
        let day = ListedDay { token: token.0, day: day(hour), marker };
        self.ask.write(StoreOp::Upsert, &self.statements.lists.day, day).await
    }

    pub(super) async fn list_due(
        &self,
        token: Token,
        hour: Hour,
        due: Due,
        marker: Ttl,
    ) -> Result<(), StoreError> {
        let due = ListedDue { row: DueRow::of(token, hour, due), marker };
        self.ask.write(StoreOp::Upsert, &self.statements.lists.due, due).await
    }

    pub(super) async fn unlist_due(&self, token: Token, hour: Hour, due: Due) -> Result<(), StoreError> {
        let row = DueRow::of(token, hour, due);
        self.ask.write(StoreOp::Upsert, &self.statements.lists.unlist_due, row).await
    }

    /// Usually takes one write for each partition of the list.
    pub(super) async fn unlist_all(
        &self,
        hours: impl Iterator<Item = (Token, Hour, Due)>,
    ) -> Result<(), StoreError> {
        let mut listed: HashMap<(i32, i8), Vec<DueRow>> = HashMap::new();
        for (token, hour, due) in hours {
            let row = DueRow::of(token, hour, due);
            listed.entry((row.due_day, row.shard)).or_default().push(row);
        }
        for rows in listed.values().flat_map(|all| all.chunks(UNLISTED_AT_ONCE)) {
            self.ask.write_all(StoreOp::Upsert, &self.statements.lists.unlist_due, rows).await?;
        }
        Ok(())
    }
}
