//! Gives an hour new terms: changes its gate and its live keys in one transaction.

use rusqlite::Transaction;

use super::read::hours;
use super::rows::Reads;
use crate::keys::{Gate, HourRow, Rewrap, Rewrapped, StoreError};

pub(super) fn rewrap(tx: &Transaction<'_>, terms: &Rewrap) -> Result<Option<HourRow>, StoreError> {
    let Rewrap { token, hour, seen: (due, kek, command), .. } = terms;
    let gate = Reads::new(tx)?.gate(*token, *hour)?;
    let is_left = |gate: &Gate| !gate.fenced || gate.hold.is_some();
    if gate
        .filter(is_left)
        .is_some_and(|gate| (gate.due, gate.kek.as_ref(), gate.command) == (*due, Some(kek), *command))
    {
        tx.execute(
            "UPDATE gate SET due = ?3, kek = ?4, command = coalesce(?5, command) \
             WHERE token = ?1 AND hour = ?2",
            (token.0, hour.0, terms.due.0, terms.kek.as_str(), terms.command.map(|digest| digest.0)),
        )?;
        for Rewrapped { seen, wrapped } in &terms.keys {
            tx.execute(
                "UPDATE key SET kek = ?5, wrapped = ?6
                 WHERE token = ?1 AND hour = ?2 AND generation = ?3 AND state = 1 AND wrapped = ?4",
                (token.0, hour.0, seen.generation.0, seen.wrapped, terms.kek.as_str(), wrapped),
            )?;
        }
    }
    Ok(hours(tx, *token, *hour, *hour)?.pop())
}
