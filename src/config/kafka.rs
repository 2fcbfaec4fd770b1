//! `[kafka]`: how to reach the cluster, and librdkafka's own settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{ConfigError, deny, units};

/// `[kafka]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKafka {
    #[serde(deserialize_with = "units::parsed")]
    bootstrap: String,
    #[serde(deserialize_with = "units::parsed")]
    group: String,
    sasl_password_file: Option<PathBuf>,
    ssl_key_password_file: Option<PathBuf>,
    client: BTreeMap<String, Setting>,
    consumer: BTreeMap<String, Setting>,
    producer: BTreeMap<String, Setting>,
}

/// A librdkafka value: text, number or flag, kept as text.
#[derive(Deserialize)]
struct Setting(#[serde(deserialize_with = "units::parsed")] String);

/// `[kafka]`, checked.
#[derive(Clone)]
pub struct Kafka {
    /// `host:port`, more of them separated by commas.
    pub bootstrap: String,
    /// The consumer group; part of every transactional id.
    pub group: String,
    client: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
    producer: BTreeMap<String, String>,
    secrets: Vec<(&'static str, Zeroizing<String>)>,
}

/// The time-outs that must stand in this order: socket < transaction < session < poll interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// A producer's request unanswered for so long taints it.
    pub socket: Duration,
    /// The broker aborts a transaction after it.
    pub transaction: Duration,
    /// The group gives a silent member's partitions away after it.
    pub session: Duration,
    /// A member that has not polled for so long leaves the group.
    pub poll_interval: Duration,
}

impl Kafka {
    /// librdkafka settings of every client, with the secrets from their files.
    pub fn client(&self) -> BTreeMap<String, String> {
        let secrets = self.secrets.iter().map(|(key, value)| ((*key).to_owned(), value.to_string()));
        self.client.clone().into_iter().chain(secrets).collect()
    }

    /// librdkafka settings of lanes' consumers.
    pub fn consumer(&self) -> &BTreeMap<String, String> {
        &self.consumer
    }

    /// librdkafka settings of lanes' producers.
    pub fn producer(&self) -> &BTreeMap<String, String> {
        &self.producer
    }

    /// The time-outs in force: what the user passes through, else ours.
    pub fn timeouts(&self) -> Timeouts {
        let milliseconds = |map: &BTreeMap<String, String>, key: &str, default: u64| {
            Duration::from_millis(map.get(key).and_then(|text| text.parse().ok()).unwrap_or(default))
        };
        Timeouts {
            socket: milliseconds(&self.producer, "socket.timeout.ms", 10_000),
            transaction: milliseconds(&self.producer, "transaction.timeout.ms", 15_000),
            session: milliseconds(&self.consumer, "session.timeout.ms", 30_000),
            poll_interval: milliseconds(&self.consumer, "max.poll.interval.ms", 120_000),
        }
    }

    fn check_timeouts(&self) -> Result<(), ConfigError> {
        let Timeouts { socket, transaction, session, poll_interval } = self.timeouts();
        let wrong_order = |what: &str, short: Duration, than: &str, long: Duration| {
            let [short, long] = [short, long].map(humantime::format_duration);
            let why = format!("{what} {short} is not shorter than {than} {long}");
            let hint =
                "keep socket.timeout.ms < transaction.timeout.ms < session.timeout.ms < max.poll.interval.ms";
            Err(ConfigError::Contradiction { why, hint })
        };
        if socket >= transaction {
            let what = "the producer's socket time-out";
            return wrong_order(what, socket, "the transaction time-out", transaction);
        }
        if transaction >= session {
            return wrong_order("the transaction time-out", transaction, "the session time-out", session);
        }
        if session >= poll_interval {
            return wrong_order("the session time-out", session, "the poll interval", poll_interval);
        }
        Ok(())
    }
}

impl TryFrom<RawKafka> for Kafka {
    type Error = ConfigError;

    fn try_from(raw: RawKafka) -> Result<Self, ConfigError> {
        if raw.bootstrap.trim().is_empty() {
            return Err(ConfigError::value("kafka.bootstrap", "is empty"));
        }
        if raw.group.is_empty() {
            return Err(ConfigError::value("kafka.group", "is empty"));
        }
        let files =
            [("sasl.password", raw.sasl_password_file), ("ssl.key.password", raw.ssl_key_password_file)];
        let secrets =
            files.into_iter().filter_map(|(key, file)| file.map(|file| Ok((key, read_secret(&file)?))));
        let kafka = Self {
            bootstrap: raw.bootstrap,
            group: raw.group,
            client: checked("client", raw.client)?,
            consumer: checked("consumer", raw.consumer)?,
            producer: checked("producer", raw.producer)?,
            secrets: secrets.collect::<Result<_, ConfigError>>()?,
        };
        kafka.check_timeouts()?;
        Ok(kafka)
    }
}

impl fmt::Debug for Kafka {
    /// Names the cluster and the group only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

fn checked(
    map: &'static str,
    settings: BTreeMap<String, Setting>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    settings
        .into_iter()
        .map(|(key, Setting(value))| deny::check(map, &key, &value).map(|()| (key, value)))
        .collect()
}

/// A secret without the newline that editors leave at its end.
fn read_secret(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
