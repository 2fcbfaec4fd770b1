//! Scans all keys.

use futures_util::StreamExt as _;

use super::ScyllaStore;
use super::fault::malformed;
use super::prepare::statements;
use super::rows::GATE;
use crate::keys::{KeyState, StoreError};
use crate::model::{Hour, Token};

statements! {
    states: plain(
        r#"SELECT "token", hour, generation, state, kek, writetime(wrapped) AS wrapped_at FROM key"#
    ),
}

impl ScyllaStore {
    /// Calls `each` with the hour, KEK and state of every key. It scans the whole table.
    pub(super) async fn each_key(
        &self,
        mut each: impl FnMut((Token, Hour), Option<&str>, KeyState) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        type State = (Vec<u8>, i64, i32, Option<i8>, Option<String>, Option<i64>);
        let pager = self.ask.session.execute_iter(self.statements.scan.states.clone(), ()).await;
        let unreadable =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the scan failed: {error}"));
        let pager = pager.map_err(|error| unreadable(&error))?;
        let mut rows = pager.rows_stream::<State>().map_err(|error| unreadable(&error))?;
        while let Some(row) = rows.next().await {
            let (token, hour, generation, state, kek, secret) = row.map_err(|error| unreadable(&error))?;
            let state = match (generation, state, secret) {
                (GATE, _, _) | (_, None, _) => continue,
                (_, Some(1), Some(_)) => KeyState::Live,
                (_, Some(2), _) => KeyState::Erased,
                (_, Some(_), _) => KeyState::ErasedByTtl,
            };
            let token = Token(token.try_into().map_err(|_| malformed("token"))?);
            let hour = Hour(u32::try_from(hour).map_err(|_| malformed("hour"))?);
            each((token, hour), kek.as_deref(), state)?;
        }
        Ok(())
    }
}
