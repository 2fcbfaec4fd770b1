//! Rules on values and between them. A [`Config`] that exists has passed them all.

use std::time::Duration;

use crate::lane::Specimen;
use crate::model::{CustomerId, Millis};

use super::{Config, ConfigError, Event, Lane, Retentions, Ring, Scrub, Seal, Store, Topics};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn all(config: &Config) -> Result<(), ConfigError> {
    name("instance", &config.instance)?;
    topics(&config.topics)?;
    event(&config.event)?;
    seal(&config.seal)?;
    lane(&config.lane, config.event.max_bytes)?;
    ring(&config.ring)?;
    retention(&config.retention)?;
    every("reclaim.every", config.reclaim.every, 24 * HOUR)?;
    scrub(&config.scrub)?;
    canary(config)?;
    at_most("kek.destroy", config.kek.destroy, 24 * HOUR)?;
    fleet(config)
}

/// Files are one host's, and a store on a cluster is everybody's: a process with a vault of its own would be refused by the
/// store's vault id, or worse, find no KEK.
fn fleet(config: &Config) -> Result<(), ConfigError> {
    if matches!(config.store, Store::Scylla(_)) && !config.kek.shared {
        return Err(ConfigError::Contradiction {
            why: "`store.kind` is `scylla`, and `kek.provider` is `file` without `kek.shared`".to_owned(),
            hint: "put kek.path and kek.root_key_file on a volume that every process of the fleet shares, then say so",
        });
    }
    if config.lane.count == 0 && !config.control.execute {
        return Err(ConfigError::Contradiction {
            why: "`lane.count` is 0 and `control.execute` is false: nothing is left to do".to_owned(),
            hint: "a sealer has lanes, an executor executes; most processes do both",
        });
    }
    Ok(())
}

/// Kafka's legal names: they become parts of topic names, group.instance.id and transactional.id.
fn name(key: &str, name: &str) -> Result<(), ConfigError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 200 || !name.chars().all(legal) {
        return Err(ConfigError::value(
            key,
            format!("`{name}` is not 1 to 200 letters, digits, dots, dashes and underscores"),
        ));
    }
    Ok(())
}

fn topics(topics: &Topics) -> Result<(), ConfigError> {
    let named = topics.named();
    for (index, (key, topic)) in named.iter().enumerate() {
        name(&format!("topics.{key}"), topic)?;
        if let Some((twin, _)) = named[..index].iter().find(|(_, other)| other == topic) {
            let why = format!("`topics.{key}` and `topics.{twin}` are both `{topic}`");
            return Err(ConfigError::Contradiction { why, hint: "each topic needs a name of its own" });
        }
    }
    Ok(())
}

fn event(event: &Event) -> Result<(), ConfigError> {
    at_most("event.grace", event.grace, HOUR)?;
    // A broker refuses timestamps more than an hour ahead by default (message.timestamp.after.max.ms).
    at_most("event.max_future", event.max_future, HOUR)?;
    within("event.max_bytes", event.max_bytes, 1, 512 << 20)
}

fn seal(seal: &Seal) -> Result<(), ConfigError> {
    let refused = |name: &&String| name.is_empty() || name.contains('\0') || name.starts_with("hourseal-");
    match seal.clear_headers.iter().find(refused) {
        Some(name) => {
            let why =
                format!("has {name:?}: a name is not empty, holds no NUL and does not begin with hourseal-");
            Err(ConfigError::value("seal.clear_headers", why))
        }
        None => Ok(()),
    }
}

fn lane(lane: &Lane, max_bytes: u64) -> Result<(), ConfigError> {
    within("lane.count", lane.count as u64, 0, 1024)?;
    within("lane.batch_events", lane.batch_events as u64, 1, 1_000_000)?;
    at_least("lane.batch_time", lane.batch_time, Duration::from_millis(1))?;
    at_most("lane.batch_time", lane.batch_time, Duration::from_secs(5))?;
    within("lane.batch_bytes", lane.batch_bytes, 1, 1 << 30)?;
    if lane.batch_bytes < max_bytes {
        let why =
            format!("`lane.batch_bytes` {} is less than `event.max_bytes` {max_bytes}", lane.batch_bytes);
        return Err(ConfigError::Contradiction {
            why,
            hint: "a batch must hold at least one event of the largest size",
        });
    }
    Ok(())
}

fn ring(ring: &Ring) -> Result<(), ConfigError> {
    at_least("ring.lease", ring.lease, Duration::from_secs(1))?;
    at_most("ring.lease", ring.lease, HOUR)?;
    within("ring.capacity", ring.capacity as u64, 1, 100_000_000)?;
    // Who is active in an hour shows in its first minutes.
    at_most("ring.premint", ring.premint, Duration::from_secs(55 * 60))
}

fn retention(retention: &Retentions) -> Result<(), ConfigError> {
    at_most("retention.sweep", retention.sweep, HOUR)
}

/// Of what is done again and again; zero = never.
fn every(key: &str, time: Duration, most: Duration) -> Result<(), ConfigError> {
    if !time.is_zero() {
        at_least(key, time, Duration::from_secs(1))?;
    }
    at_most(key, time, most)
}

fn scrub(scrub: &Scrub) -> Result<(), ConfigError> {
    every("scrub.every", scrub.every, HOUR)?;
    match scrub.groups.iter().any(String::is_empty) {
        true => Err(ConfigError::value("scrub.groups", "has a group without a name".to_owned())),
        false => Ok(()),
    }
}

/// Its retention is an hour: it must be nobody's.
fn canary(config: &Config) -> Result<(), ConfigError> {
    let Some(name) = &config.canary.customer else { return Ok(()) };
    let customer = CustomerId::parse(name).ok().filter(|_| name.starts_with("hourseal-canary"));
    let Some(customer) = customer else {
        let why = "is not an id that begins with `hourseal-canary`".to_owned();
        return Err(ConfigError::value("canary.customer", why));
    };
    let places = (&config.event.customer, &config.event.time);
    match Specimen::new(places, &customer, Millis(0), "") {
        Some(_) => Ok(()),
        None => Err(ConfigError::Contradiction {
            why: "`event.customer` and `event.time` stand in each other's way: no canary can say both"
                .to_owned(),
            hint: "without canary.customer there is none",
        }),
    }
}

fn within(key: &str, number: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(ConfigError::value(key, format!("is {number}, which is not {least} to {most}")))
}

fn at_most(key: &str, time: Duration, most: Duration) -> Result<(), ConfigError> {
    let [is, limit] = [time, most].map(humantime::format_duration);
    if time <= most { Ok(()) } else { Err(ConfigError::value(key, format!("is {is}, more than {limit}"))) }
}

fn at_least(key: &str, time: Duration, least: Duration) -> Result<(), ConfigError> {
    let [is, limit] = [time, least].map(humantime::format_duration);
    if time >= least { Ok(()) } else { Err(ConfigError::value(key, format!("is {is}, less than {limit}"))) }
}
