//! Nothing is erased too early, and everything is erased finally. Random histories of commands,
//! holds, clocks, crashes and sweeps run on a real store. Each step is compared with a model that
//! consists only of sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hourseal::forget::*;
use hourseal::keys::*;
use hourseal::model::*;
use hourseal::stream::{
    Event, Input, NextOffset, NoHeaders, Outgoing, Ready, Sink, Step as _, StreamError, Txn,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::conformance::Subject as _;
use crate::scylla::{Cql, new_in, replicas};
use crate::world::{HOUR, World, customer, long_tier, slot};

const CUSTOMERS: [&str; 2] = ["acme", "other"];
const STEPS: usize = 25;

/// SplitMix64: a seed repeats its numbers.
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

/// The action of a step.
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
    Retention { who: usize, hours: u32, signers: usize },
}

impl Move {
    fn drawn(dice: &mut Dice, now: u32) -> Self {
        let who = dice.number(2) as usize;
        let from = now - dice.number(60);
        let to = from + dice.number(4);
        let (id, signers) = (dice.number(6), dice.number(3) as usize);
        match dice.below(22) {
            0..=3 => Self::Tick(1 + dice.number(20)),
            4..=10 => Self::Mint { who, hour: now - dice.number(8), generation: dice.number(2) as u16 },
            11..=13 => Self::Erase { who, from, to, early: dice.below(2) == 0, signers },
            14 | 15 => Self::Hold { who, id, from, to: to + dice.number(20), signers },
            16 => Self::Release { who, id, signers: 2 - dice.number(2) as usize },
            17 => Self::DestroyKek { day: (now / 24).saturating_sub(dice.number(4)) },
            20 | 21 => Self::Retention { who, hours: 1 + dice.number(60), signers },
            18 if dice.below(4) == 0 => Self::EraseCustomer { who, signers },
            _ => Self::Sweep,
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct HourIs {
    live: BTreeSet<u16>,
    fenced: bool,
    due: u32,
    /// The day of the KEK in its gate.
    kek_day: Option<u32>,
}

/// The expected content of the store.
#[derive(Clone)]
struct Model {
    now: u32,
    retention: [u32; 2],
    /// Hours that were due when a retention was changed stay due.
    floor: [u32; 2],
    hours: BTreeMap<(usize, u32), HourIs>,
    holds: BTreeMap<u32, (usize, u32, u32)>,
    lifted: BTreeSet<u32>,
    closed: BTreeSet<usize>,
    /// Days whose KEK was registered, and days whose KEK was destroyed.
    registered: BTreeSet<u32>,
    destroyed: BTreeSet<u32>,
    /// A wrong model, for the negative control.
    believes_in_no_holds: bool,
}

/// The expected result of a move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Expected {
    Nothing,
    Minted(bool),
    Receipt(Outcome, Option<Why>),
    KekOfAHold(Outcome),
}

impl Default for Model {
    fn default() -> Self {
        Self {
            now: BEFORE,
            retention: [24; 2],
            floor: [0; 2],
            hours: BTreeMap::new(),
            holds: BTreeMap::new(),
            lifted: BTreeSet::new(),
            closed: BTreeSet::new(),
            registered: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            believes_in_no_holds: false,
        }
    }
}

impl Model {
    /// Returns the due in the gate, or the due that a new gate would have.
    fn due(&self, who: usize, hour: u32) -> u32 {
        self.hours.get(&(who, hour)).map_or(hour + 1 + self.retention[who], |is| is.due)
    }

    fn is_due(&self, who: usize, hour: u32) -> bool {
        self.now >= self.due(who, hour)
    }

    fn is_held(&self, who: usize, hour: u32) -> bool {
        let covers = |(of, from, to): &(usize, u32, u32)| *of == who && (*from..=*to).contains(&hour);
        !self.believes_in_no_holds && self.holds.values().any(covers)
    }

    fn forget(&mut self, who: usize, hour: u32) -> bool {
        let due = self.due(who, hour);
        let is = self.hours.entry((who, hour)).or_default();
        (is.fenced, is.due) = (true, due);
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
                let forgotten = fenced || self.closed.contains(&who) || hour < self.floor[who];
                let may = !forgotten && !self.is_due(who, hour);
                if may {
                    let due = self.due(who, hour);
                    let is = self.hours.entry((who, hour)).or_default();
                    is.live.insert(generation);
                    is.due = due;
                    self.registered.insert(*is.kek_day.get_or_insert(due / 24));
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
                    None if self.lifted.contains(&id) => refused(Why::HoldIdReuse),
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
                    self.lifted.insert(id);
                    Expected::Receipt(Outcome::HoldReleased, None)
                }
                _ => refused(Why::UnknownHold),
            },
            Move::Sweep => self.sweep(),
            Move::DestroyKek { day } => self.destroy(day),
            Move::Retention { who, hours, signers } => self.retain(who, hours, signers),
        }
    }

