//! Pre-minting: obtains keys of the next hour before it begins, so that the ring has them for its first
//! batches.
//!
//! Promise: the work is spread evenly over the time before the hour, is bounded, and pushes no key out of
//! the ring. If a key is not ready when the hour begins, a lane obtains it as usual.
//! Start at [`Premint::tick`]; `ending` and `plan` decide what it does.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::model::{CustomerId, Generation, Hour, Millis, Slot};

use super::{Obtained, Ring, Waiting};

/// Obtains the next hour's keys of the customers that have a key of this hour.
///
/// As for a lane, the ring decides whether a slot is minted or adopted and whether its key is cached. The
/// customer's retention at the time of the mint counts, which is up to the lead before the hour.
pub struct Premint {
    ring: Ring,
    lead: Duration,
    /// Gives each process another order of customers. So two processes find each other's keys instead of
    /// racing for them.
    order: RandomState,
    round: Option<Round>,
}

/// The work during one hour for the next hour.
struct Round {
    hour: Hour,
    /// Customers without a key of the next hour, in the order of this process.
    wanting: Vec<CustomerId>,
    /// Customers that get no key. They are remembered so that the store is asked for them only once.
    refused: HashSet<CustomerId>,
    /// Time of the list `wanting`, by the boot clock.
    listed_at: u64,
}

/// The result of a tick, in slots.
#[derive(Default, Debug)]
pub struct Tick {
    /// Minted or adopted.
    pub ready: u64,
    /// Erased or expired.
    pub refused: u64,
    /// Requested without an answer; the next tick requests them again.
    pub waiting: u64,
    pub why: Option<Waiting>,
}

impl Premint {
    /// Interval between ticks.
    pub const TICK: Duration = Duration::from_secs(1);

    /// Maximum number of slots in a tick: one flight. A lane may have to wait for that flight.
    pub const MOST: usize = Ring::FLIGHT_SLOTS;

    /// Time for which a list of customers is used, in milliseconds. New customers wait for the next list, for
    /// which every key in memory is checked.
    const LIST_MS: u64 = 5_000;

    /// `lead` is the time before the next hour in which its keys may be obtained; zero = never.
    pub fn new(ring: Ring, lead: Duration) -> Self {
        Self { ring, lead, order: RandomState::new(), round: None }
    }

    /// Obtains this tick's share of keys. It does so only within the lead, under a valid lease, and while the
    /// ring has room. Blocks until `deadline` at most; call it from its own thread.
    pub fn tick(&mut self, deadline: Instant) -> Tick {
        let now = self.ring.clock().now();
        let Some((hour, left)) = ending(now, self.lead) else {
            self.round = None;
            return Tick::default();
        };
        if !self.ring.leased() {
            return Tick::default();
        }
        let mut round = self.round(hour);
        let share = plan(&round.wanting, left, self.ring.room());
        let tick =
            if share.is_empty() { Tick::default() } else { round.obtain(&self.ring, share.len(), deadline) };
        self.round = Some(round);
        tick
    }

    /// The round of this hour. Lists the customers again if the list is too old.
    fn round(&mut self, hour: Hour) -> Round {
        let now = self.ring.clock().boot_ms();
        let mut round = self.round.take().filter(|round| round.hour == hour);
        if let Some(round) = round.take_if(|round| now.saturating_sub(round.listed_at) < Self::LIST_MS) {
            return round;
        }
        let refused = round.map(|round| round.refused).unwrap_or_default();
        let mut wanting = self.ring.wanting(hour);
        wanting.retain(|customer| !refused.contains(customer));
        shuffle(&mut wanting, &self.order);
        Round { hour, wanting, refused, listed_at: now }
    }
}

impl Round {
    /// Requests the next hour's keys of the first `count` customers. Customers with an answer leave
    /// `wanting`.
    fn obtain(&mut self, ring: &Ring, count: usize, deadline: Instant) -> Tick {
        let (hour, generation) = (self.hour.plus(1), Generation(0));
        let asked = self.wanting[..count].iter().cloned();
        let slots: Vec<Slot> = asked.map(|customer| Slot { customer, hour, generation }).collect();
        let answers = match ring.obtain(&slots, deadline) {
            Ok(answers) => answers,
            Err(why) => return Tick { waiting: count as u64, why: Some(why), ..Tick::default() },
        };
        let mut tick = Tick::default();
        for (customer, answer) in self.wanting.drain(..count).zip(answers) {
            match answer {
                Obtained::Key(_) => tick.ready += 1,
                Obtained::Expired | Obtained::Erased => {
                    tick.refused += 1;
                    self.refused.insert(customer);
                }
            }
        }
        tick
    }
}

