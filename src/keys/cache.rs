//! The cache: seal keys in memory, by token, hour and generation. It never holds more keys than its capacity.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::model::{CustomerId, Generation, Hour, Token};

use super::{HourKey, SlotRef};

/// The least recently used keys leave first. This is the CLOCK algorithm: one bit per key instead of a list
/// to relink on each hit. A key's bytes are wiped when the last batch that uses the key releases it.
pub(super) struct Cache {
    capacity: usize,
    /// The index in `entries` of each slot's key. The token comes first, so that a receipt finds a customer's
    /// hours directly.
    places: HashMap<Token, BTreeMap<(Hour, Generation), usize>>,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    hand: usize,
}

struct Entry {
    slot: SlotRef,
    customer: CustomerId,
    key: Arc<HourKey>,
    /// Used since the insertion or since the hand last passed.
    used: bool,
}

impl Cache {
    /// An empty cache. A capacity of 0 counts as 1.
    pub(super) fn new(capacity: usize) -> Self {
        let (places, entries, free) = (HashMap::new(), Vec::new(), Vec::new());
        Self { capacity: capacity.max(1), places, entries, free, hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn get(&mut self, slot: &SlotRef) -> Option<&Arc<HourKey>> {
        let at = *self.places.get(&slot.token)?.get(&(slot.hour, slot.generation))?;
        let entry = self.entries[at].as_mut().expect(PLACED);
        entry.used = true;
        Some(&entry.key)
    }

    pub(super) fn insert(&mut self, slot: SlotRef, customer: CustomerId, key: Arc<HourKey>) {
        self.remove(&slot);
        if self.len() == self.capacity {
            self.evict_one();
        }
        let entry = Some(Entry { slot, customer, key, used: false });
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        self.entries[at] = entry;
        self.places.entry(slot.token).or_default().insert((slot.hour, slot.generation), at);
    }

    pub(super) fn remove(&mut self, slot: &SlotRef) {
        let Some(hours) = self.places.get_mut(&slot.token) else { return };
        if let Some(at) = hours.remove(&(slot.hour, slot.generation)) {
            self.clear_entry(at);
        }
        self.drop_if_empty(slot.token);
    }

    /// Removes a customer's keys of the hours `from ..= to`, in all generations. Returns their number.
    pub(super) fn evict(&mut self, token: Token, from: Hour, to: Hour) -> usize {
        if from > to {
            return 0;
        }
        let Some(hours) = self.places.get_mut(&token) else { return 0 };
        let slots: Vec<_> =
            hours.range((from, Generation(0))..=(to, Generation(u16::MAX))).map(|it| *it.0).collect();
        let places: Vec<usize> = slots.iter().filter_map(|slot| hours.remove(slot)).collect();
        places.iter().for_each(|at| self.clear_entry(*at));
        self.drop_if_empty(token);
        places.len()
    }

    /// Number of entries, empty ones included. A pass over the cache takes them part by part.
    pub(super) fn extent(&self) -> usize {
        self.entries.len()
    }

    /// Customers of a part that have an on-time key of `hour` but none of the next hour. This does not mark
    /// keys as used.
    pub(super) fn wanting(&self, part: Range<usize>, hour: Hour) -> impl Iterator<Item = &CustomerId> {
        let next = (hour.plus(1), ON_TIME);
        self.entries[part].iter().flatten().filter_map(move |Entry { slot, customer, .. }| {
            let active = slot.hour == hour && slot.generation == ON_TIME;
            (active && !self.places.get(&slot.token)?.contains_key(&next)).then_some(customer)
        })
    }

    /// Removes a part's keys that no lane requests in `hour` or later. A key seals until the end of its
    /// generation's hour, and then for the grace, which is one hour at most.
    pub(super) fn drop_spent(&mut self, part: Range<usize>, hour: Hour) {
        for at in part {
            let slot = self.entries[at].as_ref().map(|entry| entry.slot);
            if let Some(slot) = slot.filter(|it| it.hour.plus(u32::from(it.generation.0) + 2) <= hour) {
                self.remove(&slot);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Moves the hand until it finds a key that was not used since its last visit, and removes that key. This
    /// takes two rounds at most.
    fn evict_one(&mut self) {
        loop {
            self.hand = (self.hand + 1) % self.entries.len();
            match &mut self.entries[self.hand] {
                Some(entry) if entry.used => entry.used = false,
                Some(entry) => {
                    let slot = entry.slot;
                    return self.remove(&slot);
                }
                None => {}
            }
        }
    }

    fn clear_entry(&mut self, at: usize) {
        self.entries[at] = None;
        self.free.push(at);
    }

    fn drop_if_empty(&mut self, token: Token) {
        if self.places.get(&token).is_some_and(BTreeMap::is_empty) {
            self.places.remove(&token);
        }
    }
}

/// The generation of events that are sealed in their own hour.
const ON_TIME: Generation = Generation(0);

const PLACED: &str = "places name filled entries only";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Dek, derive};
    use crate::model::Due;

    fn acme() -> CustomerId {
        CustomerId::parse("acme").expect("a valid id")
    }

    fn key() -> Arc<HourKey> {
        let seal = derive(&Dek::take(&mut [1; 32]), &acme(), Hour(1), Generation(0));
        Arc::new(HourKey { seal, due: Due(10) })
    }

    fn slot(token: u8, hour: u32, generation: u16) -> SlotRef {
        SlotRef { token: Token([token; 16]), hour: Hour(hour), generation: Generation(generation) }
    }

    fn cache(capacity: usize, slots: &[SlotRef]) -> Cache {
        let mut cache = Cache::new(capacity);
        slots.iter().for_each(|slot| cache.insert(*slot, acme(), key()));
        cache
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let all: Vec<_> = (0..100).map(|hour| slot(1, hour, 0)).collect();
        let mut cache = cache(10, &all);
        assert_eq!(cache.len(), 10);
        assert_eq!(all.iter().filter(|slot| cache.get(slot).is_some()).count(), 10);
    }

    #[test]
    fn a_key_in_use_stays_and_an_idle_one_leaves() {
        let mut cache = cache(3, &[slot(1, 1, 0), slot(1, 2, 0), slot(1, 3, 0)]);
        for hour in 4..50 {
            assert!(cache.get(&slot(1, 2, 0)).is_some(), "used before each insertion");
            cache.insert(slot(1, hour, 0), acme(), key());
        }
        assert!(cache.get(&slot(1, 1, 0)).is_none());
        assert_eq!(cache.len(), 3);
    }

    #[test]
    fn idle_keys_leave_one_after_the_other() {
        let mut cache = cache(3, &[slot(1, 1, 0), slot(1, 2, 0), slot(1, 3, 0)]);
        (4..7).for_each(|hour| cache.insert(slot(1, hour, 0), acme(), key()));
        assert!((1..4).all(|hour| cache.get(&slot(1, hour, 0)).is_none()));
    }

    #[test]
    fn nothing_is_kept_of_a_customer_without_keys() {
        let mut cache = cache(3, &[slot(1, 1, 0), slot(2, 1, 0)]);
        cache.remove(&slot(1, 1, 0));
        cache.evict(Token([2; 16]), Hour(0), Hour(9));
        assert!(cache.places.is_empty());
    }

    #[test]
    fn a_receipt_evicts_every_generation_of_its_hours_and_nothing_else() {
        let gone = [slot(1, 5, 0), slot(1, 5, 7), slot(1, 6, u16::MAX)];
        let kept = [slot(1, 4, 9), slot(1, 7, 0), slot(2, 5, 0)];
        let mut cache = cache(10, &[gone, kept].concat());
        assert_eq!(cache.evict(Token([1; 16]), Hour(5), Hour(6)), 3);
        assert!(gone.iter().all(|slot| cache.get(slot).is_none()));
        assert!(kept.iter().all(|slot| cache.get(slot).is_some()));
        assert_eq!(cache.evict(Token([9; 16]), Hour(0), Hour(9)), 0);
        assert_eq!(cache.evict(Token([1; 16]), Hour(9), Hour(0)), 0);
    }

    #[test]
    fn evicted_places_are_used_again() {
        let mut cache = cache(3, &[slot(1, 1, 0), slot(1, 2, 0)]);
        for round in 0..20 {
            cache.evict(Token([1; 16]), Hour(0), Hour(u32::MAX));
            cache.insert(slot(1, round, 0), acme(), key());
            cache.insert(slot(2, round, 0), acme(), key());
        }
        assert!(cache.len() <= 3 && cache.entries.len() <= 3);
    }

    #[test]
    fn inserting_a_slot_again_replaces_its_key() {
        let mut cache = cache(2, &[slot(1, 1, 0), slot(1, 1, 0), slot(1, 1, 0)]);
        assert_eq!(cache.len(), 1);
        cache.clear();
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_customer_wants_the_next_hour_who_has_this_one_on_time_and_not_that() {
        let name = |id| CustomerId::parse(id).expect("a valid id");
        let mut cache = Cache::new(10);
        for (id, slots) in [
            ("active", vec![slot(1, 5, 0)]),
            ("late", vec![slot(2, 5, 1)]),
            ("earlier", vec![slot(3, 4, 0)]),
            ("ready", vec![slot(4, 5, 0), slot(4, 6, 0)]),
            ("late twice", vec![slot(5, 5, 0), slot(5, 6, 1)]),
        ] {
            slots.into_iter().for_each(|slot| cache.insert(slot, name(id), key()));
        }
        let all: Vec<_> = cache.wanting(0..cache.extent(), Hour(5)).map(CustomerId::as_str).collect();
        assert_eq!(all, ["active", "late twice"]);
        assert_eq!(cache.wanting(1..3, Hour(5)).count(), 0, "a part is looked at alone");
    }

    #[test]
    fn a_key_is_spent_when_its_generation_and_the_longest_grace_are_over() {
        let (spent, kept) = ([slot(1, 3, 0), slot(1, 1, 2)], [slot(1, 4, 0), slot(1, 3, 1), slot(2, 6, 0)]);
        let mut cache = cache(10, &[spent.as_slice(), &kept].concat());
        cache.drop_spent(0..cache.extent(), Hour(5));
        assert!(spent.iter().all(|slot| cache.get(slot).is_none()));
        assert!(kept.iter().all(|slot| cache.get(slot).is_some()));
    }
}
