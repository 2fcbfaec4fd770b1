//! The play: seal six hours, open them, forget one, look again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DemoSummary;
use super::stage::{RETENTION_HOURS, Stage};
use crate::app::Failure;
use crate::edge::kafka::mock::{DemoRecord, write};
use crate::edge::kafka::sample::{Generator, Shape};
use crate::edge::kafka::scan::{Next, Range, Scan, Scanned};
use crate::model::Clock as _;
use crate::reader::{Opener, Outcome, Place, Reading, Record, line};

const CUSTOMERS: u32 = 20;
const HOURS: u32 = 6;
/// The customer whose hour is forgotten.
const FORGOTTEN: &str = "customer-0001";

pub(super) struct Act<'a> {
    stage: &'a Stage,
    events: u64,
    folder: PathBuf,
    opener: Opener,
}

/// A sealed record and what it opened to.
struct Opened {
    record: Scanned,
    reading: Reading,
}

impl<'a> Act<'a> {
    pub(super) fn new(stage: &'a Stage, events: u64, folder: &Path) -> Self {
        let finder = stage.process.foundation.finder();
        let opener = Opener::new(finder, stage.config.seal.stream.clone());
        Self { stage, events, folder: folder.to_owned(), opener }
    }

    pub(super) fn play(
        &self,
        say: &mut dyn FnMut(String),
        report: &mut dyn FnMut(u64),
    ) -> Result<DemoSummary, Failure> {
        say(format!("sealing    {} events", self.events));
        let produced = self.seal_hours(report)?;
        let committed = self.stage.committed();
        say(format!(
            "sealed     {committed} events of {CUSTOMERS} customers over {HOURS} hours, each under the key \
             of its customer and hour"
        ));
        let before = self.open_all()?;
        let opened = count(&before, |outcome| matches!(outcome, Outcome::Opened(_)));
        say(format!("opened     {opened} of {} sealed records with {} keys", before.len(), self.keys()?));
        if opened != produced || committed != produced {
            return Err(Failure::new(
                Failure::BUG,
                format!("{produced} events were written, {committed} committed, {opened} opened"),
            ));
        }
        let witness = self.witness(&before)?;
        say(format!("before     {}", shown(&before[witness])));
        self.forget(say)?;
        let after = self.open_all()?;
        say(format!("after      {}", shown(&after[witness])));
        let erased = count(&after, |outcome| matches!(outcome, Outcome::Erased { .. }));
        let still = count(&after, |outcome| matches!(outcome, Outcome::Opened(_)));
        say(format!("forgotten  {erased} records, and all copies of them; the other {still} still open"));
        if erased == 0 || erased + still != produced {
            return Err(Failure::new(
                Failure::BUG,
                format!("{erased} erased and {still} still open, of {produced}"),
            ));
        }
        self.keep(&after)?;
        Ok(DemoSummary { produced, committed, opened, erased })
    }

    /// Writes events hour by hour, some of them late, and waits until the lane has sealed them.
    fn seal_hours(&self, report: &mut dyn FnMut(u64)) -> Result<u64, Failure> {
        let shape = Shape { seed: 1, customers: CUSTOMERS, size: 300, late: 0.0 };
        let mut generator = Generator::new(shape);
        let mut produced = 0;
        for hour in 0..HOURS {
            let until = self.events * u64::from(hour + 1) / u64::from(HOURS);
            let mut records = Vec::new();
            for number in produced..until {
                // Every eighth event is one hour late: its key is that of its own hour, and dies with it.
                let late = u32::from(number % 8 == 7 && hour > 0);
                let event = generator.next(self.stage.time(hour - late, 10 + (number % 40) as i64));
                let topic = self.stage.config.topics.input.clone();
                let timestamp = self.stage.time(hour, 55);
                records.push(DemoRecord { topic, timestamp, key: event.key, value: event.value });
            }
            self.stage.clock.set(self.stage.time(hour, 55));
            write(self.stage.client(), &records).map_err(|error| dependency(&error))?;
            produced = until;
            self.stage.until_committed(produced, report)?;
        }
        Ok(produced)
    }