    fn erase(&mut self, who: usize, (from, to): (u32, u32), early: bool, signers: usize) -> Expected {
        let is_due = (from..=to).all(|hour| self.is_due(who, hour));
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
        let reach = [self.now - self.retention[who], self.now + 2];
        let (first, last) =
            gated.chain(reach).fold((u32::MAX, 0), |(first, last), hour| (first.min(hour), last.max(hour)));
        let mut erased = false;
        for hour in first..=last {
            erased |= self.forget(who, hour);
        }
        Expected::Receipt(if erased { Outcome::Erased } else { Outcome::NothingToErase }, None)
    }

    fn retain(&mut self, who: usize, retention: u32, signers: usize) -> Expected {
        let now = self.now;
        let of = self.hours.iter().filter(|((of, _), is)| *of == who && !is.fenced && is.due > now);
        let kept = of.map(|((_, hour), _)| *hour).min().unwrap_or(u32::MAX);
        let of = self.hours.iter_mut().filter(|((of, _), _)| *of == who);
        let mut moves: Vec<(u32, &mut HourIs)> =
            of.filter_map(|((_, hour), is)| Some((moved(now, *hour, retention, is)?, is))).collect();
        let shortens = retention < self.retention[who] || moves.iter().any(|(due, is)| *due < is.due);
        match signers {
            0 => return refused(Why::SignatureRequired),
            1 if shortens => return refused(Why::NotAuthorized),
            _ => {}
        }
        self.floor[who] = self.floor[who].max(kept.min(now - self.retention[who]));
        for (due, is) in &mut moves {
            is.due = *due;
            // A KEK of a later day is kept.
            is.kek_day = is.kek_day.max(Some(*due / 24));
            self.registered.insert(*due / 24);
        }
        for ((of, hour), is) in &mut self.hours {
            if *of == who && is.fenced && is.due > now {
                is.due = is.due.max(hour + 1 + retention);
            }
        }
        self.retention[who] = retention;
        Expected::Receipt(Outcome::RetentionSet, None)
    }

    fn sweep(&mut self) -> Expected {
        let open = self.hours.iter().filter(|(_, is)| !is.fenced).map(|(at, _)| *at);
        let due: Vec<(usize, u32)> =
            open.filter(|(who, hour)| self.is_due(*who, *hour) && !self.is_held(*who, *hour)).collect();
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

    /// Destroys a KEK. Keys under a hold get another KEK first.
    fn destroy(&mut self, day: u32) -> Expected {
        let is_left = |is: &HourIs| !is.fenced || !is.live.is_empty();
        let of_the_day = |is: &HourIs| is.kek_day == Some(day) || (!is.fenced && is.due / 24 == day);
        let mut hours = self.hours.iter().filter(|(_, is)| is_left(is) && of_the_day(is));
        let is_needed = hours.any(|((who, hour), _)| !self.is_held(*who, *hour));
        let is_over = self.now >= (day + 1) * 24;
        if !self.registered.contains(&day) || !is_over || is_needed || !self.destroyed.insert(day) {
            return Expected::Nothing;
        }
        Expected::Receipt(Outcome::KekDestroyed, None)
    }
}

/// Returns the new due of an hour that is not due yet, if its due changes.
fn moved(now: u32, hour: u32, retention: u32, is: &HourIs) -> Option<u32> {
    let due = (hour + 1 + retention).max(now + 1);
    Some(due).filter(|due| !is.fenced && is.due > now && *due != is.due)
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

    fn refused(&mut self) -> Vec<usize> {
        Vec::new()
    }

    fn tainted(&self) -> bool {
        false
    }

    fn outdated(&self) -> Option<String> {
        None
    }
}

struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _: &Event<'_>, _: &Tally) {}
}

/// The place of the keys.
#[derive(Clone, Copy)]
enum On<'a> {
    File,
    Server(&'a Cql),
}

