//! A row by its columns' names. It is the same for the answer to a SELECT and for the reply to a conditional
//! statement; servers differ in the columns of these replies and in their order.

use std::sync::Arc;

use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};

use super::fault::malformed_row;
use crate::keys::StoreError;

/// One row. A column that is not in the answer reads as null.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    names: Arc<[String]>,
    values: Vec<Option<CqlValue>>,
}

impl Cells {
    #[cfg(test)]
    pub(super) fn of(cells: &[(&str, Option<CqlValue>)]) -> Self {
        Self {
            names: cells.iter().map(|cell| cell.0.to_owned()).collect(),
            values: cells.iter().map(|cell| cell.1.clone()).collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&CqlValue> {
        let at = self.names.iter().position(|column| column == name)?;
        self.values.get(at)?.as_ref()
    }

    /// Value of a tinyint, int, bigint or timestamp.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, StoreError> {
        self.get(name)
            .map(|value| match value {
                CqlValue::TinyInt(number) => Ok(i64::from(*number)),
                CqlValue::Int(number) => Ok(i64::from(*number)),
                CqlValue::BigInt(number) => Ok(*number),
                CqlValue::Timestamp(time) => Ok(time.0),
                _ => Err(malformed_row(name)),
            })
            .transpose()
    }

    /// As [`Cells::number`], but null, or a value outside the bounds of `T`, is an error.
    pub(super) fn need<T: TryFrom<i64>>(&self, name: &str) -> Result<T, StoreError> {
        let number = self.number(name)?.ok_or_else(|| malformed_row(name))?;
        T::try_from(number).map_err(|_| malformed_row(name))
    }

    /// An empty blob is `Some`; null is `None`.
    pub(super) fn blob(&self, name: &str) -> Result<Option<&[u8]>, StoreError> {
        self.get(name)
            .map(|value| match value {
                CqlValue::Blob(bytes) => Ok(bytes.as_slice()),
                CqlValue::Empty => Ok([].as_slice()),
                _ => Err(malformed_row(name)),
            })
            .transpose()
    }

    pub(super) fn bytes<const N: usize>(&self, name: &str) -> Result<Option<[u8; N]>, StoreError> {
        self.blob(name)?.map(|bytes| bytes.try_into().map_err(|_| malformed_row(name))).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, StoreError> {
        self.get(name)
            .map(|value| match value {
                CqlValue::Text(text) | CqlValue::Ascii(text) => Ok(text.as_str()),
                CqlValue::Empty => Ok(""),
                _ => Err(malformed_row(name)),
            })
            .transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, StoreError> {
        match self.get(name) {
            None => Ok(false),
            Some(CqlValue::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(malformed_row(name)),
        }
    }
}

/// The rows of an answer; empty if the answer is not of the kind that has rows.
pub(super) fn cells(answer: QueryResult) -> Result<Vec<Cells>, StoreError> {
    if !answer.is_rows() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::Unusable(format!("cannot decode an answer: {error}"));
    let answer = answer.into_rows_result().map_err(|error| unreadable(&error))?;
    let names: Arc<[String]> = answer.column_specs().iter().map(|column| column.name().to_owned()).collect();
    let rows = answer.rows::<Row>().map_err(|error| unreadable(&error))?;
    rows.map(|row| match row {
        Ok(row) => Ok(Cells { names: Arc::clone(&names), values: row.columns }),
        Err(error) => Err(unreadable(&error)),
    })
    .collect()
}
