//! A batch: plaintext frames in one arena, sealed in place, grouped by customer and hour.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroize;

use super::quarantine::Reason;
use crate::envelope::{Context, FrameError, HEADER_LEN, Plain, StreamName, TAG_LEN, frame};
use crate::keys::HourKey;
use crate::model::{ClassId, CustomerId, Generation, Hour, Millis, Slot};
use crate::stream::{Headers, Input};

/// Number of customers kept from batch to batch. If there are more, the lane forgets all and adds them again.
const MAX_CUSTOMERS: usize = 50_000;

/// A customer as a lane uses it.
pub(super) struct Owner {
    pub(super) id: CustomerId,
    /// For events of the output topic.
    pub(super) context: Context,
    /// For quarantined records.
    pub(super) quarantine: Context,
}

/// The events of one customer and hour, which share a key.
pub(super) struct Group {
    pub(super) owner: usize,
    pub(super) hour: Hour,
    /// Set on each attempt to prepare the batch.
    pub(super) generation: Generation,
    pub(super) key: Grant,
    /// Its retention class; `None` = the output topic.
    pub(super) class: Option<ClassId>,
    /// Output partition; `None` = the input's own number.
    pub(super) partition: Option<i32>,
}

/// The answer of the keys' room about a group.
#[derive(Default)]
pub(super) enum Grant {
    #[default]
    None,
    Key(Arc<HourKey>),
    /// Its records keep no content, for this reason.
    Refused(Reason),
}

/// One record of the batch.
pub(super) struct Entry {
    /// `None` = no content is kept.
    pub(super) group: Option<usize>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Event time. If customer or time are unknown, or admission keeps no content: time of the batch.
    pub(super) time: Millis,
    /// The input record's timestamp, which the frame does not hold.
    pub(super) timestamp: Option<Millis>,
    /// The envelope's place in the arena: room for its header, the frame, room for the tag.
    pub(super) record: Range<usize>,
    pub(super) reason: Option<Reason>,
    pub(super) size: usize,
    pub(super) digest: Option<[u8; 16]>,
    /// The input key in `clear`, if the settings ask for it.
    pub(super) clear_key: Option<Range<usize>>,
    /// Header values in `clear`, each with the index of its name in the allow-list.
    pub(super) clear_headers: Range<usize>,
}

/// Records between two commits.
pub(super) struct Batch {
    stream: StreamName,
    owners: Vec<Owner>,
    owner_of: HashMap<Box<str>, usize>,
    pub(super) groups: Vec<Group>,
    group_of: HashMap<(usize, Hour), usize>,
    pub(super) entries: Vec<Entry>,
    arena: Vec<u8>,
    /// Set while the arena may hold plaintext.
    exposed: bool,
    /// Set when entries were dropped: their plaintext stays until the batch is cleared.
    dropped: bool,
    pub(super) clear: Vec<u8>,
    pub(super) clear_headers: Vec<(usize, Range<usize>)>,
}

