//! `hourseal reclaim`: what nobody can open any more is deleted from the beginning of each partition.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Settings, keystore, output, runtime};
use crate::app::client_settings;
use crate::edge::kafka::admin::TopicAdmin;
use crate::edge::kafka::scan::{Next, Range, Scan, Scanned};
use crate::envelope::Header;
use crate::keys::Lookup;
use crate::model::{CustomerId, Generation, Hour, KeyId};
use crate::reader::FindKey;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Reclaim {
    /// The topic [default: topics.output]
    #[arg(long)]
    topic: Option<String>,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// One JSON object per partition
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Reads each partition from its beginning to the first record that can still be opened, or of which it
is not known, and has the broker delete what stands before it (DeleteRecords). A held hour, a key
that is live, a record that is none of ours: each of them ends it. Later records stay as they are,
and so do their offsets. The broker frees a segment's bytes when all of it is deleted, and its
active segment never: see `segment.ms`. Takes the right DELETE on the topic; run it from a timer.

Examples:
  hourseal reclaim --dry-run
  hourseal reclaim --json | jq -s 'map(.bytes) | add'";

pub fn run(flags: &Reclaim) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let topic = flags.topic.as_deref().unwrap_or(&config.topics.output);
    let client = client_settings(&config);
    let judge = Judge { keys: keystore::finder(&config)?, known: HashMap::new() };
    let mut scan = Scan::begin(&client, topic, Range::Existing).map_err(Failure::from)?;
    let prefixes = runtime::get()?.block_on(prefixes(&mut scan, judge))?;
    let ends: BTreeMap<i32, i64> = prefixes.iter().map(|(partition, it)| (*partition, it.next)).collect();
    if !flags.dry_run && !ends.is_empty() {
        let admin = TopicAdmin::new(&client).map_err(Failure::from)?;
        runtime::block_on(admin.delete_before(topic, &ends))?.map_err(Failure::from)?;
    }
    if flags.json {
        return prefixes.iter().try_for_each(|(partition, prefix)| {
            output::line(&to_json(topic, *partition, prefix, flags.dry_run).to_string())
        });
    }
    let rows: Vec<Vec<String>> =
        prefixes.iter().map(|(partition, prefix)| cells(*partition, prefix)).collect();
    let records: u64 = prefixes.values().map(|prefix| prefix.records).sum();
    let bytes: u64 = prefixes.values().map(|prefix| prefix.bytes).sum();
    let deleted = if flags.dry_run { "would be deleted" } else { "deleted" };
    let sum = format!("{records} record(s) of {bytes} bytes {deleted} from {topic}\n");
    output::text(&format!("{}{sum}", output::table(&HEAD, &rows)))
}

const HEAD: [&str; 4] = ["PARTITION", "RECORDS", "BYTES", "NEW START"];

/// Records at the beginning of a partition that nobody can open any more.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Prefix {
    records: u64,
    /// Of keys and values, as they were sent.
    bytes: u64,
    /// The offset after the last of them.
    next: i64,
}

impl Prefix {
    fn add(&mut self, record: &Scanned) {
        let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len) as u64;
        self.records += 1;
        self.bytes += len(&record.key) + len(&record.value);
        self.next = record.offset + 1;
    }
}

/// Of the partitions that have one.
async fn prefixes(scan: &mut Scan, mut judge: Judge) -> anyhow::Result<BTreeMap<i32, Prefix>> {
    let mut prefixes: BTreeMap<i32, Prefix> = BTreeMap::new();
    let (mut progress, mut read) = (output::Progress::new("records read"), 0);
    loop {
        match scan.next(Duration::from_millis(100)).map_err(Failure::from)? {
            Next::Record(record) => {
                read += 1;
                progress.at(read);
                if judge.is_forgotten(&record).await? {
                    prefixes.entry(record.partition).or_default().add(&record);
                } else {
                    scan.leave(record.partition).map_err(Failure::from)?;
                }
            }
            Next::Idle => {}
            Next::End => return Ok(prefixes),
        }
    }
}

/// What names a key.
type Slot = (CustomerId, Hour, Generation, KeyId);

/// Asks for each key once: what is forgotten stays so, and what is not ends a partition.
struct Judge {
    keys: std::sync::Arc<dyn FindKey>,
    known: HashMap<Slot, bool>,
}

impl Judge {
    /// Whether it is a sealed record whose key is gone for good.
    ///
    /// # Errors
    /// Where the key store does not answer: nothing is deleted then.
    async fn is_forgotten(&mut self, record: &Scanned) -> anyhow::Result<bool> {
        let Some(slot) = slot(record) else { return Ok(false) };
        if let Some(known) = self.known.get(&slot) {
            return Ok(*known);
        }
        let (customer, hour, generation, key_id) = &slot;
        let forgotten = match self.keys.find(customer, *hour, *generation, *key_id).await {
            Lookup::Erased { .. } | Lookup::ErasedByTtl | Lookup::Gone => true,
            Lookup::Key(_) | Lookup::NoSuchKey | Lookup::WrongKey => false,
            Lookup::Unavailable(error) => {
                let why = format!("it is not known what is forgotten, and nothing is deleted: {error}");
                return Err(Failure::new(Failure::DEPENDENCY, why).into());
            }
        };
        self.known.insert(slot, forgotten);
        Ok(forgotten)
    }
}

/// What the record says of itself, unproven: a lie names another key, and that one's record is not this one.
fn slot(record: &Scanned) -> Option<Slot> {
    let Header { hour, generation, key_id, .. } = Header::parse(record.value.as_deref()?).ok()?;
    let customer = record.record(&record.event_headers()).customer()?;
    Some((customer, hour, generation, key_id))
}

fn cells(partition: i32, prefix: &Prefix) -> Vec<String> {
    vec![partition.to_string(), prefix.records.to_string(), prefix.bytes.to_string(), prefix.next.to_string()]
}

fn to_json(topic: &str, partition: i32, prefix: &Prefix, dry_run: bool) -> Value {
    json!({ "topic": topic, "partition": partition, "records": prefix.records, "bytes": prefix.bytes,
        "new_start": prefix.next, "deleted": !dry_run })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_behind_its_last_record() {
        let record = |offset, value: &[u8]| Scanned {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            timestamp: None,
            key: Some(b"acme".to_vec()),
            value: Some(value.to_vec()),
            headers: Vec::new(),
        };
        let mut prefix = Prefix::default();
        [(7, [0; 100].as_slice()), (9, &[0; 50])]
            .iter()
            .for_each(|(offset, value)| prefix.add(&record(*offset, value)));
        assert_eq!(prefix, Prefix { records: 2, bytes: 158, next: 10 });
    }

    #[test]
    fn what_is_no_sealed_record_has_no_slot() {
        let record = |key: Option<&[u8]>, value: Option<&[u8]>| Scanned {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        };
        for value in [None, Some(b"{}".as_slice()), Some(&[0xE9])] {
            assert!(slot(&record(Some(b"acme"), value)).is_none());
        }
    }
}
