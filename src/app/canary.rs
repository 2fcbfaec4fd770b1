//! The canary: a customer of our own, kept for an hour. Each hour an event of it goes the way of all events; this process opens it
//! from the output, and shows when it is due that it opens no more and that its key seals no more. Its own thread, because it waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};

use super::barrier::Barrier;
use super::metrics::{CanaryMetrics, CanaryOutcome};
use super::process::Process;
use super::threads::Threads;
use super::{Failure, Foundation};
use crate::config::Config;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::post::{Record as Posted, post};
use crate::edge::kafka::scan::{Next, Range, Scanned, Scans};
use crate::envelope::random;
use crate::keys::{KeysError, Obtained, Ring};
use crate::lane::Specimen;
use crate::model::{CustomerId, Hour, Millis, Retention, Slot};
use crate::reader::{Opener, Outcome, Reading};
use crate::stream::Stop;
use crate::telemetry::{codes, info, warn};

/// Time from one look to the next.
const LOOK: Duration = Duration::from_secs(10);
/// How long an event may be under way to the output.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// How long after its due an event may still open, in milliseconds: until the sweep has come by, and its receipt.
const MARGIN_MS: i64 = 15 * 60_000;
/// Most events that are looked at again: those of two days, should they not go.
const LOOKED_AT: usize = 48;
/// How long it is kept.
const KEPT: Retention = Retention::hours(1).expect("not zero");

pub(super) struct Canary {
    pub(super) config: Config,
    pub(super) customer: CustomerId,
    pub(super) foundation: Foundation,
    pub(super) client: ClientSettings,
    pub(super) ring: Arc<Ring>,
    pub(super) runtime: Handle,
    pub(super) metrics: CanaryMetrics,
    pub(super) barrier: Barrier,
}

impl Process {
    /// Starts one where the settings ask for it.
    pub(super) fn start_canary(
        &self,
        threads: &mut Threads,
        runtime: &Runtime,
        ring: &Arc<Ring>,
    ) -> Result<(), Failure> {
        let Some(customer) = self.config.canary.customer.as_deref().and_then(|id| CustomerId::parse(id).ok())
        else {
            return Ok(());
        };
        let canary = Canary {
            config: self.config.clone(),
            customer,
            foundation: self.foundation.clone(),
            client: self.client.clone(),
            ring: Arc::clone(ring),
            runtime: runtime.handle().clone(),
            metrics: self.metrics.canary.clone(),
            barrier: self.barrier.clone(),
        };
        let stop = self.stop.clone();
        threads.start("canary", move || canary.run(&stop))
    }
}

/// An event that was opened.
struct Caught {
    record: Scanned,
    slot: Slot,
    /// Whether it was told that it opens for too long.
    told: bool,
}

