//! `[kafka]`: how to reach the cluster, and librdkafka's own settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::deny;
use super::kind::{Entries, Kind, Optional, Section, Setting, Shape, section};
use super::oauth::{self, ENDPOINT_URL, Tokens};
use super::reader::Reader;
use super::tree::Value;
use super::words::{FILLED, File};

section! {
    /// `[kafka]` as the operator wrote it.
    struct Written in "kafka." {
        bootstrap: String = FILLED,
        group: String = FILLED,
        sasl_password_file: Option<Secret> = Optional(SecretFile),
        sasl_oauth_token_file: Option<PathBuf> = Optional(File),
        sasl_oauth_token_endpoint: Option<String> = Optional(ENDPOINT_URL),
        sasl_oauth_client_id: Option<String> = Optional(FILLED),
        sasl_oauth_client_secret_file: Option<PathBuf> = Optional(File),
        sasl_oauth_scope: Option<String> = Optional(FILLED),
        sasl_oauth_ca_file: Option<PathBuf> = Optional(File),
        ssl_key_password_file: Option<Secret> = Optional(SecretFile),
        ssl_keystore_password_file: Option<Secret> = Optional(SecretFile),
        client: BTreeMap<String, String> = Librdkafka,
        consumer: BTreeMap<String, String> = Librdkafka,
        producer: BTreeMap<String, String> = Librdkafka,
    }
}

type Secret = Zeroizing<String>;

/// `[kafka]`, checked.
#[derive(Clone)]
pub struct Kafka {
    /// One or more `host:port`, separated by commas.
    pub bootstrap: String,
    /// The consumer group; part of every transactional id.
    pub group: String,
    client: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
    producer: BTreeMap<String, String>,
    sasl_password: Option<Secret>,
    tokens: Option<Tokens>,
    secrets: Vec<(&'static str, Secret)>,
}

/// Time-outs that must satisfy: socket < transaction < session < poll interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// A request that is unanswered for this long taints its producer.
    pub socket: Duration,
    /// The broker aborts a transaction after this time.
    pub transaction: Duration,
    /// The group reassigns a silent member's partitions after this time.
    pub session: Duration,
    /// A member that has not polled for this long leaves the group.
    pub poll_interval: Duration,
}

impl Kafka {
    /// librdkafka settings of every client, with the secrets from their files. Without the SASL password:
    /// [`Kafka::sasl_password`].
    pub fn client(&self) -> BTreeMap<String, String> {
        let secrets = self.secrets.iter().map(|(key, value)| ((*key).to_owned(), value.to_string()));
        self.client.clone().into_iter().chain(secrets).collect()
    }

    /// Name and password of SASL, as its file has it now.
    pub fn sasl_password(&self) -> Option<(String, Zeroizing<String>)> {
        let user = self.client.get("sasl.username").cloned().unwrap_or_default();
        self.sasl_password.clone().map(|password| (user, password))
    }

    /// The source of the tokens of OAUTHBEARER.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// librdkafka settings of lanes' consumers.
    pub fn consumer(&self) -> &BTreeMap<String, String> {
        &self.consumer
    }

    /// librdkafka settings of lanes' producers.
    pub fn producer(&self) -> &BTreeMap<String, String> {
        &self.producer
    }

    /// The time-outs in force: the operator's values, otherwise this program's defaults.
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

    /// A file of TLS without TLS: the clients would speak plaintext, and nobody would notice.
    fn check_tls(&self, reader: &mut Reader<'_>) {
        let protocol = self.client.get("security.protocol").map_or("plaintext", String::as_str);
        let is_plain = ["plaintext", "sasl_plaintext"].contains(&protocol.to_lowercase().as_str());
        let mut files =
            self.client.keys().filter(|key| key.starts_with("ssl.") && key.ends_with(".location"));
        if let Some(key) = files.next().filter(|_| is_plain) {
            let key = format!("kafka.client.{key}");
            let why =
                format!("{key} is set, but the clients would not use TLS: `security.protocol` is {protocol}");
            reader.contradiction(&["kafka.client.security.protocol", &key], why, WITH_TLS);
        }
    }