/// A store, the signers and the executor.
struct House {
    world: World,
    runtime: Runtime,
    keys: [SigningKey; 2],
    trust: Arc<Trust>,
    executor: Executor,
    offset: i64,
}

impl House {
    fn new(on: On<'_>) -> Self {
        let runtime = runtime();
        let world = match on {
            On::File => World::new(),
            On::Server(subject) => runtime.block_on(World::on(|vault| new_in(subject, vault))),
        };
        let draw = || SigningKey::from_pem(&SigningKey::generate()).expect("as it was drawn");
        let keys = [draw(), draw()];
        let rights = json!(["erase", "erase-early", "hold", "release", "retention", "shorten"]);
        let entry = |(at, key): (usize, &SigningKey)| {
            let (name, public) = (format!("key-{at}"), key.public().to_string());
            json!({ "name": name, "public": public, "rights": rights })
        };
        let entries: Vec<Value> = keys.iter().enumerate().map(entry).collect();
        let trust = json!({ "version": 1, "keys": entries }).to_string();
        let trust = Arc::new(Trust::parse(&trust).expect("a trust store"));
        let executor = executor(&world, &runtime, &trust);
        let house = Self { world, runtime, keys, trust, executor, offset: 0 };
        // This is after the grace period of a KEK whose day ends with the hour.
        house.advance(20 * 60_000);
        house
    }

    fn advance(&self, milliseconds: i64) {
        self.world.clock.advance(milliseconds);
        self.world.store_clock.advance(milliseconds);
    }

    /// Executes a record and returns its receipt. The crash comes after the work and before the commit:
    /// another process reads the record again.
    fn execute(&mut self, record: &[u8], crashes: bool) -> Option<Receipt> {
        self.offset += 1;
        if crashes {
            self.attempt(record);
            self.executor = executor(&self.world, &self.runtime, &self.trust);
        }
        let receipt = self.attempt(record);
        let offsets = [NextOffset { partition: 0, offset: self.offset + 1 }];
        self.executor.observe(Event::Committed { offsets: &offsets, took: Duration::ZERO, lag: &[] });
        self.executor.clear();
        receipt
    }

