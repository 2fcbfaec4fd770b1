//! Rules between settings; those on one setting stand with its kind. A [`Config`] that exists has passed them
//! all.

use crate::lane::Specimen;
use crate::model::{CustomerId, Millis};

use super::reader::Reader;
use super::{Canary, Config, Event, Lane, Store, Topics};

pub(super) fn all(config: &Config, reader: &mut Reader<'_>) {
    topics(&config.topics, reader);
    lane(&config.lane, config.event.max_bytes, reader);
    canary(&config.canary, &config.event, reader);
    fleet(config, reader);
}

/// Files are one host's, and a store on a cluster is everybody's: the store's vault id would refuse a process
/// with a vault of its own, or worse, that process would find no KEK.
fn fleet(config: &Config, reader: &mut Reader<'_>) {
    if matches!(config.store, Store::Scylla(_)) && !config.kek.shared {
        reader.contradiction(
            &["store.kind", "kek.provider", "kek.shared"],
            "store.kind is `scylla`, and kek.provider is `file` without kek.shared",
            "put kek.path and kek.root_key_file on a volume that every process of the fleet shares, then say so",
        );
    }
    if config.lane.count == 0 && !config.control.execute {
        reader.contradiction(
            &["lane.count", "control.execute"],
            "lane.count is 0 and control.execute is false: nothing is left to do",
            "a sealer has lanes, an executor executes; most processes do both",
        );
    }
}

fn topics(topics: &Topics, reader: &mut Reader<'_>) {
    let named: Vec<(String, &str)> =
        topics.named().into_iter().map(|(key, topic)| (format!("topics.{key}"), topic)).collect();
    for (index, (key, topic)) in named.iter().enumerate() {
        if let Some((twin, _)) = named[..index].iter().find(|(_, other)| other == topic) {
            let why = format!("{key} and {twin} are both `{topic}`");
            reader.contradiction(&[twin, key], why, "each topic needs a name of its own");
        }
    }
}

fn lane(lane: &Lane, max_bytes: u64, reader: &mut Reader<'_>) {
    if lane.batch_bytes < max_bytes {
        let why = format!("lane.batch_bytes {} is less than event.max_bytes {max_bytes}", lane.batch_bytes);
        let hint = "a batch must hold at least one event of the largest size";
        reader.contradiction(&["event.max_bytes", "lane.batch_bytes"], why, hint);
    }
}

fn canary(canary: &Canary, event: &Event, reader: &mut Reader<'_>) {
    let customer = canary.customer.as_ref().and_then(|name| CustomerId::parse(name).ok());
    let Some(customer) = customer else { return };
    if Specimen::new((&event.customer, &event.time), &customer, Millis(0), "").is_none() {
        reader.contradiction(
            &["canary.customer", "event.time", "event.customer"],
            "event.customer and event.time stand in each other's way: no canary can say both",
            "without canary.customer there is none",
        );
    }
}