    fn check_timeouts(&self, reader: &mut Reader<'_>) {
        let Timeouts { socket, transaction, session, poll_interval } = self.timeouts();
        let order = [
            ("the producer's socket time-out", "kafka.producer.socket.timeout.ms", socket),
            ("the transaction time-out", "kafka.producer.transaction.timeout.ms", transaction),
            ("the session time-out", "kafka.consumer.session.timeout.ms", session),
            ("the poll interval", "kafka.consumer.max.poll.interval.ms", poll_interval),
        ];
        for ((what, short_key, short), (than, long_key, long)) in order.iter().zip(&order[1..]) {
            if short >= long {
                let [short, long] = [*short, *long].map(humantime::format_duration);
                let why = format!("{what} {short} is not shorter than {than} {long}");
                reader.contradiction(&[*short_key, *long_key], why, TIMEOUT_ORDER);
            }
        }
    }
}

/// Hint for a file of TLS without TLS.
const WITH_TLS: &str =
    "set `security.protocol` in [kafka.client] to `ssl` or `sasl_ssl`, or remove the files of TLS";

const TIMEOUT_ORDER: &str =
    "keep socket.timeout.ms < transaction.timeout.ms < session.timeout.ms < max.poll.interval.ms";

impl Section for Kafka {
    fn settings() -> Vec<Setting> {
        Written::settings()
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let written = Written::read(reader)?;
        let tokens = oauth::Written {
            token_file: written.sasl_oauth_token_file,
            endpoint: written.sasl_oauth_token_endpoint,
            client_id: written.sasl_oauth_client_id,
            secret_file: written.sasl_oauth_client_secret_file,
            scope: written.sasl_oauth_scope,
            ca_file: written.sasl_oauth_ca_file,
        };
        let secrets = [
            ("ssl.key.password", written.ssl_key_password_file),
            ("ssl.keystore.password", written.ssl_keystore_password_file),
        ];
        let kafka = Self {
            bootstrap: written.bootstrap,
            group: written.group,
            sasl_password: written.sasl_password_file,
            tokens: tokens.check(uses_oauth(&written.client), reader),
            client: written.client,
            consumer: written.consumer,
            producer: written.producer,
            secrets: secrets.into_iter().filter_map(|(key, secret)| Some((key, secret?))).collect(),
        };
        kafka.check_timeouts(reader);
        kafka.check_tls(reader);
        Some(kafka)
    }
}

impl fmt::Debug for Kafka {
    /// Shows only the cluster and the group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

fn uses_oauth(client: &BTreeMap<String, String>) -> bool {
    let mechanism = client.get("sasl.mechanism").or_else(|| client.get("sasl.mechanisms"));
    mechanism.is_some_and(|it| it.eq_ignore_ascii_case("OAUTHBEARER"))
}

/// librdkafka's settings: their keys contain dots, and their values are kept as text.
struct Librdkafka;

impl Kind for Librdkafka {
    type Value = BTreeMap<String, String>;

    fn table(&self) -> Option<Entries> {
        Some(Entries::Dotted)
    }

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Self::Value> {
        let map = setting.trim_start_matches("kafka.");
        let mut read = BTreeMap::new();
        for (key, leaf) in reader.entries(setting) {
            let path = format!("{setting}.{key}");
            let text = leaf.value.scalar();
            if let Err(denied) = deny::check(map, key, text.as_deref().unwrap_or_default()) {
                reader.wrong_entry(path, leaf, denied.why, denied.hint);
                continue;
            }
            match text {
                Ok(text) => drop(read.insert(key.to_owned(), text.into_owned())),
                Err(found) => {
                    reader.wrong_entry(path, leaf, format!("{found}, not a single value"), deny::DOCUMENTED);
                }
            }
        }
        Some(read)
    }

    fn show(&self, value: &Value) -> String {
        Shape::Text.show(value)
    }

    fn schema(&self) -> Json {
        deny::map_schema()
    }
}

/// A secret that is read from its file.
struct SecretFile;

impl Kind for SecretFile {
    type Value = Secret;

    fn read(&self, setting: &'static str, reader: &mut Reader<'_>) -> Option<Secret> {
        let path = Kind::read(&File, setting, reader)?;
        read_secret(&path)
            .map_err(|why| reader.wrong(setting, format!("cannot read {}: {why}", path.display())))
            .ok()
    }

    fn show(&self, value: &Value) -> String {
        Kind::show(&File, value)
    }

    fn schema(&self) -> Json {
        Kind::schema(&File)
    }
}

/// Reads a secret without the line breaks that editors leave at its end.
fn read_secret(path: &Path) -> std::io::Result<Secret> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new)?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
