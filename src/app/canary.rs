//! `hourseal canary`: a process that tests the whole path from outside. Each hour it sends an event of a
//! customer of its own, opens it from the output, and verifies after its retention that it can no longer be
//! opened.
//!
//! Promise: it needs the rights of a producer and of a reader, and no command key. Workers seal and forget
//! its events as all others; `hourseal retention set` sets how long they are kept.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::basis::Basis;
use super::metrics::{CanaryMetrics, CanaryOutcome};
use super::service::{Host, Service};
use super::threads::Threads;
use super::{CurrentKeys, Failure, Foundation, build};
use crate::config::Config;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::post::{Record as Posted, post};
use crate::edge::kafka::scan::{Next, Range, Scanned, Scans};
use crate::envelope::random;
use crate::lane::Specimen;
use crate::model::{CustomerId, Hour, Millis, Retention, Slot};
use crate::reader::{Opener, Outcome, Reading};
use crate::stream::Stop;
use crate::telemetry::{Condition, codes, info, warn};

/// Time from one look to the next.
const LOOK: Duration = Duration::from_secs(10);
/// Time that an event may take to the output.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// Time after its due during which an event may still open, in milliseconds: the sweep takes time.
const MARGIN_MS: i64 = 15 * 60_000;
/// Retention of its events. The alert on a missing proof (`HoursealCanaryStale`) relies on it.
const KEPT: Retention = Retention::hours(1).expect("not zero");
/// Most events that are looked at again: those of two days, if none is forgotten.
const LOOKED_AT: usize = 48;

/// Sends and verifies events until a signal or a fault.
///
/// # Errors
/// 78 when the settings have no place for its events, when their retention is not one hour, or when the key
/// store is behind its receipts. 69 when a dependency is away.
pub fn canary(config: &Config, host: Host) -> Result<(), Failure> {
    let service = Service::new(config, host, None);
    let (basis, config) = (service.basis.clone(), config.clone());
    service.run(build::runtime()?, move |runtime| {
        let canary = Canary::new(&config, runtime, &basis)?;
        let mut threads = Threads::default();
        threads.start("canary", move || canary.run(&basis.stop))?;
        Ok(threads)
    })
}

struct Canary {
    config: Config,
    customer: CustomerId,
    foundation: Foundation,
    keys: CurrentKeys,
    client: ClientSettings,
    runtime: Handle,
    metrics: CanaryMetrics,
    condition: Condition,
}

/// An event that was opened.
struct Caught {
    record: Scanned,
    slot: Slot,
    /// The log has said that it can be opened for too long.
    reported: bool,
}

impl Canary {
    fn new(config: &Config, runtime: &Handle, basis: &Basis) -> Result<Self, Failure> {
        let customer = CustomerId::parse(&config.canary.customer)
            .map_err(|why| Failure::new(Failure::CONFIG, format!("canary.customer: {why}")))?;
        if Specimen::new((&config.event.customer, &config.event.time), &customer, Millis(0), "").is_none() {
            let message = "event.customer and event.time leave no room for the canary's customer and time";
            return Err(Failure::new(Failure::CONFIG, message).hint(
                "its event holds both at the first place of each setting, and its customer is not a number",
            ));
        }
        let foundation = basis.open(config, runtime, false)?;
        basis.starting.at("the receipts are being checked");
        check_retention(&foundation, &customer, runtime)?;
        Ok(Self {
            config: config.clone(),
            customer,
            keys: CurrentKeys::open(foundation.clone(), config, basis.client.clone(), runtime)?,
            client: basis.client.clone(),
            runtime: runtime.clone(),
            metrics: CanaryMetrics::register(&basis.telemetry.registry, foundation.clock.now()),
            condition: basis.telemetry.readiness.condition("canary"),
            foundation,
        })
    }

