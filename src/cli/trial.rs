//! `hourseal try`

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::progress::Progress;
use super::{Failure, Settings, cluster, output};
use crate::app::admit;
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::scan::{Next, Range, Scan};
use crate::lane::{Admit, Change, MaxMessageBytes, Reason, Suggestions, TimestampBounds};
use crate::model::{Clock as _, Hour, Millis};
use crate::stream::{Input, NoHeaders};

/// Most examples of a kind.
const EXAMPLES: usize = 3;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Try {
    /// Topic of plaintext events [default: topics.input]
    #[arg(long, conflicts_with = "file")]
    topic: Option<String>,

    /// Read the values of events from this file, one JSON text per line, instead of a topic
    #[arg(long)]
    file: Option<PathBuf>,

    /// Most records to read: the newest ones, an equal share of each partition
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,

    /// One JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Seals nothing, commits nothing and joins no group. It needs no key store and no
keys, only the right to read the topic. It decides about each record as a worker
with these settings would. It does not know the store or the broker, so it does
not find records of the reasons expired, erased, refused and too-many-slots, nor
records that are too large for a topic.

For records that would be quarantined, it looks for settings that take them:
other forms of the same places in [event], and event.skip. Check that the
customers are the right ones before you use them.

Examples:
  hourseal try --sample 10000
  hourseal try --set event.time=json:/created@epoch-s --json
  hourseal try --file events.jsonl";

pub fn run(flags: &Try) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let mut trial = Trial::of(&config);
    match &flags.file {
        Some(file) => each_line(file, flags.sample, &mut trial)?,
        None => {
            let topic = flags.topic.as_ref().unwrap_or(&config.topics.input);
            each_record(&config, topic, flags.sample, &mut trial)?;
        }
    }
    if flags.json { output::line(&trial.to_json().to_string()) } else { output::text(&trial.to_text()) }
}

