//! Wrapping an hour's keys anew, under another KEK: what they open stays as it is.

use std::time::Duration;

use crate::envelope::{NONCE_LEN, random, unwrap, wrap};
use crate::model::{CustomerId, Due, Hour, KekId, Millis, Token};

use super::{HourRow, Keks, KeyRow, KeyState, KeyStore, KeysError, Rewrap, Rewrapped};

/// How often an hour is looked at while others mint, hold or fence it.
const ROUNDS: u32 = 8;
/// Before another look.
const PAUSE: Duration = Duration::from_millis(50);

/// What an hour is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    pub due: Due,
    pub kek: KekId,
}

/// Sees to it that an hour has these terms, and that every live key of it is wrapped by their KEK; answers the hour then, as
/// it was read back. `None` for an hour without a gate.
///
/// It may be done again from the beginning, and what it has not finished is opened as before: each key's row names its KEK.
///
/// # Errors
/// See [`KeysError`]; some keys may be wrapped anew.
pub async fn rewrap(
    store: &dyn KeyStore,
    keks: &Keks,
    (token, hour): (Token, Hour),
    terms: &Terms,
    now: Millis,
) -> Result<Option<HourRow>, KeysError> {
    let Some(mut row) = store.hours(token, hour, hour).await?.pop() else { return Ok(None) };
    for round in 0..ROUNDS {
        if has(&row, terms) {
            return Ok(Some(row));
        }
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let seen =
            (row.gate.due, row.gate.kek.clone().ok_or(KeysError::Contradiction("a key without a KEK"))?);
        let keys = wrapped_anew(store, keks, &row, &terms.kek).await?;
        let rewrap = Rewrap { token, hour, seen, due: terms.due, kek: terms.kek.clone(), keys };
        match store.rewrap(&rewrap, now).await? {
            Some(after) => row = after,
            None => return Ok(None),
        }
    }
    if has(&row, terms) { Ok(Some(row)) } else { Err(KeysError::Contended(ROUNDS)) }
}

fn has(row: &HourRow, terms: &Terms) -> bool {
    (row.gate.due, row.gate.kek.as_ref()) == (terms.due, Some(&terms.kek))
        && others(row, &terms.kek).next().is_none()
}

/// Live keys that another KEK wraps.
fn others<'a>(row: &'a HourRow, kek: &'a KekId) -> impl Iterator<Item = &'a KeyRow> {
    row.keys.iter().filter(move |key| key.state == KeyState::Live && key.kek != *kek)
}

async fn wrapped_anew(
    store: &dyn KeyStore,
    keks: &Keks,
    row: &HourRow,
    kek_id: &KekId,
) -> Result<Vec<Rewrapped>, KeysError> {
    // Also for an hour without keys: the gate's KEK is one that exists.
    let kek = keks.sealing(kek_id).await?;
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

async fn name(store: &dyn KeyStore, token: Token) -> Result<CustomerId, KeysError> {
    let customer = store.customer(token).await?.and_then(|customer| customer.name);
    customer.ok_or(KeysError::Contradiction("a live key of a customer without a name"))
}