    fn open_all(&self) -> Result<Vec<Opened>, Failure> {
        let topic = &self.stage.config.topics.output;
        let mut scan =
            Scan::begin(self.stage.client(), topic, Range::Existing).map_err(|error| dependency(&error))?;
        let mut all = Vec::new();
        while let Next::Record(record) =
            scan.next(Duration::from_secs(1)).map_err(|error| dependency(&error))?
        {
            self.stage.goes_on()?;
            all.push(record);
        }
        all.sort_by_key(|record| (record.partition, record.offset));
        let records: Vec<Record<'_>> = all
            .iter()
            .map(|record| Record { key: record.key.as_deref(), value: record.value.as_deref(), headers: &[] })
            .collect();
        let readings = self.stage.runtime.block_on(self.opener.open_batch(&records));
        Ok(all.into_iter().zip(readings).map(|(record, reading)| Opened { record, reading }).collect())
    }

    /// Returns the index of a record of the hour that will be forgotten.
    fn witness(&self, opened: &[Opened]) -> Result<usize, Failure> {
        let forgotten = |one: &Opened| {
            one.reading.customer.as_ref().is_some_and(|customer| customer.as_str() == FORGOTTEN)
                && one.reading.header.as_ref().is_some_and(|header| header.hour == self.stage.first_hour)
        };
        let missing = || {
            Failure::new(Failure::USAGE, "too few events: none is in the hour to forget")
                .hint("--events 2000")
        };
        opened.iter().position(forgotten).ok_or_else(missing)
    }

    /// Writes the command at the end of retention, as an operator does, and waits for its receipt.
    fn forget(&self, say: &mut dyn FnMut(String)) -> Result<(), Failure> {
        let hour = self.stage.first_hour;
        let now = self.stage.clock.now();
        let command = serde_json::json!({
            "id": "demo-1", "type": "erase", "customer": FORGOTTEN,
            "from_hour": hour.0, "to_hour": hour.0, "reason": "retention-end",
        });
        let record = DemoRecord {
            topic: self.stage.config.topics.control.clone(),
            timestamp: now,
            key: "demo-1".to_owned(),
            value: command.to_string(),
        };
        write(self.stage.client(), &[record]).map_err(|error| dependency(&error))?;
        say(format!(
            "command    erase {FORGOTTEN}, hour {hour}: its retention of {RETENTION_HOURS} h has ended"
        ));
        let receipt = self.receipt()?;
        say(format!("receipt    {receipt}"));
        Ok(())
    }

    fn receipt(&self) -> Result<String, Failure> {
        let topic = &self.stage.config.topics.receipts;
        let mut scan = Scan::begin(self.stage.client(), topic, Range::ExistingAndNew)
            .map_err(|error| dependency(&error))?;
        let mut found = None;
        self.stage.until("the receipt", || {
            if let Ok(Next::Record(record)) = scan.next(Duration::from_millis(200)) {
                found = record
                    .value
                    .as_deref()
                    .and_then(|value| serde_json::from_slice::<serde_json::Value>(value).ok());
            }
            found.is_some()
        })?;
        let receipt = found.unwrap_or_default();
        let keys = receipt["keys"].as_array().map_or(0, Vec::len);
        Ok(format!("{} ({keys} keys), {}", text(&receipt["outcome"]), short(text(&receipt["id"]))))
    }

    fn keys(&self) -> Result<u64, Failure> {
        let (live, ..) = self.stage.runtime.block_on(self.stage.process.foundation.store.count_keys())?;
        Ok(live)
    }

    /// Writes the sealed records as JSON lines for `open --file`.
    fn keep(&self, records: &[Opened]) -> Result<(), Failure> {
        let lines: String = records.iter().map(|one| one.record.to_json_line() + "\n").collect();
        std::fs::write(self.folder.join("sealed.jsonl"), lines)
            .map_err(|error| Failure::io("cannot write into the demo's folder", &self.folder, &error))
    }
}

fn count(records: &[Opened], is: impl Fn(&Outcome) -> bool) -> u64 {
    records.iter().filter(|one| is(&one.reading.outcome)).count() as u64
}

/// Formats a record on one line: its place and what it opens to.
fn shown(one: &Opened) -> String {
    let Scanned { topic, partition, offset, timestamp, .. } = &one.record;
    let place = Place { topic, partition: *partition, offset: *offset, timestamp: *timestamp };
    let full: serde_json::Value = serde_json::from_str(&line(&place, &one.reading)).unwrap_or_default();
    let what = match &full["payload"] {
        serde_json::Value::String(payload) => {
            format!("payload {}…", payload.chars().take(60).collect::<String>())
        }
        _ => format!("receipt {}", short(text(&full["receipt"]))),
    };
    format!("{topic}/{partition}/{offset}  {}  {what}", text(&full["outcome"]))
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn short(id: &str) -> &str {
    id.get(..16).unwrap_or(id)
}

fn dependency(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Failure::DEPENDENCY, error.to_string())
}