impl Batch {
    pub(super) fn new(stream: StreamName, capacity: usize) -> Self {
        Self {
            stream,
            owners: Vec::new(),
            owner_of: HashMap::new(),
            groups: Vec::new(),
            group_of: HashMap::new(),
            entries: Vec::new(),
            arena: Vec::with_capacity(capacity),
            exposed: false,
            dropped: false,
            clear: Vec::new(),
            clear_headers: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The group of a customer's hour, and whether it is new. The id must be valid or the reserved one.
    pub(super) fn group(&mut self, customer: &CustomerRef<'_>, hour: Hour) -> (usize, bool) {
        let before = self.groups.len();
        let owner = self.owner(customer);
        let group = *self.group_of.entry((owner, hour)).or_insert_with(|| {
            self.groups.push(Group {
                owner,
                hour,
                generation: Generation(0),
                key: Grant::None,
                class: None,
                partition: None,
            });
            self.groups.len() - 1
        });
        (group, self.groups.len() > before)
    }

    /// Removes the last group, to which no record belongs.
    pub(super) fn remove_last_group(&mut self) {
        if let Some(group) = self.groups.pop() {
            self.group_of.remove(&(group.owner, group.hour));
        }
    }

    fn owner(&mut self, customer: &CustomerRef<'_>) -> usize {
        if let Some(&owner) = self.owner_of.get(customer.as_str()) {
            return owner;
        }
        let id = customer.to_id();
        self.owners.push(Owner {
            context: Context::new(&id, &self.stream),
            quarantine: Context::new(&id, &self.stream.quarantine()),
            id,
        });
        self.owner_of.insert(customer.as_str().into(), self.owners.len() - 1);
        self.owners.len() - 1
    }

    /// Gives each group its output partition.
    pub(super) fn place(&mut self, partition: impl Fn(&Owner, &Group) -> Option<i32>) {
        for group in &mut self.groups {
            group.partition = partition(&self.owners[group.owner], group);
        }
    }

    /// Writes the frame of an input record of `size` bytes (as measured by admission), with room around it.
    ///
    /// # Errors
    /// If its headers do not fit a frame.
    pub(super) fn write(
        &mut self,
        input: &Input<'_>,
        milliseconds: u32,
        size: usize,
    ) -> Result<Range<usize>, FrameError> {
        let start = self.arena.len();
        self.reserve(size);
        self.arena.extend_from_slice(&[0; HEADER_LEN]);
        let plain = Plain { milliseconds, key: input.key, payload: input.value };
        self.exposed = true;
        if let Err(error) = frame::write(&mut self.arena, &plain, each(input.headers)) {
            self.arena.truncate(start);
            return Err(error);
        }
        self.arena.extend_from_slice(&[0; TAG_LEN]);
        Ok(start..self.arena.len())
    }

    /// Makes room for a record. If the arena moves, its old memory is wiped.
    fn reserve(&mut self, size: usize) {
        let needed = self.arena.len() + size + HEADER_LEN + TAG_LEN + 16;
        if needed > self.arena.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.arena.capacity() * 2));
            larger.extend_from_slice(&self.arena);
            self.arena.zeroize();
            self.arena = larger;
        }
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.groups.iter().map(|group| self.slot(group, group.generation)).collect()
    }

    /// The slot of a group's records in this generation.
    pub(super) fn slot(&self, group: &Group, generation: Generation) -> Slot {
        Slot { customer: self.owners[group.owner].id.clone(), hour: group.hour, generation }
    }

    /// Lends what emitting needs: groups, owners, entries, clear copies, and the arena for writing.
    pub(super) fn split(&mut self) -> (Parts<'_>, &mut [u8]) {
        let parts = Parts {
            groups: &self.groups,
            owners: &self.owners,
            entries: &self.entries,
            clear: &self.clear,
            clear_headers: &self.clear_headers,
        };
        (parts, &mut self.arena)
    }

    /// Every entry was sealed in place: the arena holds no plaintext except that of dropped entries.
    pub(super) fn all_sealed(&mut self) {
        self.exposed = self.dropped;
    }

    /// Drops the records of these partitions, which the lane has lost.
    pub(super) fn drop_partitions(&mut self, partitions: &[i32]) {
        let before = self.entries.len();
        self.entries.retain(|entry| !partitions.contains(&entry.partition));
        self.dropped |= self.entries.len() < before;
    }

    pub(super) fn clear(&mut self) {
        if self.exposed {
            // `zeroize` wipes the whole capacity and empties the vector.
            self.arena.zeroize();
            self.exposed = false;
        }
        self.dropped = false;
        self.arena.clear();
        self.entries.clear();
        self.groups.clear();
        self.group_of.clear();
        self.clear.zeroize();
        self.clear_headers.clear();
        if self.owners.len() > MAX_CUSTOMERS {
            self.owners.clear();
            self.owner_of.clear();
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.arena.zeroize();
    }
}

/// The parts that [`Batch::split`] lends besides the arena.
pub(super) struct Parts<'b> {
    pub(super) groups: &'b [Group],
    pub(super) owners: &'b [Owner],
    pub(super) entries: &'b [Entry],
    pub(super) clear: &'b [u8],
    pub(super) clear_headers: &'b [(usize, Range<usize>)],
}

/// A customer that a record belongs to.
pub(super) enum CustomerRef<'a> {
    /// Checked by admission.
    Known(&'a str),
    /// The customer is unknown: the reserved one is used.
    Quarantine,
}

impl CustomerRef<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(id) => id,
            Self::Quarantine => crate::model::QUARANTINE_CUSTOMER,
        }
    }

    fn to_id(&self) -> CustomerId {
        match self {
            Self::Known(id) => CustomerId::parse(id).expect("admission has checked the id"),
            Self::Quarantine => CustomerId::quarantine(),
        }
    }
}

/// Iterates over the headers.
pub(super) fn each(headers: &dyn Headers) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    (0..headers.count()).map(|index| headers.at(index))
}
