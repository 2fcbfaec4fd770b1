//! Wraps an hour's keys again, under another KEK. The keys themselves do not change.

use std::time::Duration;

use crate::envelope::{NONCE_LEN, random, unwrap, wrap};
use crate::model::{CustomerId, Digest, Due, Hour, KekId, Millis, Retention, Token};

use super::{HourRow, Keks, KeyRow, KeyState, KeysError, ReadStore, Rewrap, Rewrapped, SealStore, Store};

/// Maximum number of attempts on an hour while other processes mint, hold or fence it.
const ROUNDS: u32 = 8;
/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// The intended terms of an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    pub due: Due,
    pub kek: KekId,
    /// The command that gives them.
    pub command: Option<Digest>,
}

impl Terms {
    /// Whether the hour and all of its live keys have these terms.
    pub fn are_of(&self, row: &HourRow) -> bool {
        let of_gate = (row.gate.due, row.gate.kek.as_ref());
        of_gate == (self.due, Some(&self.kek)) && others(row, &self.kek).next().is_none()
    }
}

/// A condition: the customer still has this retention, so no other process has changed it. `None` = none.
pub type While = Option<(Token, Retention)>;

/// Ensures that an hour has the terms that `terms` returns for its current row, and that their KEK wraps
/// every live key of it. If `terms` returns `None`, the hour keeps its terms.
///
/// The call may be repeated from the beginning. Keys that it has not finished open as before: each key's row
/// names its KEK. A process that was paused in the meantime and continues late changes nothing: it checks
/// the condition after it has read the hour, and the store changes the hour only if it is still as read.
///
/// # Errors
/// See [`KeysError`]. Some keys may be wrapped again already.
pub async fn rewrap(
    store: &dyn Store,
    keks: &Keks,
    (token, hour): (Token, Hour),
    terms: impl Fn(&HourRow) -> Option<Terms> + Send + Sync,
    only: While,
    now: Millis,
) -> Result<(), KeysError> {
    let Some(mut row) = store.hours(token, hour, hour).await?.pop() else { return Ok(()) };
    for round in 0..ROUNDS {
        let Some(terms) = terms(&row).filter(|terms| !terms.are_of(&row)) else { return Ok(()) };
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if !holds(store, only).await? {
            return Ok(());
        }
        let kek = row.gate.kek.clone().ok_or(KeysError::Contradiction("a key without a KEK"))?;
        let seen = (row.gate.due, kek, row.gate.command);
        let keys = wrapped_anew(store, keks, &row, &terms.kek).await?;
        let Terms { due, kek, command } = terms;
        let rewrap = Rewrap { token, hour, seen, due, kek, command, keys };
        failpoint!("rewrap");
        match store.rewrap(&rewrap, now).await? {
            Some(after) => row = after,
            None => return Ok(()),
        }
    }
    if terms(&row).is_none_or(|terms| terms.are_of(&row)) {
        Ok(())
    } else {
        Err(KeysError::Contended(ROUNDS))
    }
}

async fn holds(store: &dyn ReadStore, only: While) -> Result<bool, KeysError> {
    let Some((token, retention)) = only else { return Ok(true) };
    let customer = store.customer(token).await?;
    Ok(customer.and_then(|customer| customer.retention) == Some(retention))
}

/// Live keys that another KEK wraps.
fn others<'a>(row: &'a HourRow, kek: &'a KekId) -> impl Iterator<Item = &'a KeyRow> {
    row.keys.iter().filter(move |key| key.state == KeyState::Live && key.kek != *kek)
}

async fn wrapped_anew(
    store: &dyn SealStore,
    keks: &Keks,
    row: &HourRow,
    kek_id: &KekId,
) -> Result<Vec<Rewrapped>, KeysError> {
    // This is also needed for an hour without keys: it ensures that the gate's KEK exists.
    let kek = keks.sealing(store, kek_id).await?;
    let mut keys = Vec::new();
    let mut customer: Option<CustomerId> = None;
    for key in others(row, kek_id) {
        let customer = match &customer {
            Some(customer) => customer,
            None => customer.insert(name(store, row.token).await?),
        };
        let old = keks.opening(&key.kek).await?;
        let wrapped = key.wrapped.as_ref().ok_or(KeysError::Contradiction("a live key without its bytes"))?;
        let dek = unwrap(wrapped, &old, &key.kek, customer, row.hour, key.generation, &key.commitment)
            .map_err(|_| KeysError::WrongKey(key.key_id))?;
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce);
        let wrapped = wrap(&dek, &kek, kek_id, customer, row.hour, key.generation, &key.commitment, nonce);
        keys.push(Rewrapped { seen: key.clone(), wrapped });
    }
    Ok(keys)
}

async fn name(store: &dyn ReadStore, token: Token) -> Result<CustomerId, KeysError> {
    let customer = store.customer(token).await?.and_then(|customer| customer.name);
    customer.ok_or(KeysError::Contradiction("a live key of a customer without a name"))
}
