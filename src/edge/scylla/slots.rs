//! Reads the rows of one hour and of one customer. Every decision on a slot begins with them.

use scylla::statement::prepared::PreparedStatement;

use super::ScyllaStore;
use super::cells::Cells;
use super::metrics::StoreOp;
use super::prepare::statements;
use super::rows::{self, AT_HOUR, HourRows, KEY_COLUMNS, Place, Policy, customer_name};
use crate::keys::{Customer, KekRow, StoreError};
use crate::model::{CustomerId, Hour, KekId, Token};

const POLICY: &str = r#"SELECT hold, retention, floor, status, from_hour, to_hour FROM policy
                        WHERE "token" = :"token""#;
const KEK: &str = "SELECT id, check_value, state FROM kek WHERE id = :id";

fn hour() -> String {
    format!("SELECT {KEY_COLUMNS} FROM key WHERE {AT_HOUR}")
}

statements! {
    name: plain(r#"SELECT name FROM customer WHERE "token" = :"token" LIMIT 1"#),
    policy: plain(POLICY),
    policy_serial: serial(POLICY),
    hour: plain(hour()),
    hour_serial: serial(hour()),
    kek: plain(KEK),
    kek_serial: serial(KEK),
}

impl ScyllaStore {
    pub(super) async fn read_hour(&self, token: Token, hour: Hour) -> Result<HourRows, StoreError> {
        let place = Place::of(token, hour);
        HourRows::parse(&self.ask.rows(StoreOp::Read, &self.statements.slots.hour, place).await?)
    }

    /// Finishes pending transactions on the hour's partition, and then reads the hour.
    pub(super) async fn read_hour_serial(&self, token: Token, hour: Hour) -> Result<HourRows, StoreError> {
        let place = Place::of(token, hour);
        HourRows::parse(&self.ask.rows(StoreOp::SerialRead, &self.statements.slots.hour_serial, place).await?)
    }

    pub(super) async fn read_policy(&self, token: Token) -> Result<Policy, StoreError> {
        let rows = self.ask.rows(StoreOp::Read, &self.statements.slots.policy, (token.0,)).await?;
        Policy::parse(token, &rows)
    }

    pub(super) async fn read_policy_serial(&self, token: Token) -> Result<Policy, StoreError> {
        let rows =
            self.ask.rows(StoreOp::SerialRead, &self.statements.slots.policy_serial, (token.0,)).await?;
        Policy::parse(token, &rows)
    }

    pub(super) async fn read_name(&self, token: Token) -> Result<Option<CustomerId>, StoreError> {
        if let Some(name) = self.names.get(token) {
            return Ok(Some(name));
        }
        let row = self.ask.row(StoreOp::Read, &self.statements.slots.name, (token.0,)).await?;
        let name = row.as_ref().map(name).transpose()?.flatten();
        if let Some(name) = &name {
            self.names.put(token, name);
        }
        Ok(name)
    }

    pub(super) async fn read_kek(
        &self,
        id: &KekId,
        statement: &PreparedStatement,
    ) -> Result<Option<KekRow>, StoreError> {
        let row = self.ask.row(StoreOp::Kek, statement, (id.as_str(),)).await?;
        row.as_ref().map(rows::kek).transpose()
    }
}

pub(super) fn name(row: &Cells) -> Result<Option<CustomerId>, StoreError> {
    row.blob("name")?.map(customer_name).transpose()
}

/// A customer exists if it has a name, a retention or a floor, or is closed: receipts name only tokens, so a
/// policy may come without a name. A hold alone does not make a customer.
pub(super) fn known(name: Option<CustomerId>, policy: &Policy) -> Option<Customer> {
    let customer = policy.of(name);
    let says = customer.retention.is_some() || customer.floor.is_some() || customer.closed;
    (customer.name.is_some() || says).then_some(customer)
}
