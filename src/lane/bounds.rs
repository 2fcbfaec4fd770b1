//! Bounds the new slots of each input partition: a faulty producer that makes up customers floods the key
//! store, which gets a row for each slot. Pure.
//!
//! The first bound is a budget per minute. A partition that has used it up is parked for the rest of the
//! minute. A partition that uses it up in many minutes in a row is a runaway: parking it only delays the
//! flood. Then its slots over the budget are [`NewSlot::Over`], until it stays below the budget for a minute.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::model::{CustomerId, Hour, Millis};
use crate::stream::Park;

const MINUTE_MS: i64 = 60_000;
/// Added to the rest of a minute: the engine measures it with another clock.
const MARGIN_MS: i64 = 200;

/// The bounds of a lane.
#[derive(Clone, Copy, Debug)]
pub struct SlotLimits {
    /// Most new slots of a partition within a minute. 0 = no limit.
    pub per_minute: usize,
    /// Number of minutes in a row at the limit that make a partition a runaway. 0 = never.
    pub runaway_minutes: usize,
    /// Length of the minute, in milliseconds. Tests shorten it.
    pub minute_ms: i64,
}

impl SlotLimits {
    pub const NONE: Self = Self::per_minute(0, 0);

    pub const fn per_minute(per_minute: usize, runaway_minutes: usize) -> Self {
        Self { per_minute, runaway_minutes, minute_ms: MINUTE_MS }
    }
}

/// The decision about a new slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NewSlot {
    /// It may be used.
    Within,
    /// The partition is a runaway, and its budget is used up: the slot must not be used.
    Over,
}

/// Counts the new slots of each partition.
pub(super) struct Bounds {
    limits: SlotLimits,
    partitions: HashMap<i32, Usage>,
    hasher: RandomState,
}

/// The new slots of one partition.
#[derive(Default)]
struct Usage {
    /// Start of the minute, which begins with a new slot.
    began: Option<Millis>,
    used: usize,
    /// Whether a slot of this minute was over the budget.
    is_over: bool,
    /// Number of earlier minutes in a row that were over the budget.
    minutes_over: usize,
    /// Hashes of slots that were counted, less than two budgets of them. Without a lease no key stays in
    /// memory: then only this shows that a slot is not new.
    counted: HashSet<u64>,
}

impl Bounds {
    pub(super) fn new(limits: SlotLimits) -> Self {
        Self { limits, partitions: HashMap::new(), hasher: RandomState::new() }
    }

    /// Counts a slot whose key is not in memory.
    ///
    /// # Errors
    /// If the budget is used up: the partition must be parked before the slot's record.
    pub(super) fn count(
        &mut self,
        partition: i32,
        slot: (&CustomerId, Hour),
        now: Millis,
    ) -> Result<NewSlot, Park> {
        let SlotLimits { per_minute, runaway_minutes, minute_ms } = self.limits;
        if per_minute == 0 {
            return Ok(NewSlot::Within);
        }
        let usage = self.partitions.entry(partition).or_default();
        let ends = usage.follow(now, &self.limits);
        let hash = self.hasher.hash_one(slot);
        if usage.counted.contains(&hash) {
            return Ok(NewSlot::Within);
        }
        if usage.used < per_minute {
            usage.used += 1;
            usage.counted.insert(hash);
            return Ok(NewSlot::Within);
        }
        usage.is_over = true;
        if runaway_minutes > 0 && usage.minutes_over >= runaway_minutes {
            return Ok(NewSlot::Over);
        }
        let rest = (ends.0 - now.0).clamp(0, minute_ms) + MARGIN_MS;
        let rest = Duration::from_millis(rest.unsigned_abs());
        Err(Park::SlotBudget { limit: per_minute as u64, rest })
    }

    /// Forgets the partitions that the lane does not have any more.
    pub(super) fn retain(&mut self, partitions: &[i32]) {
        self.partitions.retain(|partition, _| partitions.contains(partition));
    }
}

