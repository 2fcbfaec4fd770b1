//! The sealing step and its bounds of new slots, on a ring over a real store.

use std::sync::Arc;

use hourseal::envelope::StreamName;
use hourseal::keys::TokenKey;
use hourseal::lane::{
    Admit, Keys, LaneParts, Limits, MaxMessageBytes, Observer, OutputKey, Outputs, Partitioner, Placement,
    SealingLane, Skip, SlotLimits, Tally, TimestampBounds,
};
use hourseal::model::*;
use hourseal::stream::{Event, Input, NoHeaders, Park, Ready, Step, Take};

use crate::ring::{Ringed, soon};
use crate::world::{HOUR, slot};

const MINUTE: i64 = 60_000;
const FLOOD: i32 = 3;

struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _event: &Event<'_>, _tally: &Tally) {}
}

/// A lane that takes two new slots per minute of each partition.
fn lane(ringed: &Ringed, runaway_minutes: usize) -> SealingLane {
    let limits = Limits {
        max_future_ms: 300_000,
        grace_ms: 300_000,
        max_event_bytes: 1_000,
        output_bytes: MaxMessageBytes::new(10_000),
        quarantine_bytes: MaxMessageBytes::new(10_000),
        timestamps: TimestampBounds::unlimited(),
    };
    SealingLane::new(LaneParts {
        admit: Admit {
            customer: "key".parse().expect("a place"),
            time: "timestamp".parse().expect("a place"),
            skip: Skip::None,
            limits,
        },
        keys: Keys { ring: Arc::new(ringed.ring.clone()), token_key: Arc::new(TokenKey::random()) },
        clock: ringed.world.clock.clone(),
        stream: StreamName::parse("jobs").expect("a name"),
        input: "jobs".to_owned(),
        outputs: Outputs { output: Placement::new(4), classes: Vec::new() },
        partitioner: Partitioner::CustomerHour,
        output_key: OutputKey::Customer,
        clear_headers: Vec::new(),
        batch_bytes: 1_000_000,
        slot_limits: SlotLimits::per_minute(2, runaway_minutes),
        observer: Box::new(Nobody),
    })
}

fn admit(lane: &mut SealingLane, partition: i32, customer: &str) -> Result<Take, Park> {
    let timestamp = Some(HOUR.start());
    let key = Some(customer.as_bytes());
    lane.admit(&Input { partition, offset: 0, timestamp, key, value: Some(b"x"), headers: &NoHeaders })
}

/// Obtains the keys of the batch, and closes it as if it was committed. Returns its number of records.
fn settle(lane: &mut SealingLane) -> usize {
    let count = (0..).take_while(|place| lane.origin(*place).is_some()).count();
    assert_eq!(lane.prepare(soon()), Ready::Yes);
    lane.clear();
    count
}

fn is_minted(ringed: &Ringed, customer: CustomerId) -> bool {
    let slot = Slot { customer, hour: HOUR, generation: Generation(0) };
    let world = &ringed.world;
    let found = ringed.runtime.block_on(world.store().fetch(&[world.place(&slot)])).expect("it answers");
    found[0].key.is_some()
}

#[test]
fn a_record_over_the_budget_is_not_taken_and_makes_no_key() {
    let ringed = Ringed::leased();
    let mut lane = lane(&ringed, 0);
    for customer in ["one", "two", "one"] {
        assert_eq!(admit(&mut lane, FLOOD, customer), Ok(Take::More));
    }
    let Err(Park::SlotBudget { limit: 2, rest }) = admit(&mut lane, FLOOD, "three") else {
        panic!("it is over the budget")
    };
    assert!(rest.as_secs() == 60);
    assert_eq!(admit(&mut lane, FLOOD + 1, "four"), Ok(Take::More), "another partition has its own budget");
    assert_eq!(settle(&mut lane), 4);
    let minted = ["one", "two", "three", "four"].map(|id| is_minted(&ringed, slot(id, HOUR, 0).customer));
    assert_eq!(minted, [true, true, false, true]);
    assert_eq!(admit(&mut lane, FLOOD, "one"), Ok(Take::More), "its key is there");
    settle(&mut lane);
    ringed.advance(MINUTE);
    assert_eq!(admit(&mut lane, FLOOD, "three"), Ok(Take::More), "a new minute");
}

#[test]
fn keys_in_memory_cost_no_budget() {
    let ringed = Ringed::leased();
    let mut lane = lane(&ringed, 0);
    let customers: Vec<String> = (0..20).map(|n| format!("customer {n}")).collect();
    let slots: Vec<Slot> = customers.iter().map(|id| slot(id, HOUR, 0)).collect();
    ringed.ring.obtain(&slots, soon()).expect("it answers");
    for customer in &customers {
        assert_eq!(admit(&mut lane, FLOOD, customer), Ok(Take::More));
    }
    assert_eq!(settle(&mut lane), 20);
}

#[test]
fn without_a_lease_a_slot_is_counted_once() {
    let ringed = Ringed::new();
    let mut lane = lane(&ringed, 0);
    for _ in 0..5 {
        for customer in ["one", "two"] {
            assert_eq!(admit(&mut lane, FLOOD, customer), Ok(Take::More));
        }
        assert_eq!((settle(&mut lane), ringed.entries()), (2, 0));
    }
}

#[test]
fn what_a_runaway_has_over_its_budget_is_sealed_for_the_quarantine() {
    let ringed = Ringed::leased();
    let mut lane = lane(&ringed, 1);
    for customer in ["one", "two"] {
        assert_eq!(admit(&mut lane, FLOOD, customer), Ok(Take::More));
    }
    assert!(admit(&mut lane, FLOOD, "three").is_err());
    settle(&mut lane);
    ringed.advance(MINUTE);
    for customer in ["three", "four", "five", "six"] {
        assert_eq!(admit(&mut lane, FLOOD, customer), Ok(Take::More));
    }
    assert_eq!(settle(&mut lane), 4);
    let minted = ["three", "four", "five", "six"].map(|id| is_minted(&ringed, slot(id, HOUR, 0).customer));
    assert_eq!(minted, [true, true, false, false]);
    assert!(is_minted(&ringed, CustomerId::quarantine()));
    assert_eq!(ringed.entries(), 5);
}
