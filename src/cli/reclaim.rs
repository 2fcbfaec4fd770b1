//! `hourseal reclaim`: deletes records that can no longer be opened, from the beginning of each partition.

use clap::Args;
use serde_json::{Value, json};

use super::progress::Progress;
use super::{Settings, cluster, keystore, output, runtime, signals};
use crate::app::{Prefix, forgotten, reclaim};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Reclaim {
    /// The topic [default: topics.output, and those of topics.class]
    #[arg(long)]
    topic: Option<String>,
    /// Only show what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// One JSON object per partition
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Reads each partition from its beginning to the first record that can still be
opened, or for which that is unknown. Then asks the broker to delete the records
before it (DeleteRecords). A held hour, a live key, or a record that is not ours
ends the scan of its partition. Later records and their offsets stay as they
are. The broker frees a segment's bytes when the whole segment is deleted, and
never frees the active segment: see `segment.ms`. Needs the right DELETE on the
topic. With `reclaim.every` a worker does this itself. With `topics.class`
long-lived records do not block short-lived ones.

Examples:
  hourseal reclaim --dry-run
  hourseal reclaim --json | jq -s 'map(.bytes) | add'";

pub fn run(flags: &Reclaim) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let topics = flags.topic.clone().map_or_else(|| config.topics.outputs(), |topic| vec![topic]);
    let mut client = cluster::client(&config);
    client.reach.stop = signals::stop()?;
    let keys = keystore::current(&config, client.clone())?.finder();
    let mut progress = Progress::new("records read");
    let handle = runtime::get()?.handle();
    let prefixes = forgotten(&client, &topics, keys, handle, &mut |read| progress.at(read))?;
    drop(progress);
    if !flags.dry_run && !prefixes.is_empty() {
        runtime::block_on(reclaim(&client, &prefixes))??;
    }
    if flags.json {
        return prefixes.iter().try_for_each(|((topic, partition), prefix)| {
            output::line(&to_json(topic, *partition, prefix, flags.dry_run).to_string())
        });
    }
    let rows: Vec<Vec<String>> =
        prefixes.iter().map(|((topic, partition), prefix)| cells(topic, *partition, prefix)).collect();
    let records: u64 = prefixes.values().map(|prefix| prefix.records).sum();
    let bytes: u64 = prefixes.values().map(|prefix| prefix.bytes).sum();
    let deleted = if flags.dry_run { "would be deleted" } else { "deleted" };
    let sum = format!("{records} record(s) of {bytes} bytes {deleted} from {}\n", topics.join(", "));
    output::text(&format!("{}{sum}", output::table(&HEAD, &rows)))
}

const HEAD: [&str; 5] = ["TOPIC", "PARTITION", "RECORDS", "BYTES", "NEW START"];

fn cells(topic: &str, partition: i32, prefix: &Prefix) -> Vec<String> {
    let Prefix { records, bytes, next } = prefix;
    vec![topic.to_owned(), partition.to_string(), records.to_string(), bytes.to_string(), next.to_string()]
}

fn to_json(topic: &str, partition: i32, prefix: &Prefix, dry_run: bool) -> Value {
    json!({ "topic": topic, "partition": partition, "records": prefix.records, "bytes": prefix.bytes,
        "new_start": prefix.next, "deleted": !dry_run })
}