    /// Looks until the stop.
    fn run(mut self, stop: &Stop) {
        let mut caught: Vec<Caught> = Vec::new();
        let (mut sealed, mut waits) = (None, false);
        while !stop.requested() {
            match self.turn(&mut caught, &mut sealed, stop) {
                Ok(()) => {
                    waits = false;
                    self.condition.met();
                }
                Err(_) if stop.requested() => {}
                Err(why) => {
                    self.condition.unmet(&*why);
                    if !std::mem::replace(&mut waits, true) {
                        warn!(
                            codes::CANARY_FAILED,
                            why, "could not send or verify an event of the canary; retrying"
                        );
                    }
                }
            }
            let next = Instant::now() + LOOK;
            while !stop.requested() && Instant::now() < next {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }

    /// `sealed` is the last hour that has an event of this process.
    fn turn(
        &mut self,
        caught: &mut Vec<Caught>,
        sealed: &mut Option<Hour>,
        stop: &Stop,
    ) -> Result<(), String> {
        self.keys.ensure().map_err(|failure| failure.to_string())?;
        let hour = Hour::containing(self.now());
        if *sealed != hour {
            caught.push(self.catch(stop)?);
            self.metrics.came_to(CanaryOutcome::Opened);
            *sealed = hour;
        }
        // An event that is not forgotten for so long was reported when it was due.
        caught.drain(..caught.len().saturating_sub(LOOKED_AT));
        for at in (0..caught.len()).rev() {
            if self.is_forgotten(&mut caught[at])? {
                let hour = caught.remove(at).slot.hour.0;
                self.metrics.came_to(CanaryOutcome::Forgotten);
                self.metrics.proven_at(self.now());
                info!(
                    codes::CANARY_FORGOTTEN,
                    hour, "the canary's event of this hour can no longer be opened"
                );
            }
        }
        Ok(())
    }

    /// Sends an event, waits for it in the output, and opens it.
    fn catch(&self, stop: &Stop) -> Result<Caught, String> {
        let mut note = [0; 16];
        random(&mut note);
        let note = hex::encode(note);
        let event = &self.config.event;
        let specimen = Specimen::new((&event.customer, &event.time), &self.customer, self.now(), &note)
            .ok_or("its places exclude each other")?;
        let mut scan = Scans::begin(&self.client, &self.config.topics.outputs(), Range::New)
            .map_err(|error| error.to_string())?;
        let posted = Posted {
            key: specimen.key.as_deref(),
            headers: &specimen.headers,
            value: &specimen.value,
            timestamp: Some(specimen.timestamp),
        };
        post(&self.client, &self.config.topics.input, &posted).map_err(|error| error.to_string())?;
        let until = Instant::now() + UNDER_WAY;
        while Instant::now() < until && !stop.requested() {
            let next = scan.next(Duration::from_millis(500)).map_err(|error| error.to_string())?;
            let Next::Record(record) = next else { continue };
            if let Some(slot) = self.noted(&record, &note) {
                return Ok(Caught { record, slot, reported: false });
            }
        }
        if !stop.requested() {
            self.metrics.came_to(CanaryOutcome::NotSealed);
        }
        Err(format!("its event was not found in the output within {} s", UNDER_WAY.as_secs()))
    }

    /// Returns the slot of a record that opens to the event with this note.
    fn noted(&self, record: &Scanned, note: &str) -> Option<Slot> {
        if record.record(&record.event_headers()).customer()? != self.customer {
            return None;
        }
        let Reading { header, outcome: Outcome::Opened(opened), .. } = self.open(record) else { return None };
        let header =
            header.filter(|_| opened.frame().payload().is_some_and(|it| Specimen::has_note(it, note)))?;
        Some(Slot { customer: self.customer.clone(), hour: header.hour, generation: header.generation })
    }

    /// Whether it is due, and a reader without a cache can no longer open it.
    fn is_forgotten(&self, caught: &mut Caught) -> Result<bool, String> {
        let (hour, store) = (caught.slot.hour, &self.foundation.store);
        let rows = self.runtime.block_on(store.hours(store.token(&self.customer), hour, hour));
        let due = rows.map_err(|error| error.to_string())?.pop().map(|row| row.gate.due);
        if due.is_some_and(|due| !due.reached(self.now())) {
            return Ok(false);
        }
        let gone = match self.open(&caught.record).outcome {
            Outcome::Erased { .. } | Outcome::ErasedByTtl | Outcome::Gone => true,
            Outcome::Opened(_) => false,
            outcome => return Err(format!("its event is `{}` now", outcome.name())),
        };
        let is_late = due.is_none_or(|due| due.reached(self.now().plus(-MARGIN_MS)));
        if !gone && is_late && !std::mem::replace(&mut caught.reported, true) {
            self.metrics.came_to(CanaryOutcome::StillOpens);
            warn!(
                codes::CANARY_OPENS,
                hour = hour.0,
                "the canary's event of this hour is long due and can still be opened"
            );
        }
        Ok(gone)
    }

    /// Opens a record with no cached key.
    fn open(&self, record: &Scanned) -> Reading {
        let opener = Opener::new(self.keys.finder(), self.config.seal.stream.clone());
        self.runtime.block_on(opener.open(record.record(&record.event_headers())))
    }

    fn now(&self) -> Millis {
        self.foundation.clock.now()
    }
}

/// # Errors
/// 78 when events of the canary are kept for another time than [`KEPT`].
fn check_retention(foundation: &Foundation, customer: &CustomerId, runtime: &Handle) -> Result<(), Failure> {
    let store = &foundation.store;
    let own = runtime.block_on(store.customer(store.token(customer)))?.and_then(|known| known.retention);
    let retention = match own {
        Some(retention) => retention,
        None => runtime.block_on(store.meta())?.default_retention,
    };
    if retention == KEPT {
        return Ok(());
    }
    let message = format!("events of the canary are kept for {} h, not for 1 h", retention.as_hours());
    let hint = "set it: `hourseal retention set --customer ID --keep 1h`; ID is `canary.customer`";
    Err(Failure::new(Failure::CONFIG, message).hint(hint))
}
