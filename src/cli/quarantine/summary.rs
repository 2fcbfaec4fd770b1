//! Which quarantined records to list, and their numbers by reason.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::{Failure, cluster, output};
use super::{ORIGIN, REASON, label};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::edge::kafka::scan::{Next, Range, Scan, Scanned};
use crate::lane::Reason;
use crate::model::Millis;

/// The records to list.
pub(super) struct Wanted {
    pub(super) reasons: Vec<Reason>,
    /// Quarantined at that time or later.
    pub(super) since: Option<Millis>,
}

impl Wanted {
    /// A record's timestamp is the time of its quarantine.
    pub(super) fn has(&self, scanned: &Scanned) -> bool {
        let reason = label(scanned, REASON).and_then(Reason::of);
        let is_of = self.reasons.is_empty() || reason.is_some_and(|reason| self.reasons.contains(&reason));
        is_of && self.since.is_none_or(|since| scanned.timestamp.is_some_and(|time| time >= since))
    }
}

/// Records by reason.
#[derive(Default)]
pub(super) struct Summary(BTreeMap<String, Group>);

/// Records of one reason.
#[derive(Default)]
struct Group {
    records: u64,
    without_content: u64,
    first: Option<Millis>,
    last: Option<Millis>,
    /// The origin of the last one.
    example: Option<String>,
}

pub(super) fn summary(config: &Config, wanted: &Wanted) -> anyhow::Result<Summary> {
    let topic = &config.topics.quarantine;
    let mut scan = Scan::begin(&cluster::client(config), topic, Range::Existing).map_err(Failure::from)?;
    let mut progress = Progress::new("records read");
    let (mut summary, mut read) = (Summary::default(), 0);
    loop {
        match scan.next(Duration::from_millis(100)).map_err(Failure::from)? {
            Next::End => return Ok(summary),
            Next::Record(record) if wanted.has(&record) => summary.add(&record),
            Next::Record(_) | Next::Idle => {}
        }
        read += 1;
        progress.at(read);
    }
}

impl Summary {
    fn add(&mut self, record: &Scanned) {
        let group = self.0.entry(label(record, REASON).unwrap_or("-").to_owned()).or_default();
        group.records += 1;
        group.without_content += u64::from(record.value.is_none());
        group.first = group.first.into_iter().chain(record.timestamp).min();
        group.last = group.last.max(record.timestamp);
        group.example = label(record, ORIGIN).map(str::to_owned);
    }

    fn records(&self) -> u64 {
        self.0.values().map(|group| group.records).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let time = |time: Option<Millis>| time.map(|time| time.to_string());
        let group = |(reason, group): (&String, &Group)| {
            let fields = json!({
                "records": group.records,
                "without_content": group.without_content,
                "first": time(group.first),
                "last": time(group.last),
                "example": group.example,
            });
            (reason.clone(), fields)
        };
        json!({ "records": self.records(), "reasons": self.0.iter().map(group).collect::<Map<_, _>>() })
    }

    pub(super) fn to_text(&self) -> String {
        let time = |time: Option<Millis>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let row = |(reason, group): (&String, &Group)| {
            let (first, last) = (time(group.first), time(group.last));
            let example = group.example.as_deref().unwrap_or("-");
            let bare = match group.without_content {
                0 => String::new(),
                bare => format!(", {bare} without content"),
            };
            let line = format!("{}{bare}, from {first} to {last}, such as {example}", group.records);
            (reason.clone(), Value::from(line))
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        let total = [("records", Value::from(self.records()))];
        // A reason is text from a header: any producer with the right to the topic can write it.
        let is_plain = |reason: &str| !reason.contains(char::is_control);
        let rows = rows
            .iter()
            .map(|(reason, line)| (if is_plain(reason) { reason.as_str() } else { "-" }, line.clone()));
        output::fields(&total.into_iter().chain(rows).collect::<Vec<_>>())
    }
}
