//! A lane's step on the engine: admit, obtain, seal.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admit::{Admit, Admitted};
use super::batch::{Batch, CustomerRef, Entry, Grant, each};
use super::bounds::{Bounds, NewSlot, SlotLimits};
use super::emit::Emitter;
use super::keys::Keys;
use super::partition::output_partition;
use super::quarantine::{GivenUp, Reason};
use super::sealed::Sealed;
use super::settings::{OutputKey, Outputs, Partitioner};
use crate::envelope::{Nonces, StreamName, tidily};
use crate::keys::{self, Obtained};
use crate::model::{Clock, Generation, Hour, Millis};
use crate::stream::{Event, Filling, Input, Park, Ready, Sink, Step, StreamError, Take, Txn, Wait, Waiting};

/// Dependencies and settings of a lane.
pub struct LaneParts {
    pub admit: Admit,
    pub keys: Keys,
    pub clock: Arc<dyn Clock>,
    pub stream: StreamName,
    /// Name of the input topic, for the origin of quarantined records.
    pub input: String,
    pub outputs: Outputs,
    pub partitioner: Partitioner,
    pub output_key: OutputKey,
    /// Headers that are also copied in the clear.
    pub clear_headers: Vec<CString>,
    /// A batch is closed when its frames reach this many bytes.
    pub batch_bytes: usize,
    pub slot_limits: SlotLimits,
    pub observer: Box<dyn Observer>,
}

/// Receives the events of a lane, with the counts of the batch.
pub trait Observer: Send {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally);
}

/// Counts of a batch.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    pub sealed: u64,
    /// Slots whose key was not in memory.
    pub new_slots: u64,
    pub quarantined: BTreeMap<Reason, u64>,
    /// Bytes of keys, headers and payloads read.
    pub bytes_in: u64,
    /// Bytes of envelopes sent.
    pub bytes_out: u64,
    /// Event time of the oldest event sealed.
    pub oldest: Option<Millis>,
    /// Total time to seal the records and to hand them to the producer.
    pub seal_time: Duration,
}

/// Number of times that the broker has refused a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Once: its content goes to quarantine.
    Sealed,
    /// Twice: only its reason, origin, size and digest are kept.
    Quarantined,
}

/// The sealing step.
pub struct SealingLane {
    parts: LaneParts,
    batch: Batch,
    /// Time of the batch: set when its first record is admitted, and again on each attempt to prepare it.
    now: Millis,
    condemned: HashMap<(i32, i64), Refused>,
    bounds: Bounds,
    /// Accepted gaps whose start is not committed yet.
    given_up: Vec<GivenUp>,
    tally: Tally,
}

impl SealingLane {
    pub fn new(parts: LaneParts) -> Self {
        let batch = Batch::new(parts.stream.clone(), parts.batch_bytes + parts.batch_bytes / 8);
        Self {
            batch,
            now: Millis(0),
            condemned: HashMap::new(),
            bounds: Bounds::new(parts.slot_limits),
            given_up: Vec::new(),
            tally: Tally::default(),
            parts,
        }
    }

    /// Counts of the current batch so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The time of the lane's clock.
    pub(super) fn clock_now(&self) -> Millis {
        self.parts.clock.now()
    }

    /// Name of the input topic.
    pub(super) fn input(&self) -> &str {
        &self.parts.input
    }

    /// Lifts the bounds of new slots: the lane takes every record.
    pub(super) fn lift_bounds(&mut self) {
        self.bounds = Bounds::new(SlotLimits::NONE);
    }

    fn admit_event(&mut self, input: &Input<'_>, admitted: &Admitted<'_>) -> Result<(), Park> {
        let placed = match (&admitted.customer, admitted.when, admitted.reason) {
            (Some(customer), Some((hour, time)), reason) => {
                Some((CustomerRef::Known(customer), hour, time, reason))
            }
            (customer, _, reason) => {
                let owner = customer.as_deref().map_or(CustomerRef::Quarantine, CustomerRef::Known);
                Hour::containing(self.now).map(|hour| (owner, hour, self.now, reason))
            }
        };
        let keeps = admitted.reason.is_none() || admitted.fits_quarantine;
        match placed.filter(|_| keeps) {
            Some((owner @ CustomerRef::Known(_), hour, time, reason)) => {
                let (group, is_new) = self.batch.group(&owner, hour);
                if is_new && let NewSlot::Over = self.count_slot(input.partition, group)? {
                    self.admit_over_budget(input, admitted);
                    return Ok(());
                }
                self.write(input, (group, is_new), (hour, time), reason, admitted.size);
            }
            Some((owner @ CustomerRef::Quarantine, hour, time, reason)) => {
                let group = self.batch.group(&owner, hour);
                self.write(input, group, (hour, time), reason, admitted.size);
            }
            None => self.push_bare(input, admitted.reason.unwrap_or(Reason::Implausible), admitted.size),
        }
        Ok(())
    }