    fn attempt(&mut self, record: &[u8]) -> Option<Receipt> {
        let (offset, headers) = (self.offset, &NoHeaders);
        let value = Some(record);
        let input = Input { partition: 0, offset, timestamp: None, key: None, value, headers };
        self.executor.admit(&input).expect("the executor takes every record");
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
            Move::Retention { who, hours, signers } => {
                self.command(who, json!({ "type": "retention", "retention_hours": hours }), signers)
            }
            Move::Erase { who, from, to, early, signers } => {
                let reason = if early { "request" } else { "retention-end" };
                let fields = json!({ "type": "erase", "from_hour": at(from).0, "to_hour": at(to).0,
                    "reason": reason });
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

    /// Returns the number of keys that a reader can get.
    fn opened(&self) -> usize {
        let finder = Finder::new(self.world.spy.clone(), self.world.vault.clone());
        let mut opened = 0;
        for name in CUSTOMERS.map(customer) {
            let token = self.world.store().token(&name);
            let rows = self.runtime.block_on(self.world.store().hours(token, Hour(0), Hour(u32::MAX)));
            for HourRow { hour, keys, .. } in rows.expect("it answers") {
                for key in keys {
                    let found = finder.find(&name, hour, key.generation, key.key_id);
                    opened += usize::from(matches!(self.runtime.block_on(found), Lookup::Key(_)));
                }
            }
        }
        opened
    }

    fn command(&self, who: usize, mut fields: Value, signers: usize) -> Vec<u8> {
        let now = self.world.clock.now();
        let store = self.runtime.block_on(self.world.store().meta()).expect("it answers").store;
        let common = json!({ "id": format!("c-{}", self.offset), "customer": CUSTOMERS[who],
            "issuer": "a test", "deployment": store.to_string(), "not_before": now.plus(-1).to_string(),
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

    /// Returns the content of the store.
    fn hours(&self) -> BTreeMap<(usize, u32), HourIs> {
        let mut found = BTreeMap::new();
        for (who, name) in CUSTOMERS.iter().enumerate() {
            let token = self.world.store().token(&customer(name));
            let rows = self.runtime.block_on(self.world.store().hours(token, Hour(0), Hour(u32::MAX)));
            for HourRow { hour, gate, keys, .. } in rows.expect("it answers") {
                let live = keys.iter().filter(|key| key.state == KeyState::Live).map(|key| key.generation.0);
                let kek_day = gate.kek.and_then(|kek| Hour::containing(kek.ends()));
                let is = HourIs {
                    live: live.collect(),
                    fenced: gate.fenced,
                    due: gate.due.0 - at(0).0,
                    kek_day: kek_day.map(|end| (end.0 - at(0).0) / 24 - 1),
                };
                found.insert((who, hour.0 - at(0).0), is);
            }
        }
        found
    }
}

fn runtime() -> Runtime {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.expect("a runtime")
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
        settles_in: Duration::ZERO,
        observer: Box::new(Deaf),
    })
}

/// The model begins at [`HOUR`]. Its hours are counted from ten days before that.
const BEFORE: u32 = 240;

fn at(hour: u32) -> Hour {
    Hour(HOUR.0 - BEFORE + hour)
}

/// Plays a history to its end, and returns the results of its moves. `Err` describes the first difference
/// between store and model.
fn play(seed: u64, on: On<'_>, mut model: Model) -> Result<BTreeSet<Expected>, String> {
    let (mut dice, mut house, mut past) = (Dice(seed), House::new(on), Vec::new());
    let mut seen = BTreeSet::new();
    let mut go = |step: Move, house: &mut House, model: &mut Model, dice: &mut Dice| {
        let (is, expected) = (house.play(&step, dice)?, model.play(&step));
        past.push(step);
        if is != expected {
            return Err(format!("seed {seed}: {is:?}, and {expected:?} is expected, after {past:#?}"));
        }
        seen.insert(is);
        let live: usize = model.hours.values().map(|is| is.live.len()).sum();
        if is == Expected::Receipt(Outcome::KekDestroyed, None) && house.opened() != live {
            return Err(format!("seed {seed}: {} of {live} live keys open, after {past:#?}", house.opened()));
        }
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
    // Held hours outlive their day.
    let held = if seed.is_multiple_of(2) { model.registered.clone() } else { BTreeSet::new() };
    go(Move::Tick(100), &mut house, &mut model, &mut dice)?;
    go(Move::Sweep, &mut house, &mut model, &mut dice)?;
    for day in held {
        go(Move::DestroyKek { day }, &mut house, &mut model, &mut dice)?;
    }
    // Finally all holds are released, and everything must be erased.
    for (id, (who, _, _)) in model.holds.clone() {
        go(Move::Release { who, id, signers: 2 }, &mut house, &mut model, &mut dice)?;
    }
    let left = go(Move::Sweep, &mut house, &mut model, &mut dice)?;
    assert!(left.values().all(|is| is.live.is_empty()), "seed {seed}: {left:?}");
    for day in model.registered.clone() {
        go(Move::DestroyKek { day }, &mut house, &mut model, &mut dice)?;
        assert!(model.destroyed.contains(&day), "seed {seed}: the KEK of day {day} stays");
    }
    let keks = house.runtime.block_on(house.world.store().keks()).expect("it answers");
    for KekRow { id, .. } in keks {
        if id.is_of_a_hold() {
            let call = Call::record(&Wants::DestroyKek(id.clone()), dice.below(u64::MAX));
            let receipt = house.execute(&call, dice.below(4) == 0).expect("nothing keeps it");
            seen.insert(Expected::KekOfAHold(receipt.outcome));
        }
        let kek = house.runtime.block_on(house.world.vault.find(&id)).expect("it answers");
        assert!(kek.is_none(), "seed {seed}: {id} stays");
    }
    Ok(seen)
}

#[test]
fn nothing_goes_too_early_or_against_a_hold_and_everything_goes_in_the_end() {
    let histories = if long_tier() { 10_000 } else { 60 };
    let seed = seed();
    let mut seen = BTreeSet::new();
    for history in 0..10_000 {
        // Rare results need more histories.
        if history >= histories && ALL_KINDS.iter().all(|kind| seen.contains(kind)) {
            break;
        }
        seen.extend(
            play(seed.wrapping_add(history), On::File, Model::default())
                .unwrap_or_else(|why| panic!("{why}")),
        );
    }
    for kind in ALL_KINDS {
        assert!(seen.contains(&kind), "no history came to {kind:?}");
    }
}

/// The results that the histories must reach. Without them, the test shows little.
const ALL_KINDS: [Expected; 15] = [
    Expected::Receipt(Outcome::Erased, None),
    Expected::Receipt(Outcome::NothingToErase, None),
    Expected::Receipt(Outcome::HoldPlaced, None),
    Expected::Receipt(Outcome::HoldReleased, None),
    Expected::Receipt(Outcome::RetentionSet, None),
    Expected::Receipt(Outcome::KekDestroyed, None),
    Expected::Receipt(Outcome::Refused, Some(Why::SignatureRequired)),
    Expected::Receipt(Outcome::Refused, Some(Why::NotAuthorized)),
    Expected::Receipt(Outcome::Refused, Some(Why::Held)),
    Expected::Receipt(Outcome::Refused, Some(Why::NotDue)),
    Expected::Receipt(Outcome::Refused, Some(Why::HoldIdReuse)),
    Expected::Receipt(Outcome::Refused, Some(Why::UnknownHold)),
    // An hour was held beyond its day.
    Expected::KekOfAHold(Outcome::KekDestroyed),
    Expected::Minted(true),
    Expected::Minted(false),
];

#[test]
fn on_a_server_they_end_as_the_model_says_too() {
    if !Cql::is_there() {
        return;
    }
    // The server does most of the work: parallel histories keep it busy.
    let (histories, at_once) = match (long_tier(), replicas()) {
        (true, 1) => (10_000, 8),
        (true, _) => (1_000, 8),
        (false, _) => (4, 2),
    };
    let (seed, next, begun) = (seed(), AtomicU64::new(0), Instant::now());
    let play_some = || {
        let (runtime, mut seen) = (runtime(), BTreeSet::new());
        let subject = runtime.block_on(Cql::fleeting());
        let raw = runtime.block_on(subject.raw());
        loop {
            let history = next.fetch_add(1, Ordering::Relaxed);
            if history >= histories {
                return (seen, subject);
            }
            if history.is_multiple_of(100) {
                println!("history {history} after {:.0?}", begun.elapsed());
            }
            let played = play(seed.wrapping_add(history), On::Server(&subject), Model::default());
            seen.extend(played.unwrap_or_else(|why| {
                next.store(histories, Ordering::Relaxed);
                panic!("{why}")
            }));
            runtime.block_on(subject.empty(&raw));
        }
    };
    // Keyspaces are dropped only after the last history: nodes with Paxos rounds in a dropped keyspace do not
    // answer for a while.
    let played: Vec<(BTreeSet<Expected>, Cql)> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..at_once).map(|_| scope.spawn(play_some)).collect();
        players.into_iter().map(|player| player.join().expect("it agrees with the model")).collect()
    });
    let seen: BTreeSet<Expected> = played.iter().flat_map(|(seen, _)| seen.iter().copied()).collect();
    assert!(!long_tier() || ALL_KINDS.iter().all(|kind| seen.contains(kind)), "{seen:?}");
}

#[test]
fn an_hour_whose_key_does_not_open_keeps_its_due_and_the_receipt_says_so() {
    let (mut house, mut dice) = (House::new(On::File), Dice(7));
    for hour in [BEFORE - 1, BEFORE] {
        house.play(&Move::Mint { who: 0, hour, generation: 0 }, &mut dice).expect("minted");
    }
    house.world.sql(&format!("UPDATE key SET wrapped = randomblob(74) WHERE hour = {}", at(BEFORE).0));
    let longer = Move::Retention { who: 0, hours: 50, signers: 1 };
    let incomplete = Expected::Receipt(Outcome::Incomplete, Some(Why::NotConfirmed));
    assert_eq!(house.play(&longer, &mut dice), Ok(incomplete));
    let dues: Vec<u32> = house.hours().values().map(|is| is.due).collect();
    assert_eq!(dues, [BEFORE + 50, BEFORE + 25], "the other one goes with the rule");
    house.play(&Move::Mint { who: 0, hour: BEFORE + 1, generation: 0 }, &mut dice).expect("minted");
    assert_eq!(house.hours()[&(0, BEFORE + 1)].due, BEFORE + 52);
}

/// Returns the seed of the first history. Each further history has the next number.
fn seed() -> u64 {
    let drawn = || u64::from_be_bytes(crate::world::random());
    let seed = std::env::var("HOURSEAL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(drawn);
    println!("HOURSEAL_SEED={seed}");
    seed
}

#[test]
fn the_comparison_notices_a_model_that_believes_in_no_holds() {
    let wrong = || Model { believes_in_no_holds: true, ..Model::default() };
    assert!((0..100).any(|seed| play(seed, On::File, wrong()).is_err()));
}