impl Canary {
    /// Looks until the stop.
    pub(super) fn run(self, stop: &Stop) {
        if !self.barrier.wait(stop) {
            return;
        }
        self.metrics.proven_at(self.now());
        let mut caught: Vec<Caught> = Vec::new();
        let (mut sealed, mut waits) = (None, false);
        while !stop.requested() {
            match self.turn(&mut caught, &mut sealed, stop) {
                Ok(()) => waits = false,
                Err(why) if !stop.requested() && !std::mem::replace(&mut waits, true) => {
                    warn!(codes::CANARY_FAILED, why, "the canary could not be sealed, opened or looked at");
                }
                Err(_) => {}
            }
            let next = Instant::now() + LOOK;
            while !stop.requested() && Instant::now() < next {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }

    /// `sealed` is the last hour that has an event of this process.
    fn turn(&self, caught: &mut Vec<Caught>, sealed: &mut Option<Hour>, stop: &Stop) -> Result<(), String> {
        let hour = Hour::containing(self.now());
        if *sealed != hour {
            caught.push(self.catch(stop)?);
            self.metrics.came_to(CanaryOutcome::Opened);
            *sealed = hour;
        }
        // What opens for so long has been told of.
        caught.drain(..caught.len().saturating_sub(LOOKED_AT));
        for at in (0..caught.len()).rev() {
            if self.is_forgotten(&mut caught[at])? {
                let Caught { slot, .. } = caught.remove(at);
                self.metrics.came_to(CanaryOutcome::Forgotten);
                self.metrics.proven_at(self.now());
                info!(
                    codes::CANARY_FORGOTTEN,
                    hour = slot.hour.0,
                    "the canary's event of this hour opens no more"
                );
            }
        }
        Ok(())
    }

    /// Sends an event and waits for it in the output, where it must open.
    fn catch(&self, stop: &Stop) -> Result<Caught, String> {
        self.keep_for_an_hour()?;
        let mut note = [0; 16];
        random(&mut note);
        let note = hex::encode(note);
        let event = &self.config.event;
        let specimen = Specimen::new((&event.customer, &event.time), &self.customer, self.now(), &note)
            .ok_or("its places exclude each other")?;
        let mut scan = self.output()?;
        let posted = Posted {
            key: specimen.key.as_deref(),
            headers: &specimen.headers,
            value: &specimen.value,
            timestamp: Some(specimen.timestamp),
        };
        post(&self.client, &self.config.topics.input, &posted).map_err(|error| error.to_string())?;
        let until = Instant::now() + UNDER_WAY;
        while Instant::now() < until && !stop.requested() {
            let Next::Record(record) =
                scan.next(Duration::from_millis(500)).map_err(|error| error.to_string())?
            else {
                continue;
            };
            if let Some(slot) = self.noted(&record, &note) {
                return Ok(Caught { record, slot, told: false });
            }
        }
        if !stop.requested() {
            self.metrics.came_to(CanaryOutcome::NotSealed);
        }
        Err(format!("its event was not found in the output within {} s", UNDER_WAY.as_secs()))
    }

    /// From here on.
    fn output(&self) -> Result<Scans, String> {
        Scans::begin(&self.client, &self.config.topics.outputs(), Range::New)
            .map_err(|error| error.to_string())
    }

    /// The slot of a record that opens to the event with this note.
    fn noted(&self, record: &Scanned, note: &str) -> Option<Slot> {
        if record.record(&record.event_headers()).customer()? != self.customer {
            return None;
        }
        let Reading { header, outcome: Outcome::Opened(opened), .. } = self.open(record) else { return None };
        let header =
            header.filter(|_| opened.frame().payload().is_some_and(|it| Specimen::has_note(it, note)))?;
        Some(Slot { customer: self.customer.clone(), hour: header.hour, generation: header.generation })
    }

    /// Whether it is due and gone: from the store, by a reader that has cached nothing, and from this process's own cache.
    fn is_forgotten(&self, caught: &mut Caught) -> Result<bool, String> {
        let slot = &caught.slot;
        let (store, token) = (&self.foundation.store, self.foundation.store.token(&self.customer));
        let rows = self.runtime.block_on(store.hours(token, slot.hour, slot.hour));
        let due = rows.map_err(|error| error.to_string())?.pop().map(|row| row.gate.due);
        if due.is_some_and(|due| !due.reached(self.now())) {
            return Ok(false);
        }
        let gone = match self.open(&caught.record).outcome {
            Outcome::Erased { .. } | Outcome::ErasedByTtl | Outcome::Gone => !self.seals(slot)?,
            Outcome::Opened(_) => false,
            outcome => return Err(format!("its event is `{}` now", outcome.name())),
        };
        let is_late = due.is_none_or(|due| due.reached(self.now().plus(-MARGIN_MS)));
        if !gone && is_late && !std::mem::replace(&mut caught.told, true) {
            self.metrics.came_to(CanaryOutcome::StillOpens);
            let hour = caught.slot.hour.0;
            warn!(
                codes::CANARY_OPENS,
                hour, "the canary's event of this hour is due for long, and still opens"
            );
        }
        Ok(gone)
    }

    /// Whether this process would still use the key.
    fn seals(&self, slot: &Slot) -> Result<bool, String> {
        let obtained = self.ring.obtain(std::slice::from_ref(slot), Instant::now() + Duration::from_secs(5));
        let obtained = obtained.map_err(|waiting| waiting.to_string())?;
        Ok(obtained.iter().any(|obtained| matches!(obtained, Obtained::Key(_))))
    }

    /// With no key of before.
    fn open(&self, record: &Scanned) -> Reading {
        let opener = Opener::new(self.foundation.finder(), self.config.seal.stream.clone());
        self.runtime.block_on(opener.open(record.record(&record.event_headers())))
    }

    /// Its own policy, and nobody else's: who executes may write it.
    fn keep_for_an_hour(&self) -> Result<(), String> {
        if !self.config.control.execute {
            return Ok(());
        }
        let store = &self.foundation.store;
        let token = store.token(&self.customer);
        let kept = async {
            let known = store.customer(token).await?.and_then(|customer| customer.retention);
            if known != Some(KEPT) {
                store.set_retention(token, known, Some(KEPT)).await?;
            }
            Ok::<_, KeysError>(())
        };
        self.runtime.block_on(kept).map_err(|error| error.to_string())
    }

    fn now(&self) -> Millis {
        self.foundation.clock.now()
    }
}