/// The current hour and the rest of it, if it ends within `lead`.
fn ending(now: Millis, lead: Duration) -> Option<(Hour, Duration)> {
    let hour = Hour::containing(now)?;
    let left = u64::try_from(hour.plus(1).start().0 - now.0).ok().map(Duration::from_millis)?;
    (left <= lead).then_some((hour, left))
}

/// The customers whose keys to obtain in this tick: an even share for each tick in the time `left` of the
/// hour, but at most as many as the ring has `room` for.
fn plan(wanting: &[CustomerId], left: Duration, room: usize) -> &[CustomerId] {
    let ticks = usize::try_from(left.as_millis() / Premint::TICK.as_millis()).unwrap_or(usize::MAX).max(1);
    &wanting[..wanting.len().div_ceil(ticks).min(Premint::MOST).min(room)]
}

/// Sorts customers by their hashes. Any order would do, but this one stays the same when new customers join.
fn shuffle(customers: &mut [CustomerId], order: &RandomState) {
    customers.sort_by_cached_key(|customer| order.hash_one(customer));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Hour = Hour(498_816);
    const LEAD: Duration = Duration::from_secs(600);
    const ROOM: usize = 1_000_000;

    fn customers(count: usize) -> Vec<CustomerId> {
        (0..count).map(|n| CustomerId::parse(&format!("customer {n}")).expect("a valid id")).collect()
    }

    /// Sizes of the shares, tick by tick until the hour ends, and the number of customers left out.
    fn shares(count: usize, lead: Duration, room: usize) -> (Vec<usize>, usize) {
        let (mut wanting, mut shares) = (customers(count), Vec::new());
        let begin = HOUR.plus(1).start().plus(-(lead.as_millis() as i64));
        for second in 0..lead.as_secs() as i64 {
            let (_, left) = ending(begin.plus(second * 1_000), lead).expect("within the lead");
            let share = plan(&wanting, left, room - shares.iter().sum::<usize>()).len();
            wanting.drain(..share);
            shares.push(share);
        }
        (shares, wanting.len())
    }

    #[test]
    fn the_work_is_spread_evenly_and_done_before_the_hour_ends() {
        let (shares, left_out) = shares(50_000, LEAD, ROOM);
        assert_eq!(left_out, 0);
        assert!(shares.iter().all(|share| (83..=84).contains(share)), "{shares:?}");
    }

    #[test]
    fn a_few_customers_are_all_done_at_once_or_so() {
        let (shares, left_out) = shares(3, LEAD, ROOM);
        assert_eq!((left_out, &shares[..4]), (0, [1, 1, 1, 0].as_slice()));
    }

    #[test]
    fn no_tick_takes_more_than_the_most() {
        let (shares, left_out) = shares(3_500, Duration::from_secs(3), ROOM);
        assert_eq!((shares, left_out), (vec![1_000; 3], 500));
    }

    #[test]
    fn no_share_is_larger_than_the_room() {
        let (shares, left_out) = shares(100, Duration::from_secs(10), 25);
        assert_eq!((shares.iter().sum(), left_out), (25, 75));
        assert!(plan(&customers(5), LEAD, 0).is_empty());
    }

    #[test]
    fn only_the_lead_before_the_next_hour_counts() {
        let end = HOUR.plus(1).start();
        assert_eq!(ending(end.plus(-600_001), LEAD), None);
        assert_eq!(ending(end.plus(-600_000), LEAD), Some((HOUR, LEAD)));
        assert_eq!(ending(end.plus(-1), LEAD), Some((HOUR, Duration::from_millis(1))));
        assert_eq!(ending(end, LEAD), None, "this is the start of the next hour");
        assert_eq!(ending(Millis(-1), LEAD), None);
    }

    #[test]
    fn without_a_lead_there_is_no_time_for_it() {
        for milliseconds in [0, 1, 3_599_999] {
            assert_eq!(ending(HOUR.start().plus(milliseconds), Duration::ZERO), None);
        }
    }

    #[test]
    fn each_process_has_an_order_of_its_own_and_keeps_it() {
        let (one, other) = (RandomState::new(), RandomState::new());
        let ordered = |order| {
            let mut all = customers(100);
            shuffle(&mut all, order);
            all
        };
        assert!(ordered(&one) == ordered(&one));
        assert!(ordered(&one) != ordered(&other));
        let mut fewer = ordered(&one);
        fewer.retain(|customer| customer.as_str().len() % 2 == 0);
        let kept = fewer.clone();
        fewer.reverse();
        shuffle(&mut fewer, &one);
        assert!(fewer == kept, "customers that join or leave do not change the order of the others");
    }
}