fn each_record(config: &Config, topic: &str, sample: u32, trial: &mut Trial) -> anyhow::Result<()> {
    let mut scan =
        Scan::begin(&cluster::client(config), topic, Range::Last(sample)).map_err(Failure::from)?;
    let mut progress = Progress::new("records read");
    loop {
        let record = match scan.next(Duration::from_millis(100)).map_err(Failure::from)? {
            Next::Record(record) => record,
            Next::Idle => continue,
            Next::End => return Ok(()),
        };
        let headers: &[(Vec<u8>, Option<Vec<u8>>)] = &record.headers;
        let input = Input {
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        trial.take(&input, || format!("{topic}/{}/{}", record.partition, record.offset));
        progress.at(trial.read);
    }
}

fn each_line(path: &Path, sample: u32, trial: &mut Trial) -> anyhow::Result<()> {
    let unreadable = |why: std::io::Error| Failure::io("cannot read", path, &why);
    let lines = BufReader::new(std::fs::File::open(path).map_err(unreadable)?).split(b'\n');
    for (number, line) in (1_u32..=sample).zip(lines) {
        let value = line.map_err(unreadable)?;
        let input = Input {
            partition: 0,
            offset: i64::from(number),
            timestamp: None,
            key: None,
            value: Some(&value),
            headers: &NoHeaders,
        };
        trial.take(&input, || format!("line {number}"));
    }
    Ok(())
}

/// The decisions of a worker about the records so far.
struct Trial {
    admit: Admit,
    now: Millis,
    read: u64,
    sealed: u64,
    refused: BTreeMap<Reason, Refused>,
    customers: BTreeSet<String>,
    hours: BTreeSet<Hour>,
    suggestions: Suggestions,
}

/// Records of one reason: their number, and the places of the first ones.
#[derive(Default)]
struct Refused {
    count: u64,
    places: Vec<String>,
}

impl Trial {
    fn of(config: &Config) -> Self {
        // Nobody asks the broker how large a record may be.
        let unlimited = || MaxMessageBytes::new(usize::MAX);
        let admit = admit(config, unlimited(), unlimited(), TimestampBounds::unlimited());
        Self {
            suggestions: Suggestions::of(&admit),
            admit,
            now: SystemClock.now(),
            read: 0,
            sealed: 0,
            refused: BTreeMap::new(),
            customers: BTreeSet::new(),
            hours: BTreeSet::new(),
        }
    }

    fn take(&mut self, input: &Input<'_>, place: impl Fn() -> String) {
        self.read += 1;
        let decision = self.admit.decision(input, self.now);
        let Some(reason) = decision.reason else {
            self.sealed += 1;
            self.customers.extend(decision.customer.map(Cow::into_owned));
            self.hours.extend(decision.when.map(|(hour, _)| hour));
            return;
        };
        let refused = self.refused.entry(reason).or_default();
        refused.count += 1;
        if refused.places.len() < EXAMPLES {
            refused.places.push(place());
        }
        self.suggestions.note(input, self.now);
    }

    fn quarantined(&self) -> u64 {
        self.refused.values().map(|refused| refused.count).sum()
    }

    fn some_customers(&self) -> Vec<&str> {
        self.customers.iter().take(EXAMPLES).map(String::as_str).collect()
    }

    fn to_json(&self) -> Value {
        let reason = |(reason, refused): (&Reason, &Refused)| {
            (reason.code().to_owned(), json!({ "count": refused.count, "examples": refused.places }))
        };
        let hour = |hour: Option<&Hour>| hour.map(Hour::to_string);
        let suggestion = |(changes, takes): (&[Change], u64)| {
            let set: Map<_, _> = changes.iter().map(|it| (it.setting.to_owned(), value(it))).collect();
            json!({ "set": set, "seals": takes })
        };
        json!({
            "read": self.read,
            "sealed": self.sealed,
            "quarantined": self.quarantined(),
            "reasons": self.refused.iter().map(reason).collect::<Map<_, _>>(),
            "customers": { "count": self.customers.len(), "examples": self.some_customers() },
            "hours": {
                "count": self.hours.len(),
                "first": hour(self.hours.first()),
                "last": hour(self.hours.last()),
            },
            "suggestions": self.suggestions.found().into_iter().map(suggestion).collect::<Vec<_>>(),
        })
    }

    fn to_text(&self) -> String {
        let such_as = |count: usize, examples: &[&str]| match examples {
            [] => count.to_string(),
            examples => format!("{count}, such as {}", examples.join(", ")),
        };
        let hours = match (self.hours.first(), self.hours.last()) {
            (Some(first), Some(last)) => format!("{}, from {first} to {last}", self.hours.len()),
            _ => "0".to_owned(),
        };
        let reason = |(reason, refused): (&Reason, &Refused)| {
            Value::from(format!("{} {reason}, such as {}", refused.count, refused.places.join(", ")))
        };
        let suggestion = |(changes, takes): (&[Change], u64)| {
            let set: Vec<_> = changes.iter().map(|it| format!("{} = {}", it.setting, value(it))).collect();
            Value::from(format!("{takes} would be sealed with {}", set.join(" and ")))
        };
        let mut rows = vec![
            ("read", self.read.into()),
            ("sealed", self.sealed.into()),
            ("quarantined", self.quarantined().into()),
            ("customers", such_as(self.customers.len(), &self.some_customers()).into()),
            ("hours", hours.into()),
        ];
        let suggestions: Vec<_> = self.suggestions.found().into_iter().map(suggestion).collect();
        if !self.refused.is_empty() {
            rows.push(("reasons", self.refused.iter().map(reason).collect::<Vec<_>>().into()));
        }
        if !suggestions.is_empty() {
            rows.push(("suggestions", suggestions.into()));
        }
        output::fields(&rows)
    }
}

/// The value of a changed setting: text, or a list of texts.
fn value(change: &Change) -> Value {
    match &change.value[..] {
        [one] => one.as_str().into(),
        several => several.into(),
    }
}
