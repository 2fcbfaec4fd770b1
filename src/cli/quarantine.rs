//! `hourseal quarantine`

mod summary;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::open::Pick;
use super::progress::Progress;
use super::{Failure, Settings, cluster, open, output, runtime, signals, text};
use crate::app;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::scan::{Range, Scanned};
use crate::lane::{Left, Reason};
use crate::model::{Clock as _, printable};
use crate::reader::{Reading, line};
use summary::Wanted;

#[derive(Subcommand)]
pub enum Quarantine {
    /// Open and list quarantined records: reason, origin and content
    Ls(Ls),
    /// Reprocess quarantined records that have kept their content, after the cause is fixed
    Redrive(Redrive),
}

#[derive(Args)]
#[command(after_help = REDRIVE_HELP)]
pub struct Redrive {
    /// Only count the records to reprocess
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const REDRIVE_HELP: &str = "\
Opens each record and seals it into the output, as if it came from the input
now. The command uses its own settings, so pass the settings that fix the cause.
A record that still cannot be sealed is quarantined again, with its new reason.
Each record is reprocessed exactly once: the transactions also write a mark of
their progress to the quarantine. The old records stay until their retention
ends. Records that were forgotten meanwhile, and records without content, are
skipped. Workers may continue to run.

Needs the rights of a worker: to the key store, the vault and the topics, to
read the quarantine, and to the group and the transactional id that begin with
<kafka.group>.redrive.

Examples:
  hourseal quarantine redrive --dry-run
  hourseal quarantine redrive --set event.max_bytes=4MiB --json";

#[derive(Args)]
#[command(after_help = LS_HELP)]
pub struct Ls {
    /// Only records of this reason, such as bad-time; repeatable
    #[arg(long, value_parser = reason)]
    reason: Vec<Reason>,
    /// Only records that were quarantined since then: an RFC 3339 time, or a duration before now
    #[arg(long, value_name = "TIME", value_parser = text::since)]
    since: Option<text::Since>,
    /// End after this many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only count the records by reason; opens none and needs no keys
    #[arg(long, conflicts_with_all = ["follow", "limit"])]
    summary: bool,
    /// After the last record, wait for new ones
    #[arg(long)]
    follow: bool,
    /// One JSON object per record: the fields of `hourseal open`, and reason, origin, size, digest
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const LS_HELP: &str = "\
Lists the records of each partition from the oldest to the newest. A record that
was redriven stays until its retention ends, so it is listed, too. The reason
redriven marks the progress of a redrive, and given-up an accepted gap of the
input.

Examples:
  hourseal quarantine ls --summary
  hourseal quarantine ls --reason bad-time --reason no-time --since 2h
  hourseal quarantine ls --follow --json";

/// Parses a reason; for clap.
fn reason(text: &str) -> Result<Reason, String> {
    Reason::of(text).ok_or_else(|| format!("not one of: {}", Reason::ALL.map(Reason::code).join(", ")))
}

pub fn run(command: Quarantine) -> anyhow::Result<()> {
    match command {
        Quarantine::Ls(ls) => list(&ls),
        Quarantine::Redrive(flags) => redrive(&flags),
    }
}

fn redrive(flags: &Redrive) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let (stop, mut client) = (signals::stop()?, cluster::client(&config));
    client.reach.stop = stop.clone();
    let survey = {
        let mut progress = Progress::new("records read");
        app::survey(&config, &client, &mut |read| progress.at(read)).map_err(Failure::from)?
    };
    if stop.requested() {
        return Err(ended("the survey").into());
    }
    let waiting: u64 = survey.kept.values().sum();
    if flags.dry_run || waiting == 0 {
        let fields = [("to_redrive", waiting.into()), ("reasons", by_reason(&survey.kept))];
        return print(flags.json, &fields);
    }
    let mut progress = Progress::of(waiting, "records redriven");
    let done = app::redrive(&config, client, survey, runtime::get()?.handle(), &mut |redriven| {
        progress.at(redriven.sealed + redriven.quarantined.values().sum::<u64>());
        progress.waits(redriven.waiting.as_deref());
    })?;
    drop(progress);
    let Left { before, forgotten, bare, unreadable } = done.left;
    let fields = [
        ("sealed", done.sealed.into()),
        ("quarantined_again", done.quarantined.values().sum::<u64>().into()),
        ("reasons", by_reason(&done.quarantined)),
        ("forgotten_meanwhile", forgotten.into()),
        ("without_content", bare.into()),
        ("unreadable", unreadable.into()),
        ("redriven_before", before.into()),
    ];
    print(flags.json, &fields)?;
    if done.is_complete { Ok(()) } else { Err(ended("the redrive").into()) }
}

fn ended(what: &str) -> Failure {
    Failure::new(Failure::DEPENDENCY, format!("a signal has ended {what} before its end"))
        .hint("run it again: it continues with the records that are left")
}

fn by_reason(counts: &BTreeMap<Reason, u64>) -> Value {
    counts
        .iter()
        .map(|(reason, count)| (reason.code().to_owned(), Value::from(*count)))
        .collect::<Map<_, _>>()
        .into()
}

fn print(json: bool, fields: &[(&str, Value)]) -> anyhow::Result<()> {
    if json {
        let object: Map<_, _> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        return output::line(&Value::Object(object).to_string());
    }
    output::text(&output::fields(fields))
}

fn list(ls: &Ls) -> anyhow::Result<()> {
    let config = ls.settings.load()?;
    let since = ls.since.map(|since| since.at(SystemClock.now()));
    let wanted = Wanted { reasons: ls.reason.clone(), since };
    if ls.summary {
        let summary = summary::summary(&config, &wanted)?;
        return match ls.json {
            true => output::line(&summary.to_json().to_string()),
            false => output::text(&summary.to_text()),
        };
    }
    let mut left = ls.limit.unwrap_or(u64::MAX);
    let pick = |scanned: &Scanned| match wanted.has(scanned) {
        false => Pick::Skip,
        true if left == 1 => Pick::Last,
        true => {
            left -= 1;
            Pick::Take
        }
    };
    let range = if ls.follow { Range::ExistingAndNew } else { Range::Existing };
    let topics = [config.topics.quarantine.clone()];
    open::each_of_topics(
        &config,
        config.seal.stream.quarantine(),
        &topics,
        range,
        pick,
        |scanned, reading| {
            output::line(&if ls.json { to_json(scanned, reading) } else { to_text(scanned, reading) })
        },
    )
}

const REASON: &str = "hourseal-reason";
const ORIGIN: &str = "hourseal-origin";

/// The plaintext headers with the reason why a record is in quarantine, as JSON fields.
const LABELS: [(&str, &str); 4] =
    [("reason", REASON), ("origin", ORIGIN), ("size", "hourseal-size"), ("digest", "hourseal-digest")];

/// Returns the text of a header that the worker wrote.
fn label<'a>(scanned: &'a Scanned, header: &str) -> Option<&'a str> {
    let (_, value) = scanned.headers.iter().find(|(name, _)| name == header.as_bytes())?;
    str::from_utf8(value.as_deref()?).ok()
}

fn to_json(scanned: &Scanned, reading: &Reading) -> String {
    let opened = line(&open::place(scanned), reading);
    let mut fields: Map<String, Value> =
        serde_json::from_str(&opened).expect("the reader's line is a JSON object");
    for (field, header) in LABELS {
        if let Some(text) = label(scanned, header) {
            fields.insert(field.to_owned(), text.into());
        }
    }
    Value::Object(fields).to_string()
}

fn to_text(scanned: &Scanned, reading: &Reading) -> String {
    let [reason, origin, size, _] = LABELS.map(|(_, header)| label(scanned, header).unwrap_or("-"));
    let customer = reading.customer.as_ref().map_or("-", |customer| customer.as_str());
    let content = if scanned.value.is_some() { reading.outcome.name() } else { "no content" };
    printable(&format!("{reason:<16}  {origin:<32}  {size:>8} bytes  {customer:<24}  {content}"))
}