    /// Counts the slot of the last group, which is new in this batch. A slot whose key is in memory costs no
    /// row, and is not counted. If the slot may not be used, the group is removed.
    fn count_slot(&mut self, partition: i32, group: usize) -> Result<NewSlot, Park> {
        let group = &self.batch.groups[group];
        let generation = Generation::at(group.hour, self.now, self.parts.admit.limits.grace_ms);
        let slot = self.batch.slot(group, generation.unwrap_or(Generation(u16::MAX)));
        if self.parts.keys.has(&slot) {
            return Ok(NewSlot::Within);
        }
        let counted = self.bounds.count(partition, (&slot.customer, slot.hour), self.now);
        match counted {
            Ok(NewSlot::Within) => self.tally.new_slots += 1,
            Ok(NewSlot::Over) | Err(_) => self.batch.remove_last_group(),
        }
        counted
    }

    /// Quarantines a record of a runaway partition. Its customer's key would be the new slot, so the reserved
    /// customer is used.
    fn admit_over_budget(&mut self, input: &Input<'_>, admitted: &Admitted<'_>) {
        let reason = Reason::TooManySlots;
        match Hour::containing(self.now).filter(|_| admitted.fits_quarantine) {
            Some(hour) => {
                let group = self.batch.group(&CustomerRef::Quarantine, hour);
                self.write(input, group, (hour, self.now), Some(reason), admitted.size);
            }
            None => self.push_bare(input, reason, admitted.size),
        }
    }

    /// Adds a record with its content. `is_new`: no other record belongs to the group yet.
    fn write(
        &mut self,
        input: &Input<'_>,
        (group, is_new): (usize, bool),
        (hour, time): (Hour, Millis),
        reason: Option<Reason>,
        size: usize,
    ) {
        match self.batch.write(input, hour.offset_of(time), size) {
            Ok(record) => self.push(input, Some(group), time, record, reason, size),
            Err(_) => {
                if is_new {
                    self.batch.remove_last_group();
                }
                self.push_bare(input, Reason::TooManyHeaders, size);
            }
        }
    }

    /// Adds a record of which only reason, origin, size and digest are kept.
    fn push_bare(&mut self, input: &Input<'_>, reason: Reason, size: usize) {
        self.push(input, None, self.now, 0..0, Some(reason), size);
        let digest = self.parts.keys.digest(input.value.unwrap_or_default());
        if let Some(entry) = self.batch.entries.last_mut() {
            entry.digest = Some(digest);
        }
    }

    fn push(
        &mut self,
        input: &Input<'_>,
        group: Option<usize>,
        time: Millis,
        record: Range<usize>,
        reason: Option<Reason>,
        size: usize,
    ) {
        let clear = reason.is_none();
        let clear_key = input.key.filter(|_| clear && self.parts.output_key == OutputKey::Input);
        let clear_key = clear_key.map(|key| copy(&mut self.batch.clear, key));
        let clear_headers = if clear { self.copy_headers(input) } else { 0..0 };
        self.batch.entries.push(Entry {
            group,
            partition: input.partition,
            offset: input.offset,
            time,
            timestamp: input.timestamp,
            record,
            reason,
            size,
            digest: None,
            clear_key,
            clear_headers,
        });
    }

    /// Copies the allowed headers, but never those that begin with `hourseal-`.
    fn copy_headers(&mut self, input: &Input<'_>) -> Range<usize> {
        let start = self.batch.clear_headers.len();
        if !self.parts.clear_headers.is_empty() {
            for (name, value) in each(input.headers).filter(|(name, _)| !name.starts_with(b"hourseal-")) {
                let allowed = self.parts.clear_headers.iter().position(|wanted| wanted.as_bytes() == name);
                if let Some(index) = allowed {
                    let value = copy(&mut self.batch.clear, value.unwrap_or_default());
                    self.batch.clear_headers.push((index, value));
                }
            }
        }
        start..self.batch.clear_headers.len()
    }
}

/// Translates the wait of the keys' room for the engine.
fn waits(keys: &keys::Waiting) -> Waiting {
    let cause = match keys.cause() {
        keys::Cause::Store => Wait::Store,
        keys::Cause::Vault => Wait::Vault,
        keys::Cause::Clocks => Wait::Clocks,
        keys::Cause::Kek => Wait::Kek,
        keys::Cause::Deadline => Wait::Pending,
    };
    Waiting::new(cause, keys.reason())
}

