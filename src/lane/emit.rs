//! Seals and sends a batch whose keys were obtained.

use std::ffi::CStr;

use super::batch::{Entry, Grant, Group, Owner, Parts};
use super::quarantine::{HEADER_CUSTOMER, Label, Reason};
use super::sealed::Sealed;
use super::settings::OutputKey;
use super::step::{LaneParts, Tally};
use crate::envelope::{Nonces, seal_in_place};
use crate::model::Millis;
use crate::stream::{Filling, Sink, StreamError, Txn};

/// Seals and sends the entries of one batch, in their order.
pub(super) struct Emitter<'b> {
    pub(super) parts: &'b LaneParts,
    pub(super) batch: Parts<'b>,
    /// Timestamp of quarantined records.
    pub(super) now: Millis,
    pub(super) nonces: &'b mut Nonces,
    pub(super) tally: &'b mut Tally,
    /// Reused from event to event.
    pub(super) headers: Vec<(&'b CStr, &'b [u8])>,
}

impl<'b> Emitter<'b> {
    /// Sends every entry. Returns false if the content of some stays in the arena unsealed.
    pub(super) fn send_all<S: Sink>(
        mut self,
        arena: &mut [u8],
        txn: &mut Txn<'_, S, Filling>,
    ) -> Result<bool, StreamError> {
        let mut all_sealed = true;
        for entry in self.batch.entries {
            all_sealed &= self.send(entry, arena, txn)?;
        }
        Ok(all_sealed)
    }

    /// Sends one entry. Returns false if its content stays in the arena unsealed.
    fn send<S: Sink>(
        &mut self,
        entry: &'b Entry,
        arena: &mut [u8],
        txn: &mut Txn<'_, S, Filling>,
    ) -> Result<bool, StreamError> {
        let Some(group) = entry.group.map(|index| &self.batch.groups[index]) else {
            self.quarantined(entry, entry.reason.unwrap_or(Reason::Refused), None, txn)?;
            return Ok(true);
        };
        let key = match &group.key {
            Grant::Key(key) => key,
            Grant::Refused(reason) => {
                self.quarantined(entry, *reason, None, txn)?;
                return Ok(false);
            }
            Grant::None => unreachable!("the engine emits only what was prepared"),
        };
        let owner = &self.batch.owners[group.owner];
        let record = &mut arena[entry.record.clone()];
        let context = if entry.reason.is_none() { &owner.context } else { &owner.quarantine };
        seal_in_place(&key.seal, context, group.hour, group.generation, &self.nonces.take(), record);
        self.tally.bytes_out += record.len() as u64;
        match entry.reason {
            None => self.event(entry, group, owner, record, txn)?,
            Some(reason) => self.quarantined(entry, reason, Some((owner, record)), txn)?,
        }
        Ok(true)
    }

    fn event<S: Sink>(
        &mut self,
        entry: &'b Entry,
        group: &Group,
        owner: &'b Owner,
        envelope: &[u8],
        txn: &mut Txn<'_, S, Filling>,
    ) -> Result<(), StreamError> {
        let parts = self.parts;
        self.headers.clear();
        if parts.output_key != OutputKey::Customer {
            self.headers.push((HEADER_CUSTOMER, owner.id.as_bytes()));
        }
        for (name, value) in &self.batch.clear_headers[entry.clear_headers.clone()] {
            self.headers.push((&parts.clear_headers[*name], &self.batch.clear[value.clone()]));
        }
        let key = match parts.output_key {
            OutputKey::Customer => Some(owner.id.as_bytes()),
            OutputKey::Input => entry.clear_key.clone().map(|place| &self.batch.clear[place]),
            OutputKey::None => None,
        };
        let partition = group.partition.unwrap_or(entry.partition);
        self.tally.sealed += 1;
        self.tally.oldest = Some(self.tally.oldest.map_or(entry.time, |oldest| oldest.min(entry.time)));
        txn.send(&Sealed::event((group.class, partition), entry.time, key, envelope, &self.headers))
    }

    fn quarantined<S: Sink>(
        &mut self,
        entry: &Entry,
        reason: Reason,
        content: Option<(&Owner, &[u8])>,
        txn: &mut Txn<'_, S, Filling>,
    ) -> Result<(), StreamError> {
        let label = Label::new(reason, &self.parts.input, entry, content.is_some());
        *self.tally.quarantined.entry(reason).or_default() += 1;
        let key = content.map(|(owner, _)| owner.id.as_bytes());
        let envelope = content.map(|(_, envelope)| envelope);
        txn.send(&Sealed::quarantined(self.now, key, envelope, &label.headers()))
    }
}
