//! Rules between settings. A rule on one setting is part of its kind. Every [`Config`] has passed all rules.

use super::reader::Reader;
use super::{Config, Lane, Store, Topics};

pub(super) fn all(config: &Config, reader: &mut Reader<'_>) {
    topics(&config.topics, reader);
    lane(&config.lane, config.event.max_bytes, reader);
    ring(&config.lane, config.ring.capacity, reader);
    fleet(config, reader);
}

/// The vault's files are on one host, but a store on a cluster serves the whole fleet. The store's vault id
/// would refuse a process with its own vault, or worse, that process would find no KEK.
fn fleet(config: &Config, reader: &mut Reader<'_>) {
    if matches!(config.store, Store::Scylla(_)) && !config.kek.shared {
        reader.contradiction(
            &["store.kind", "kek.provider", "kek.shared"],
            "store.kind is `scylla`, and kek.provider is `file` without kek.shared",
            "put kek.path and kek.root_key_file on a volume that every process of the fleet shares, then set \
             kek.shared = true",
        );
    }
    if config.lane.count == 0 && !config.control.execute {
        reader.contradiction(
            &["lane.count", "control.execute"],
            "lane.count is 0 and control.execute is false: this process would do nothing",
            "set lane.count to 1 or more to seal events, or control.execute = true to execute commands",
        );
    }
}

fn topics(topics: &Topics, reader: &mut Reader<'_>) {
    let named: Vec<(String, &str)> =
        topics.named().into_iter().map(|(key, topic)| (format!("topics.{key}"), topic)).collect();
    for (index, (key, topic)) in named.iter().enumerate() {
        if let Some((twin, _)) = named[..index].iter().find(|(_, other)| other == topic) {
            let why = format!("{key} and {twin} are both `{topic}`");
            reader.contradiction(&[twin, key], why, "give each topic a different name");
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

/// In the worst case each event of a batch has a key of its own. If the batches of all lanes do not fit, keys
/// leave the ring before their batch is complete, and a slow store never answers in time.
fn ring(lane: &Lane, capacity: usize, reader: &mut Reader<'_>) {
    let keys = lane.count.saturating_mul(lane.batch_events);
    if capacity < keys {
        let why = format!(
            "ring.capacity {capacity} is less than lane.count {} x lane.batch_events {}",
            lane.count, lane.batch_events
        );
        let hint = format!("set ring.capacity to {keys} or more, or make lane.batch_events smaller");
        reader.contradiction(&["lane.count", "lane.batch_events", "ring.capacity"], why, &hint);
    }
}
