//! Never too early, always in the end: random histories of commands, holds, clocks, crashes and sweeps, on a real store, each
//! step compared with a model that is nothing but sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hourseal::forget::*;
use hourseal::keys::*;
use hourseal::model::*;
use hourseal::stream::{
    Event, Input, NextOffset, NoHeaders, Outgoing, Ready, Sink, Step as _, StreamError, Txn,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::world::{HOUR, World, customer, long_tier, slot};

const CUSTOMERS: [&str; 2] = ["acme", "other"];
const STEPS: usize = 25;

/// SplitMix64: repeatable by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn number(&mut self, sides: u32) -> u32 {
        u32::try_from(self.below(sides.into())).expect("small")
    }
}

/// What is asked for in a step.
#[derive(Clone, Debug)]
enum Move {
    Tick(u32),
    Mint { who: usize, hour: u32, generation: u16 },
    Erase { who: usize, from: u32, to: u32, early: bool, signers: usize },
    EraseCustomer { who: usize, signers: usize },
    Hold { who: usize, id: u32, from: u32, to: u32, signers: usize },
    Release { who: usize, id: u32, signers: usize },
    Sweep,
    DestroyKek { day: u32 },
}

impl Move {
    /// Hours are counted from a day before [`HOUR`].
    fn drawn(dice: &mut Dice, now: u32) -> Self {
        let who = dice.number(2) as usize;
        let from = (now + 24).saturating_sub(dice.number(60));
        let to = from + dice.number(4);
        let (id, signers) = (dice.number(3), dice.number(3) as usize);
        match dice.below(20) {
            0..=3 => Self::Tick(1 + dice.number(14)),
            4..=10 => Self::Mint { who, hour: now + 24 - dice.number(8), generation: dice.number(2) as u16 },
            11..=13 => Self::Erase { who, from, to, early: dice.below(2) == 0, signers },
            14 | 15 => Self::Hold { who, id, from, to: to + dice.number(20), signers },
            16 => Self::Release { who, id, signers: 2 - dice.number(2) as usize },
            17 => Self::DestroyKek { day: dice.number(6) },
            18 if dice.below(4) == 0 => Self::EraseCustomer { who, signers },
            _ => Self::Sweep,
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct HourIs {
    live: BTreeSet<u16>,
    fenced: bool,
}

/// What should be there.
#[derive(Clone, Default)]
struct Model {
    /// Hours since a day before [`HOUR`].
    now: u32,
    hours: BTreeMap<(usize, u32), HourIs>,
    holds: BTreeMap<u32, (usize, u32, u32)>,
    closed: BTreeSet<usize>,
    /// Days whose KEK was registered, and destroyed.
    registered: BTreeSet<u32>,
    destroyed: BTreeSet<u32>,
    /// For the control: a model that is wrong.
    believes_in_no_holds: bool,
}

/// What a move should come to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Expected {
    Nothing,
    Minted(bool),
    Receipt(Outcome, Option<Why>),
}

impl Model {
    /// Due is the end of the hour and a day.
    fn is_due(&self, hour: u32) -> bool {
        self.now + 24 >= hour + 25
    }

    fn is_held(&self, who: usize, hour: u32) -> bool {
        let covers = |(of, from, to): &(usize, u32, u32)| *of == who && (*from..=*to).contains(&hour);
        !self.believes_in_no_holds && self.holds.values().any(covers)
    }

    fn forget(&mut self, who: usize, hour: u32) -> bool {
        let is = self.hours.entry((who, hour)).or_default();
        is.fenced = true;
        !std::mem::take(&mut is.live).is_empty()
    }

    fn play(&mut self, step: &Move) -> Expected {
        match *step {
            Move::Tick(hours) => {
                self.now += hours;
                Expected::Nothing
            }
            Move::Mint { who, hour, generation } => {
                let fenced = self.hours.get(&(who, hour)).is_some_and(|is| is.fenced);
                let may = !self.closed.contains(&who) && !fenced && !self.is_due(hour);
                if may {
                    self.hours.entry((who, hour)).or_default().live.insert(generation);
                    self.registered.insert((hour + 25) / 24);
                }
                Expected::Minted(may)
            }
            Move::Erase { who, from, to, early, signers } => self.erase(who, (from, to), early, signers),
            Move::EraseCustomer { who, signers } => self.erase_customer(who, signers),
            Move::Hold { who, id, from, to, signers } => {
                let hold = (who, from, to);
                match self.holds.get(&id) {
                    _ if signers == 0 => refused(Why::SignatureRequired),
                    Some(there) if *there != hold => refused(Why::HoldIdReuse),
                    _ => {
                        self.holds.insert(id, hold);
                        Expected::Receipt(Outcome::HoldPlaced, None)
                    }
                }
            }
            Move::Release { who, id, signers } => match self.holds.get(&id) {
                _ if signers < 2 => refused(Why::NotAuthorized),
                Some((of, _, _)) if *of == who => {
                    self.holds.remove(&id);
                    Expected::Receipt(Outcome::HoldReleased, None)
                }
                _ => refused(Why::UnknownHold),
            },
            Move::Sweep => self.sweep(),
            Move::DestroyKek { day } => self.destroy(day),
        }
    }

    fn erase(&mut self, who: usize, (from, to): (u32, u32), early: bool, signers: usize) -> Expected {
        let is_due = self.is_due(to);
        let gated_and_held = |hour: u32| self.hours.contains_key(&(who, hour)) && self.is_held(who, hour);
        match (early, signers) {
            (true, 0) => return refused(Why::SignatureRequired),
            (true, 1) if !is_due => return refused(Why::NotAuthorized),
            _ if (from..=to).any(gated_and_held) => return refused(Why::Held),
            (false, _) if !is_due => return refused(Why::NotDue),
            _ => {}
        }
        let (held, free): (Vec<u32>, Vec<u32>) = (from..=to).partition(|hour| self.is_held(who, *hour));
        let mut erased = false;
        for hour in free {
            erased |= self.forget(who, hour);
        }
        match (held.is_empty(), erased) {
            (false, _) => Expected::Receipt(Outcome::Incomplete, Some(Why::Held)),
            (true, true) => Expected::Receipt(Outcome::Erased, None),
            (true, false) => Expected::Receipt(Outcome::NothingToErase, None),
        }
    }

    fn erase_customer(&mut self, who: usize, signers: usize) -> Expected {
        match signers {
            0 => return refused(Why::SignatureRequired),
            1 => return refused(Why::NotAuthorized),
            _ if !self.believes_in_no_holds && self.holds.values().any(|(of, _, _)| *of == who) => {
                return refused(Why::Held);
            }
            _ => {}
        }
        self.closed.insert(who);
        let gated = self.hours.keys().filter(|(of, _)| *of == who).map(|(_, hour)| *hour);
        let reach = [self.now, self.now + 24 + 2];
        let (first, last) =
            gated.chain(reach).fold((u32::MAX, 0), |(first, last), hour| (first.min(hour), last.max(hour)));
        let mut erased = false;
        for hour in first..=last {
            erased |= self.forget(who, hour);
        }
        Expected::Receipt(if erased { Outcome::Erased } else { Outcome::NothingToErase }, None)
    }

    fn sweep(&mut self) -> Expected {
        let open = self.hours.iter().filter(|(_, is)| !is.fenced).map(|(at, _)| *at);
        let due: Vec<(usize, u32)> =
            open.filter(|(who, hour)| self.is_due(*hour) && !self.is_held(*who, *hour)).collect();
        let mut erased = false;
        for (who, hour) in &due {
            erased |= self.forget(*who, *hour);
        }
        match (due.is_empty(), erased) {
            (true, _) => Expected::Nothing,
            (false, true) => Expected::Receipt(Outcome::Erased, None),
            (false, false) => Expected::Receipt(Outcome::NothingToErase, None),
        }
    }

    /// What is due on a day is of the 25th to the second last hour before its own.
    fn destroy(&mut self, day: u32) -> Expected {
        let of_the_day = |hour: u32| (hour + 25) / 24 == day;
        let mut hours = self.hours.iter().filter(|((_, hour), _)| of_the_day(*hour));
        let is_needed = hours.any(|(_, is)| !is.fenced || !is.live.is_empty());
        let is_over = self.now + 24 >= (day + 1) * 24;
        if !self.registered.contains(&day) || !is_over || is_needed || !self.destroyed.insert(day) {
            return Expected::Nothing;
        }
        Expected::Receipt(Outcome::KekDestroyed, None)
    }
}

fn refused(why: Why) -> Expected {
    Expected::Receipt(Outcome::Refused, Some(why))
}

/// A sink that keeps the receipts of a transaction.
#[derive(Default)]
struct Sent(Vec<Receipt>);

impl Sink for Sent {
    type Membership = ();

    fn begin(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError> {
        self.0.push(Receipt::parse(record.value.expect("a receipt has a value")).expect("a receipt"));
        Ok(())
    }

    fn send_offsets(&mut self, _: &[NextOffset], (): &()) -> Result<(), StreamError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn abort(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn tainted(&self) -> bool {
        false
    }
}

struct Deaf;

impl Observer for Deaf {
    fn note(&mut self, _: &Event<'_>, _: &Tally) {}
}

/// A store, those who sign, and whoever executes.
struct House {
    world: World,
    runtime: Runtime,
    keys: [SigningKey; 2],
    trust: Arc<Trust>,
    executor: Executor,
    offset: i64,
}

impl House {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let world = World::new();
        let draw = || SigningKey::from_pem(&SigningKey::generate()).expect("as it was drawn");
        let keys = [draw(), draw()];
        let rights = json!(["erase", "erase-early", "hold", "release"]);
        let entry = |(at, key): (usize, &SigningKey)| json!({ "name": format!("key-{at}"), "public": key.public().to_string(), "rights": rights });
        let entries: Vec<Value> = keys.iter().enumerate().map(entry).collect();
        let trust = json!({ "version": 1, "keys": entries }).to_string();
        let trust = Arc::new(Trust::parse(&trust).expect("a trust store"));
        let executor = executor(&world, &runtime, &trust);
        let house = Self { world, runtime, keys, trust, executor, offset: 0 };
        // Beyond the grace of a KEK whose day ends with the hour.
        house.advance(20 * 60_000);
        house
    }

    fn advance(&self, milliseconds: i64) {
        self.world.clock.advance(milliseconds);
        self.world.store_clock.advance(milliseconds);
    }

    /// The receipt of a record. A crash comes after all was done and before it was committed: another process reads the
    /// record again.
    fn execute(&mut self, record: &[u8], crashes: bool) -> Option<Receipt> {
        self.offset += 1;
        if crashes {
            self.attempt(record);
            self.executor = executor(&self.world, &self.runtime, &self.trust);
        }
        let receipt = self.attempt(record);
        let offsets = [NextOffset { partition: 0, offset: self.offset + 1 }];
        self.executor.note(Event::Committed { offsets: &offsets, took: Duration::ZERO, lag: &[] });
        self.executor.clear();
        receipt
    }

    fn attempt(&mut self, record: &[u8]) -> Option<Receipt> {
        let (offset, headers) = (self.offset, &NoHeaders);
        let value = Some(record);
        self.executor.admit(&Input { partition: 0, offset, timestamp: None, key: None, value, headers });
        let until = Instant::now() + Duration::from_secs(20);
        while self.executor.prepare(until) != Ready::Yes {
            assert!(Instant::now() < until, "it is never ready");
        }
        let mut sent = Sent::default();
        self.executor.emit(&mut Txn::begin(&mut sent).expect("it begins")).expect("it is sent");
        assert!(sent.0.len() <= 1, "one record, one receipt");
        sent.0.pop()
    }

    fn play(&mut self, step: &Move, dice: &mut Dice) -> Result<Expected, String> {
        let record = match *step {
            Move::Tick(hours) => {
                self.advance(i64::from(hours) * 3_600_000);
                return Ok(Expected::Nothing);
            }
            Move::Mint { who, hour, generation } => {
                let slot = slot(CUSTOMERS[who], at(hour), generation);
                let obtained =
                    self.runtime.block_on(self.world.mint().obtain(&[slot], self.world.clock.now()));
                let obtained = obtained.map_err(|error| error.to_string())?;
                return Ok(Expected::Minted(matches!(obtained[0], Obtained::Key(_))));
            }
            Move::Sweep => Call::record(&Wants::Sweep(Due(0)), dice.below(u64::MAX)),
            Move::DestroyKek { day } => {
                let kek = KekId::of_due(Due(at(day * 24).0));
                Call::record(&Wants::DestroyKek(kek), dice.below(u64::MAX))
            }
            Move::Erase { who, from, to, early, signers } => {
                let reason = if early { "request" } else { "retention-end" };
                let fields = json!({ "type": "erase", "from_hour": at(from).0, "to_hour": at(to).0, "reason": reason });
                self.command(who, fields, signers)
            }
            Move::EraseCustomer { who, signers } => {
                self.command(who, json!({ "type": "erase-customer" }), signers)
            }
            Move::Hold { who, id, from, to, signers } => {
                let (from, to, id) = (at(from).0, at(to).0, format!("case-{id}"));
                let fields = json!({ "type": "hold", "from_hour": from, "to_hour": to, "hold": id });
                self.command(who, fields, signers)
            }
            Move::Release { who, id, signers } => {
                self.command(who, json!({ "type": "release", "hold": format!("case-{id}") }), signers)
            }
        };
        let receipt = self.execute(&record, dice.below(4) == 0);
        Ok(receipt.map_or(Expected::Nothing, |receipt| Expected::Receipt(receipt.outcome, receipt.why)))
    }

    fn command(&self, who: usize, mut fields: Value, signers: usize) -> Vec<u8> {
        let now = self.world.clock.now();
        let store = self.runtime.block_on(self.world.store().meta()).expect("it answers").store;
        let common = json!({ "id": format!("c-{}", self.offset), "customer": CUSTOMERS[who], "issuer": "a test",
            "deployment": store.to_string(), "not_before": now.plus(-1).to_string(),
            "expires": now.plus(3_600_000).to_string() });
        let common = common.as_object().expect("an object").clone();
        fields.as_object_mut().expect("an object").extend(common);
        let payload = fields.to_string().into_bytes();
        if signers == 0 {
            return payload;
        }
        let signed = pae(&payload);
        let of = |key: &SigningKey| Signature { hint: String::new(), bytes: key.sign(&signed).to_vec() };
        to_envelope(&payload, &self.keys[..signers].iter().map(of).collect::<Vec<_>>())
    }

    /// What the store has.
    fn hours(&self) -> BTreeMap<(usize, u32), HourIs> {
        let mut found = BTreeMap::new();
        for (who, name) in CUSTOMERS.iter().enumerate() {
            let token = self.world.store().token(&customer(name));
            let rows = self.runtime.block_on(self.world.store().hours(token, Hour(0), Hour(u32::MAX)));
            for HourRow { hour, gate, keys, .. } in rows.expect("it answers") {
                let live = keys.iter().filter(|key| key.state == KeyState::Live).map(|key| key.generation.0);
                found.insert((who, hour.0 - at(0).0), HourIs { live: live.collect(), fenced: gate.fenced });
            }
        }
        found
    }
}

fn executor(world: &World, runtime: &Runtime, trust: &Arc<Trust>) -> Executor {
    Executor::new(ExecutorParts {
        store: world.spy.clone(),
        vault: world.vault.clone(),
        clock: world.clock.clone(),
        runtime: runtime.handle().clone(),
        trust: Arc::new(Some(Arc::clone(trust))),
        signatures_required: false,
        receipt_bytes: 1_000_000,
        assumptions: Vec::new(),
        observer: Box::new(Deaf),
    })
}

/// The model's hours are counted from a day before [`HOUR`].
fn at(hour: u32) -> Hour {
    Hour(HOUR.0 - 24 + hour)
}

/// Plays a history to its end, and answers what its moves came to. `Err` says where store and model part.
fn play(seed: u64, mut model: Model) -> Result<BTreeSet<Expected>, String> {
    let (mut dice, mut house, mut past) = (Dice(seed), House::new(), Vec::new());
    let mut seen = BTreeSet::new();
    let mut go = |step: Move, house: &mut House, model: &mut Model, dice: &mut Dice| {
        let (is, expected) = (house.play(&step, dice)?, model.play(&step));
        past.push(step);
        if is != expected {
            return Err(format!("seed {seed}: {is:?}, and {expected:?} is expected, after {past:#?}"));
        }
        seen.insert(is);
        let (is, expected) = (house.hours(), &model.hours);
        if is != *expected {
            return Err(format!("seed {seed}: {is:#?}, and {expected:#?} is expected, after {past:#?}"));
        }
        Ok(is)
    };
    for _ in 0..STEPS {
        let step = Move::drawn(&mut dice, model.now);
        go(step, &mut house, &mut model, &mut dice)?;
    }
    // Always in the end: nothing is held any more, and time passes.
    for (id, (who, _, _)) in model.holds.clone() {
        go(Move::Release { who, id, signers: 2 }, &mut house, &mut model, &mut dice)?;
    }
    go(Move::Tick(80), &mut house, &mut model, &mut dice)?;
    let left = go(Move::Sweep, &mut house, &mut model, &mut dice)?;
    assert!(left.values().all(|is| is.live.is_empty()), "seed {seed}: {left:?}");
    for day in model.registered.clone() {
        go(Move::DestroyKek { day }, &mut house, &mut model, &mut dice)?;
        assert!(model.destroyed.contains(&day), "seed {seed}: the KEK of day {day} stays");
        let id = KekId::of_due(Due(at(day * 24).0));
        let kek = house.runtime.block_on(house.world.vault.find(&id)).expect("it answers");
        assert!(kek.is_none(), "seed {seed}");
    }
    Ok(seen)
}

#[test]
fn nothing_goes_too_early_or_against_a_hold_and_everything_goes_in_the_end() {
    let histories = if long_tier() { 10_000 } else { 60 };
    let seed: u64 =
        std::env::var("HOURSEAL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(random);
    println!("HOURSEAL_SEED={seed}");
    let mut seen = BTreeSet::new();
    for history in 0..histories {
        seen.extend(play(seed.wrapping_add(history), Model::default()).unwrap_or_else(|why| panic!("{why}")));
    }
    for (outcome, why) in [
        (Outcome::Erased, None),
        (Outcome::NothingToErase, None),
        (Outcome::HoldPlaced, None),
        (Outcome::HoldReleased, None),
        (Outcome::KekDestroyed, None),
        (Outcome::Refused, Some(Why::SignatureRequired)),
        (Outcome::Refused, Some(Why::NotAuthorized)),
        (Outcome::Refused, Some(Why::Held)),
        (Outcome::Refused, Some(Why::NotDue)),
        (Outcome::Refused, Some(Why::HoldIdReuse)),
        (Outcome::Refused, Some(Why::UnknownHold)),
    ] {
        assert!(seen.contains(&Expected::Receipt(outcome, why)), "no history came to {outcome:?} {why:?}");
    }
    assert!(seen.contains(&Expected::Minted(true)) && seen.contains(&Expected::Minted(false)));
}

fn random() -> u64 {
    u64::from_be_bytes(crate::world::random())
}

#[test]
fn the_comparison_notices_a_model_that_believes_in_no_holds() {
    let wrong = || Model { believes_in_no_holds: true, ..Model::default() };
    assert!((0..100).any(|seed| play(seed, wrong()).is_err()));
}
