//! Lists with many entries on a server.

use hourseal::model::*;
use scylla::statement::batch::{Batch, BatchType};

use super::Cql;
use crate::conformance::{Subject, won};
use crate::world::HOUR;

/// Cassandra's `tombstone_failure_threshold`.
const TOO_MANY: u128 = 100_000;

impl Cql {
    /// Deletes `hours` rows from the due list, with tokens spread over the whole range. Their
    /// tombstones remain.
    async fn take_out(&self, (day, shard): (i32, i8), due: Due, hours: u128) {
        let raw = self.raw().await;
        let delete = format!(
            "DELETE FROM {}.due WHERE due_day = {day} AND shard = {shard} AND due = {} \
             AND \"token\" = ? AND hour = 0",
            self.keyspace(),
            due.0
        );
        let delete = raw.prepare(delete).await.expect("valid CQL");
        let token = |number: u128| (number.wrapping_mul(u128::MAX / hours).to_be_bytes().to_vec(),);
        let tokens: Vec<_> = (0..hours).map(token).collect();
        for tokens in tokens.chunks(500) {
            let mut batch = Batch::new(BatchType::Unlogged);
            tokens.iter().for_each(|_| batch.append_statement(delete.clone()));
            raw.batch(&batch, tokens).await.expect("it is written");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_of_which_a_server_does_not_read_all_is_listed() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    let acme = won(&*store, "acme", HOUR, 0).await;
    let row = subject.cql("SELECT due_day, shard FROM {}.due").await.remove(0);
    let number = |cell: usize| row[cell].clone().expect("a value");
    let (day, shard) = (number(0).as_int().expect("a day"), number(1).as_tinyint().expect("a shard"));
    for due in [acme.due, Due(u32::try_from(day).expect("after 1970") * 24 + (acme.due.0 + 1) % 24)] {
        subject.take_out((day, shard), due, TOO_MANY * 12 / 10).await;
    }
    let all = format!(
        "SELECT hour FROM {}.due WHERE due_day = {day} AND shard = {shard} AND due = {}",
        subject.keyspace(),
        acme.due.0
    );
    let refused = subject.raw().await.query_unpaged(all, ()).await.expect_err("more than it reads past");
    assert!(format!("{refused:?}").contains("ReadFailure"), "{refused:?}");

    let due_hours = store.due_hours(Due(u32::MAX), None, 10).await.expect("it answers");
    let places: Vec<_> = due_hours.iter().map(|hour| (hour.token, hour.hour, hour.due)).collect();
    assert_eq!(places, [(acme.slot.token, HOUR, acme.due)]);
    let after = store.due_hours(Due(u32::MAX), Some(&due_hours[0]), 10).await.expect("it answers");
    assert_eq!(after, []);
}