fn copy(clear: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = clear.len();
    clear.extend_from_slice(bytes);
    start..clear.len()
}

impl Step for SealingLane {
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park> {
        if self.batch.entries.is_empty() {
            self.now = self.parts.clock.now();
        }
        let mut admitted = self.parts.admit.decide(input, self.now);
        if !self.condemned.is_empty()
            && let Some(refused) = self.condemned.get(&(input.partition, input.offset))
        {
            admitted.reason = Some(Reason::Refused);
            admitted.fits_quarantine &= *refused == Refused::Sealed;
        }
        self.admit_event(input, &admitted)?;
        self.tally.bytes_in += admitted.size as u64;
        Ok(if self.batch.bytes() >= self.parts.batch_bytes { Take::Enough } else { Take::More })
    }

    /// Sets the generations and obtains the keys, again on each attempt.
    fn prepare(&mut self, deadline: Instant) -> Ready {
        self.now = self.parts.clock.now();
        let grace_ms = self.parts.admit.limits.grace_ms;
        for group in &mut self.batch.groups {
            // An hour too old for a generation is past every retention: the keys' room reports it as expired.
            let generation = Generation::at(group.hour, self.now, grace_ms);
            group.generation = generation.unwrap_or(Generation(u16::MAX));
        }
        let obtained = match self.parts.keys.obtain(&self.batch.slots(), deadline) {
            Ok(obtained) => obtained,
            Err(waiting) => return Ready::Wait(waits(&waiting)),
        };
        let LaneParts { outputs, partitioner, .. } = &self.parts;
        for (group, obtained) in self.batch.groups.iter_mut().zip(obtained) {
            group.key = match obtained {
                Obtained::Key(key) => {
                    group.class = outputs.class_of(group.hour, key.due);
                    Grant::Key(key)
                }
                Obtained::Expired => Grant::Refused(Reason::Expired),
                Obtained::Erased => Grant::Refused(Reason::Erased),
            };
        }
        self.batch.place(|owner, group| {
            output_partition(*partitioner, &owner.id, group.hour, outputs.placement(group.class).now())
        });
        Ready::Yes
    }

    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError> {
        let began = Instant::now();
        let (batch, arena) = self.batch.split();
        // No nonce outlives its batch: two machines that are resumed from one image would both use it.
        let mut nonces = Nonces::new();
        let emitter = Emitter {
            parts: &self.parts,
            batch,
            now: self.now,
            nonces: &mut nonces,
            tally: &mut self.tally,
            headers: Vec::new(),
        };
        // Each record has a subkey. Without wiping, the last ones would stay on the stack of an idle lane.
        if tidily(|| emitter.send_all(arena, txn))? {
            self.batch.all_sealed();
        }
        for gap in &self.given_up {
            txn.send(&Sealed::quarantined(self.now, None, None, &gap.headers()))?;
        }
        self.tally.seal_time += began.elapsed();
        Ok(())
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.batch.drop_partitions(partitions);
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.tally = Tally::default();
    }

    fn origin(&self, place: usize) -> Option<(i32, i64)> {
        self.batch.entries.get(place).map(|entry| (entry.partition, entry.offset))
    }

    fn condemn(&mut self, partition: i32, offset: i64, why: &StreamError) -> Result<(), Park> {
        let next = match self.condemned.get(&(partition, offset)) {
            None => Refused::Sealed,
            Some(Refused::Sealed) => Refused::Quarantined,
            Some(Refused::Quarantined) => {
                return Err(Park::RecordRefused { offset, name: why.name.clone() });
            }
        };
        self.condemned.insert((partition, offset), next);
        Ok(())
    }

    fn observe(&mut self, event: Event<'_>) {
        match &event {
            Event::Committed { offsets, .. } if !self.condemned.is_empty() || !self.given_up.is_empty() => {
                self.condemned.retain(|(partition, offset), _| {
                    offsets.iter().all(|next| next.partition != *partition || next.offset <= *offset)
                });
                self.given_up.retain(|gap| offsets.iter().all(|next| next.partition != gap.partition));
            }
            Event::GapAccepted { partition, committed, at } => {
                self.given_up.push(GivenUp::new(&self.parts.input, *partition, *committed, *at));
            }
            Event::Assigned(partitions) => {
                self.given_up.retain(|gap| partitions.contains(&gap.partition));
                self.bounds.retain(partitions);
            }
            _ => {}
        }
        self.parts.observer.observe(&event, &self.tally);
    }
}