impl Usage {
    /// Begins another minute if the last one is over, or if the clock went back. Returns the minute's end.
    fn follow(&mut self, now: Millis, limits: &SlotLimits) -> Millis {
        if let Some(began) = self.began
            && (began..began.plus(limits.minute_ms)).contains(&now)
        {
            return began.plus(limits.minute_ms);
        }
        self.minutes_over = if self.is_over { self.minutes_over + 1 } else { 0 };
        (self.began, self.used, self.is_over) = (Some(now), 0, false);
        if self.counted.len() >= limits.per_minute {
            self.counted.clear();
        }
        now.plus(limits.minute_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOD: i32 = 3;
    const START: Millis = Millis(1_700_000_000_000);

    fn bounds(per_minute: usize, runaway_minutes: usize) -> Bounds {
        Bounds::new(SlotLimits::per_minute(per_minute, runaway_minutes))
    }

    fn count(bounds: &mut Bounds, partition: i32, customer: usize, at_ms: i64) -> Result<NewSlot, Park> {
        let customer = CustomerId::parse(&format!("c-{customer}")).expect("an id");
        bounds.count(partition, (&customer, Hour(400_000)), START.plus(at_ms))
    }

    /// Customers 0 to 2 use the budget of 3 up, in each of so many minutes.
    fn flood(bounds: &mut Bounds, minutes: i64) {
        for minute in 0..minutes {
            for customer in 0..3 {
                let customer = usize::try_from(minute).expect("not negative") * 10 + customer;
                assert_eq!(count(bounds, FLOOD, customer, minute * MINUTE_MS), Ok(NewSlot::Within));
            }
            assert!(count(bounds, FLOOD, 9_000, minute * MINUTE_MS).is_err(), "minute {minute}");
        }
    }

    #[test]
    fn the_budget_counts_each_slot_once_and_each_partition_alone() {
        let mut bounds = bounds(3, 0);
        for customer in [0, 1, 0, 1, 2, 2] {
            assert_eq!(count(&mut bounds, FLOOD, customer, 0), Ok(NewSlot::Within));
        }
        let rest = Duration::from_millis(40_000 + MARGIN_MS.unsigned_abs());
        assert_eq!(count(&mut bounds, FLOOD, 3, 20_000), Err(Park::SlotBudget { limit: 3, rest }));
        assert_eq!(count(&mut bounds, FLOOD, 2, 20_000), Ok(NewSlot::Within), "it was counted");
        assert_eq!(count(&mut bounds, FLOOD + 1, 3, 20_000), Ok(NewSlot::Within), "another partition");
    }

    #[test]
    fn the_next_minute_has_a_budget_of_its_own() {
        let mut bounds = bounds(3, 0);
        flood(&mut bounds, 2);
        assert_eq!(count(&mut bounds, FLOOD, 9_000, 2 * MINUTE_MS), Ok(NewSlot::Within));
        assert_eq!(count(&mut bounds, FLOOD, 9_001, -MINUTE_MS), Ok(NewSlot::Within), "the clock went back");
    }

    #[test]
    fn an_hour_is_part_of_the_slot() {
        let mut bounds = bounds(1, 0);
        let customer = CustomerId::parse("acme").expect("an id");
        assert_eq!(bounds.count(FLOOD, (&customer, Hour(1)), START), Ok(NewSlot::Within));
        assert!(bounds.count(FLOOD, (&customer, Hour(2)), START).is_err());
    }

    #[test]
    fn a_runaway_keeps_its_budget_and_what_is_over_goes_elsewhere() {
        let mut bounds = bounds(3, 2);
        flood(&mut bounds, 2);
        for minute in 2..5 {
            let at = minute * MINUTE_MS;
            for customer in 0..3 {
                let customer = usize::try_from(minute).expect("not negative") * 10 + customer;
                assert_eq!(count(&mut bounds, FLOOD, customer, at), Ok(NewSlot::Within));
            }
            assert_eq!(count(&mut bounds, FLOOD, 9_000, at), Ok(NewSlot::Over), "minute {minute}");
        }
        assert_eq!(count(&mut bounds, FLOOD, 8_000, 5 * MINUTE_MS), Ok(NewSlot::Within));
        let at = 6 * MINUTE_MS;
        for customer in 8_001..8_004 {
            assert_eq!(count(&mut bounds, FLOOD, customer, at), Ok(NewSlot::Within));
        }
        assert!(count(&mut bounds, FLOOD, 8_004, at).is_err(), "a minute below the budget ended it");
    }

    #[test]
    fn without_runaway_minutes_a_flood_is_parked_for_ever() {
        flood(&mut bounds(3, 0), 100);
    }

    #[test]
    fn without_a_limit_every_slot_is_taken_and_nothing_is_remembered() {
        let mut bounds = Bounds::new(SlotLimits::NONE);
        for customer in 0..1_000 {
            assert_eq!(count(&mut bounds, FLOOD, customer, 0), Ok(NewSlot::Within));
        }
        assert!(bounds.partitions.is_empty());
    }

    #[test]
    fn what_was_counted_stays_known_within_bounded_memory() {
        let mut bounds = bounds(10, 0);
        for minute in 0..100 {
            for customer in 0..9 {
                let customer = usize::try_from(minute).expect("not negative") * 9 + customer;
                assert_eq!(count(&mut bounds, FLOOD, customer, minute * MINUTE_MS), Ok(NewSlot::Within));
            }
            assert!(bounds.partitions[&FLOOD].counted.len() < 20);
        }
        bounds.retain(&[FLOOD + 1]);
        assert!(bounds.partitions.is_empty(), "the partition left the lane");
    }
}
