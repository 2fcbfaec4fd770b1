//! Reclaiming: deletes records that can no longer be opened, from the beginning of each partition of the
//! output.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Failure;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::TopicAdmin;
use crate::edge::kafka::scan::{Next, Range, Scanned, Scans};
use crate::envelope::Header;
use crate::keys::Lookup;
use crate::model::{CustomerId, Generation, Hour, KeyId};
use crate::reader::FindKey;

/// Records at the beginning of a partition that can no longer be opened.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Prefix {
    pub records: u64,
    /// Size of keys and values, as they were sent.
    pub bytes: u64,
    /// The offset after the last of them.
    pub next: i64,
}

impl Prefix {
    fn add(&mut self, record: &Scanned) {
        let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len) as u64;
        self.records += 1;
        self.bytes += len(&record.key) + len(&record.value);
        self.next = record.offset + 1;
    }
}

/// The prefixes of the partitions that have one, by topic and partition.
pub type Prefixes = BTreeMap<(String, i32), Prefix>;

/// Reads each partition of the topics from its beginning to the first record that can still be opened, or for
/// which that is unknown. Calls the closure with the number of records read. Blocks: do not call it on a
/// thread of the runtime.
///
/// # Errors
/// 69 if the key store does not answer, or if the client's stop is requested: nothing is known then.
pub fn forgotten(
    client: &ClientSettings,
    topics: &[String],
    keys: Arc<dyn FindKey>,
    runtime: &Handle,
    report: &mut dyn FnMut(u64),
) -> Result<Prefixes, Failure> {
    let mut scans = Scans::begin(client, topics, Range::Existing)?;
    let mut judge = Judge { keys, known: HashMap::new() };
    let (mut prefixes, mut read) = (Prefixes::new(), 0);
    loop {
        if client.reach.stop.requested() {
            return Err(Failure::new(
                Failure::DEPENDENCY,
                "a signal has ended the scan: nothing was deleted",
            ));
        }
        match scans.next(Duration::from_millis(100))? {
            Next::Record(record) => {
                read += 1;
                report(read);
                if runtime.block_on(judge.is_forgotten(&record))? {
                    let place = (record.topic.clone(), record.partition);
                    prefixes.entry(place).or_default().add(&record);
                } else {
                    scans.leave(&record)?;
                }
            }
            Next::Idle => {}
            Next::End => return Ok(prefixes),
        }
    }
}

/// Asks the broker to delete the prefixes.
///
/// # Errors
/// 78 without the right DELETE on a topic, 69 if the broker does not answer. Some prefixes may be deleted by
/// then.
pub async fn reclaim(client: &ClientSettings, prefixes: &Prefixes) -> Result<(), Failure> {
    let mut ends: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for ((topic, partition), prefix) in prefixes {
        ends.entry(topic).or_default().insert(*partition, prefix.next);
    }
    let admin = TopicAdmin::new(client)?;
    for (topic, ends) in ends {
        admin.delete_before(topic, &ends).await?;
    }
    Ok(())
}

/// The name of a key.
type Named = (CustomerId, Hour, Generation, KeyId);

/// Looks up each key once: a forgotten key stays forgotten, and the first key that is not forgotten ends a
/// partition.
struct Judge {
    keys: Arc<dyn FindKey>,
    known: HashMap<Named, bool>,
}

impl Judge {
    /// Whether it is a sealed record whose key is permanently gone.
    async fn is_forgotten(&mut self, record: &Scanned) -> Result<bool, Failure> {
        let Some(named) = named(record) else { return Ok(false) };
        if let Some(known) = self.known.get(&named) {
            return Ok(*known);
        }
        let (customer, hour, generation, key_id) = &named;
        let forgotten = match self.keys.find(customer, *hour, *generation, *key_id).await {
            Lookup::Erased { .. } | Lookup::ErasedByTtl | Lookup::Gone => true,
            Lookup::Key(_) | Lookup::NoSuchKey | Lookup::WrongKey => false,
            Lookup::Unavailable(error) => {
                let why = format!("cannot tell which records are forgotten, so nothing is deleted: {error}");
                return Err(Failure::new(Failure::DEPENDENCY, why));
            }
        };
        self.known.insert(named, forgotten);
        Ok(forgotten)
    }
}

/// Returns the key that the record names, without proof: a forged name refers to another key, whose record
/// this is not.
fn named(record: &Scanned) -> Option<Named> {
    let Header { hour, generation, key_id, .. } = Header::parse(record.value.as_deref()?).ok()?;
    let customer = record.record(&record.event_headers()).customer()?;
    Some((customer, hour, generation, key_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Scanned {
        Scanned {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            timestamp: None,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_prefix_ends_behind_its_last_record() {
        let mut prefix = Prefix::default();
        [(7, [0; 100].as_slice()), (9, &[0; 50])]
            .iter()
            .for_each(|(offset, value)| prefix.add(&record(*offset, Some(b"acme"), Some(value))));
        assert_eq!(prefix, Prefix { records: 2, bytes: 158, next: 10 });
    }

    #[test]
    fn what_is_no_sealed_record_names_no_key() {
        for value in [None, Some(b"{}".as_slice()), Some(&[0xE9])] {
            assert!(named(&record(0, Some(b"acme"), value)).is_none());
        }
    }
}
