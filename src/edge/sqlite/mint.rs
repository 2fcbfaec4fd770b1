//! Minting: where fence, hold, floor and race are decided, in one transaction per batch.

use rusqlite::{Statement, Transaction};

use super::rows::{NAME_CUSTOMER, Reads};
use crate::keys::{Candidate, Found, Minted, SlotRef, StoreError};
use crate::model::Millis;

/// What is known of each slot, in the order asked.
pub(super) fn fetch(tx: &Transaction<'_>, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
    let mut reads = Reads::new(tx)?;
    slots
        .iter()
        .map(|slot| {
            Ok(Found {
                customer: reads.customer(slot.token)?,
                gate: reads.gate(slot.token, slot.hour)?,
                key: reads.key(slot)?,
            })
        })
        .collect()
}

/// Mints or adopts each candidate's slot, in the order given.
pub(super) fn mint(
    tx: &Transaction<'_>,
    candidates: &[Candidate],
    now: Millis,
) -> Result<Vec<Minted>, StoreError> {
    let mut desk = Desk::new(tx)?;
    candidates
        .iter()
        .map(|candidate| match desk.refusal(candidate)? {
            Some(refusal) => Ok(refusal),
            None => desk.insert(candidate, now),
        })
        .collect()
}

/// The statements of a batch.
struct Desk<'c> {
    reads: Reads<'c>,
    customer: Statement<'c>,
    gate: Statement<'c>,
    key: Statement<'c>,
}

impl<'c> Desk<'c> {
    fn new(tx: &'c Transaction<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            reads: Reads::new(tx)?,
            customer: tx.prepare(NAME_CUSTOMER)?,
            gate: tx.prepare("INSERT INTO gate (token, hour, due, kek, state, hold) VALUES (?1, ?2, ?3, ?4, 1, ?5)")?,
            key: tx.prepare(
                "INSERT INTO key (token, hour, generation, state, key_id, commitment, kek, wrapped, minted_at)
                 VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)",
            )?,
        })
    }

    /// Why the candidate does not become its slot's DEK, if there is a reason.
    fn refusal(&mut self, candidate: &Candidate) -> Result<Option<Minted>, StoreError> {
        let slot = &candidate.slot;
        if let Some(customer) = self.reads.customer(slot.token)? {
            if customer.closed {
                return Ok(Some(Minted::Closed));
            }
            if let Some(floor) = customer.floor.filter(|floor| slot.hour < *floor) {
                return Ok(Some(Minted::BelowFloor(floor)));
            }
        }
        let Some(gate) = self.reads.gate(slot.token, slot.hour)? else { return Ok(None) };
        if gate.fenced {
            return Ok(Some(Minted::Fenced(gate)));
        }
        if let Some(key) = self.reads.key(slot)? {
            return Ok(Some(Minted::Adopted { due: gate.due, key }));
        }
        let same = gate.due == candidate.due && gate.kek.as_ref() == Some(&candidate.kek);
        Ok((!same).then_some(Minted::GateDiffers(gate)))
    }

    fn insert(&mut self, candidate: &Candidate, now: Millis) -> Result<Minted, StoreError> {
        let Candidate { slot, customer, due, kek, commitment, wrapped } = candidate;
        self.customer.execute((slot.token.0, customer.as_bytes()))?;
        if self.reads.gate(slot.token, slot.hour)?.is_none() {
            let hold = self.reads.hold_over(slot.token, slot.hour)?.map(|hold| hold.0);
            self.gate.execute((slot.token.0, slot.hour.0, due.0, kek.as_str(), hold))?;
        }
        let key_id = candidate.key_id().0;
        self.key.execute((
            slot.token.0,
            slot.hour.0,
            slot.generation.0,
            key_id,
            commitment,
            kek.as_str(),
            wrapped,
            now.0,
        ))?;
        Ok(Minted::Won)
    }
}
