//! `hourseal open`

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{Failure, Settings, cluster, keystore, output, runtime, signals, text};
use crate::config::Config;
use crate::edge::kafka::scan::{Next, Range, Scanned, Scans};
use crate::envelope::StreamName;
use crate::model::{CustomerId, Hour};
use crate::reader::{Opener, Place, Reading, line};

/// Records to open together, with one request to the store per key among them.
const BATCH: usize = 500;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Open {
    /// Topic of sealed records [default: topics.output, and those of topics.class]
    #[arg(long, conflicts_with = "file")]
    topic: Option<String>,

    /// Read records from this file of `demo --keep` instead of a topic
    #[arg(long)]
    file: Option<PathBuf>,

    /// Start at the topic's first record, and end at its last record
    #[arg(long, conflicts_with = "file")]
    from_beginning: bool,

    /// After the last record, wait for new ones
    #[arg(long, conflicts_with = "file")]
    follow: bool,

    /// Only records of this customer
    #[arg(long, value_parser = text::customer)]
    customer: Option<CustomerId>,

    /// Only records of this hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    hour: Option<Hour>,

    /// One JSON object per record; this is always the format
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Each record has one outcome: opened, erased, erased-by-ttl, gone, no-such-key,
wrong-key, tampered, unknown-suite, not-an-envelope or unavailable. Without
--from-beginning the command reads only new records, until Ctrl-C. If the key
store still has keys that its receipts call erased, for example after a restore
from a copy, the command opens nothing and ends with exit code 78.

Examples:
  hourseal open --from-beginning | head
  hourseal open --from-beginning --customer customer-0001 \\
      --hour 2026-11-24T09:00:00Z
  hourseal open --file hourseal-demo/sealed.jsonl";

pub fn run(open: Open) -> anyhow::Result<()> {
    let config = open.settings.load()?;
    let topics = open.topic.clone().map_or_else(|| config.topics.outputs(), |topic| vec![topic]);
    let stream = match topics == [config.topics.quarantine.as_str()] {
        true => config.seal.stream.quarantine(),
        false => config.seal.stream.clone(),
    };
    let print = |scanned: &Scanned, reading: &Reading| {
        let wanted = open
            .customer
            .as_ref()
            .is_none_or(|customer| reading.customer.as_ref() == Some(customer))
            && open.hour.is_none_or(|hour| reading.header.as_ref().is_some_and(|header| header.hour == hour));
        if wanted { output::line(&line(&place(scanned), reading)) } else { Ok(()) }
    };
    match &open.file {
        Some(file) => each_of_file(&Opener::new(keystore::finder(&config)?, stream), file, print),
        None => {
            let range = match (open.from_beginning, open.follow) {
                (true, false) => Range::Existing,
                (true, true) => Range::ExistingAndNew,
                (false, _) => Range::New,
            };
            each_of_topics(&config, stream, &topics, range, |_| Pick::Take, print)
        }
    }
}

/// The place of a record, for its JSON line.
pub fn place(scanned: &Scanned) -> Place<'_> {
    let Scanned { topic, partition, offset, timestamp, .. } = scanned;
    Place { topic, partition: *partition, offset: *offset, timestamp: *timestamp }
}

/// The choice whether to open a record.
pub enum Pick {
    /// Open it.
    Take,
    /// Open it, and read no further.
    Last,
    Skip,
}

/// Opens the records of these topics that `pick` takes: in batches while there are many, each record at once
/// while there are few. Opens none if the key store is behind its receipts.
pub fn each_of_topics(
    config: &Config,
    stream: StreamName,
    topics: &[String],
    range: Range,
    mut pick: impl FnMut(&Scanned) -> Pick,
    mut print: impl FnMut(&Scanned, &Reading) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (runtime, client) = (runtime::get()?, cluster::client(config));
    let mut keys = keystore::current(config, client.clone())?;
    let opener = Opener::new(keys.finder(), stream);
    let mut scan = Scans::begin(&client, topics, range).map_err(Failure::from)?;
    // From here on a signal ends it between two batches, so that no line is cut.
    let stop = signals::stop()?;
    let mut batch = Vec::new();
    loop {
        let next = scan.next(Duration::from_millis(100)).map_err(Failure::from)?;
        let mut is_end = matches!(next, Next::End);
        let mut is_pause = !matches!(next, Next::Record(_));
        if let Next::Record(record) = next {
            match pick(&record) {
                Pick::Take => batch.push(record),
                Pick::Last => {
                    batch.push(record);
                    (is_end, is_pause) = (true, true);
                }
                Pick::Skip => {}
            }
        }
        if is_pause || batch.len() == BATCH {
            if !batch.is_empty() {
                keys.ensure()?;
            }
            runtime.block_on(open_batch(&opener, &batch, &mut print))?;
            batch.clear();
        }
        if is_end || stop.requested() {
            return Ok(());
        }
    }
}

fn each_of_file(
    opener: &Opener,
    path: &Path,
    mut print: impl FnMut(&Scanned, &Reading) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let unreadable = |why: std::io::Error| Failure::io("cannot read", path, &why);
    let file = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let runtime = runtime::get()?;
    let mut batch = Vec::new();
    for (number, line) in file.lines().enumerate() {
        let record = Scanned::from_json_line(&line.map_err(unreadable)?).ok_or_else(|| {
            let message = format!("{} line {} is not a record", path.display(), number + 1);
            Failure::new(Failure::REFUSED, message)
                .hint("--file reads only files that `hourseal demo --keep` writes")
        })?;
        batch.push(record);
        if batch.len() == BATCH {
            runtime.block_on(open_batch(opener, &batch, &mut print))?;
            batch.clear();
        }
    }
    runtime.block_on(open_batch(opener, &batch, &mut print))
}

async fn open_batch(
    opener: &Opener,
    batch: &[Scanned],
    print: &mut impl FnMut(&Scanned, &Reading) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let headers: Vec<Vec<_>> = batch.iter().map(Scanned::event_headers).collect();
    let records: Vec<_> =
        batch.iter().zip(&headers).map(|(scanned, headers)| scanned.record(headers)).collect();
    let readings = opener.open_batch(&records).await;
    batch.iter().zip(&readings).try_for_each(|(scanned, reading)| print(scanned, reading))
}
