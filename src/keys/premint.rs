//! Pre-minting: keys of the next hour are obtained before it begins, so that its first batches find them in the ring.
//!
//! Promise: the work is spread evenly over the time before the hour, is bounded, and pushes no key out of the ring. What is
//! not ready when the hour begins, lanes obtain as ever.
//! Start at [`Premint::tick`]; what it decides stands in `ending` and `plan`.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::model::{CustomerId, Generation, Hour, Millis, Slot};

use super::{Obtained, Ring, Waiting};

/// Obtains the next hour's keys of the customers who have one of this hour.
///
/// Whether a slot is minted or adopted, and whether its key is cached, the ring decides as for a lane. A customer's retention
/// counts as it is when the key is minted: up to a lead before its hour.
pub struct Premint {
    ring: Ring,
    lead: Duration,
    /// Another order of customers in each process: two of them meet each other's keys instead of racing for them.
    order: RandomState,
    round: Option<Round>,
}

/// What is to be done in one hour for the next.
struct Round {
    hour: Hour,
    /// Customers without a key of the next hour, in this process's order.
    wanting: Vec<CustomerId>,
    /// Customers who get no key, so that they are asked for once.
    refused: HashSet<CustomerId>,
    /// When `wanting` was listed, by the boot clock.
    listed_at: u64,
}

/// What a tick came to, in slots.
#[derive(Default, Debug)]
pub struct Tick {
    /// Minted or adopted.
    pub ready: u64,
    /// Erased or expired.
    pub refused: u64,
    /// Asked for in vain; the next tick asks again.
    pub waiting: u64,
    pub why: Option<Waiting>,
}

impl Premint {
    /// Time from tick to tick.
    pub const TICK: Duration = Duration::from_secs(1);

    /// Most slots of a tick: one flight, which is how long a lane may have to wait for it.
    pub const MOST: usize = Ring::FLIGHT_SLOTS;

    /// How long a list of customers is good, in milliseconds. Newcomers wait for the next one, which looks at every key in
    /// memory.
    const LIST_MS: u64 = 5_000;

    /// `lead`: how long before the next hour its keys may be obtained; zero = never.
    pub fn new(ring: Ring, lead: Duration) -> Self {
        Self { ring, lead, order: RandomState::new(), round: None }
    }

    /// Obtains a tick's share, if there is one now: in the lead, under a lease, and while the ring has room.
    /// Blocks until `deadline` at most; call it from a thread of its own.
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

    /// The round of this hour, its list not too old.
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
    /// Asks for the next hour of the first `count` customers. Who is answered is no longer wanting.
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

/// The running hour and what is left of it, when it ends within `lead`.
fn ending(now: Millis, lead: Duration) -> Option<(Hour, Duration)> {
    let hour = Hour::containing(now)?;
    let left = u64::try_from(hour.plus(1).start().0 - now.0).ok().map(Duration::from_millis)?;
    (left <= lead).then_some((hour, left))
}

/// Whose keys to obtain in this tick: an even share for each tick that fits in what is `left` of the hour, as long as the
/// ring has `room` for every one of them.
fn plan(wanting: &[CustomerId], left: Duration, room: usize) -> &[CustomerId] {
    let ticks = usize::try_from(left.as_millis() / Premint::TICK.as_millis()).unwrap_or(usize::MAX).max(1);
    &wanting[..wanting.len().div_ceil(ticks).min(Premint::MOST).min(room)]
}

/// Puts customers in the order of their hashes: as good as any other, and the same again when newcomers have joined them.
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

    /// Sizes of the shares, tick by tick until the hour ends; and who was left out.
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
        assert_eq!(ending(end, LEAD), None, "that is the next hour's beginning");
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
        assert!(fewer == kept, "who joins or leaves changes nobody's turn");
    }
}
