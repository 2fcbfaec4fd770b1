//! Claims about whole configurations.

mod mistakes;
mod sources;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use super::*;
use crate::lane::{OutputKey, Partitioner};

fn layers(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> (Layers, tempfile::NamedTempFile) {
    let mut on_disk = tempfile::NamedTempFile::new().expect("a temporary file");
    on_disk.write_all(file.as_bytes()).expect("written");
    let layers = Layers {
        file: Some(on_disk.path().to_owned()),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(key, value)| ("--set".to_owned(), format!("{key}={value}"))).collect(),
        host: "worker-7".to_owned(),
        cores: 8,
    };
    (layers, on_disk)
}

fn load(file: &str) -> Result<Config, ConfigError> {
    Config::load(&layers(file, &[], &[]).0)
}

/// Returns the refusal of a file with one mistake, without the name of the file.
fn refusal(file: &str) -> String {
    let (layers, on_disk) = layers(file, &[], &[]);
    let said = Config::load(&layers).expect_err("a refusal").to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.replace(&on_disk.path().display().to_string(), "file")
}

#[test]
fn without_a_file_everything_has_the_documented_default() {
    let config = load("").expect("defaults");
    assert_eq!(config.instance, "worker-7");
    assert_eq!(config.kafka.group, "hourseal.jobs");
    let topics: Vec<&str> = config.topics.named().into_iter().map(|(_, name)| name).collect();
    assert_eq!(topics[..4], ["jobs", "jobs.sealed", "jobs.quarantine", "jobs.control"]);
    assert_eq!(topics[4..], ["jobs.receipts", "jobs.checkpoints"]);
    assert_eq!(config.receipts.signing_key_file, None);
    assert_eq!(config.seal.stream.as_str(), "jobs");
    assert_eq!((config.seal.key, config.seal.partitioner), (OutputKey::Customer, Partitioner::CustomerHour));
    assert_eq!((config.lane.count, config.lane.batch_bytes), (4, 16 << 20));
    assert_eq!(config.retention.default.as_hours(), 720);
    assert!(config.control.require_signatures && !config.process.dumpable);
    assert_eq!((config.ring.lease, config.ring.premint), (Duration::from_secs(60), Duration::from_secs(600)));
}

#[test]
fn what_is_derived_follows_the_input_and_never_overrides() {
    let config = load("[topics]\ninput = 'orders'\noutput = 'safe'").expect("a config");
    assert_eq!(config.kafka.group, "hourseal.orders");
    assert_eq!((config.topics.output.as_str(), config.topics.receipts.as_str()), ("safe", "orders.receipts"));
}

#[test]
fn outputs_are_the_output_and_then_the_classes_from_the_shortest() {
    let config = load("[topics.class]\n30d = 'month'\n7d = 'week'\n100h = 'days'").expect("a config");
    assert_eq!(config.topics.outputs(), ["jobs.sealed", "days", "week", "month"]);
    let (layers, _file) = layers("", &[("HOURSEAL__TOPICS__CLASS__7D", "week")], &[]);
    assert_eq!(Config::load(&layers).expect("a config").topics.outputs(), ["jobs.sealed", "week"]);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let file = "[lane]\ncount = 1\nbatch_events = 1\n[log]\nlevel = 'warn'";
    let env = [("HOURSEAL__LANE__COUNT", "2"), ("HOURSEAL__LANE__BATCH_EVENTS", "2"), ("UNRELATED", "x")];
    let (layers, _file) = layers(file, &env, &[("lane.count", "3")]);
    let (config, entries) = Config::load_with_entries(&layers).expect("a config");
    assert_eq!((config.lane.count, config.lane.batch_events), (3, 2));
    let origin = |key: &str| entries.iter().find(|entry| entry.key == key).expect("an entry").origin.clone();
    assert_eq!(origin("count"), "flag --set");
    assert_eq!(origin("batch_events"), "environment HOURSEAL__LANE__BATCH_EVENTS");
    let level = origin("level");
    assert!(level.starts_with("file ") && level.ends_with(":5"), "{level}");
    assert_eq!(origin("batch_time"), "default");
}

#[test]
fn a_process_is_dumpable_only_where_that_is_said() {
    let config = |file| load(file).expect("a config").process;
    assert!(!config("[process]").dumpable && !config("[process]\ndumpable = false").dumpable);
    assert!(config("[process]\ndumpable = true").dumpable);
    let (layers, _file) = layers("", &[("HOURSEAL__PROCESS__DUMPABLE", "true")], &[]);
    let (config, entries) = Config::load_with_entries(&layers).expect("a config");
    assert!(config.process.dumpable);
    assert!(show_toml(&entries).contains("[process]\ndumpable = "));
    let wrong = refusal("[process]\ndumpable = 'maybe'");
    assert_eq!(wrong, "file:2: process.dumpable: `maybe` is not true or false");
}

#[test]
fn what_show_prints_is_a_configuration_with_the_same_effect() {
    let (layers, _file) =
        layers("instance = '007'\n[kafka.client]\nsecurity.protocol = 'plaintext'", &[], &[]);
    let (config, entries) = Config::load_with_entries(&layers).expect("a config");
    let again = load(&show_toml(&entries)).expect("the printed one");
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
    assert_eq!(config.kafka.client(), again.kafka.client());
}

/// Found by the fuzzer: Rust writes `\0` and `\u{7f}`, which TOML does not know.
#[test]
fn what_show_prints_is_toml_whatever_the_keys_are() {
    let file = "[kafka.client]\n\"a\\u0000\\u007f\\\"\\\\b\\n'\" = 1\n\"\" = 2";
    let (layers, _file) = layers(file, &[], &[]);
    let (config, entries) = Config::load_with_entries(&layers).expect("a config");
    let again = load(&show_toml(&entries)).expect("the printed one");
    assert_eq!(config.kafka.client(), again.kafka.client());
    assert_eq!(config.kafka.client()["a\0\u{7f}\"\\b\n'"], "1");
}

#[test]
fn librdkafka_settings_reach_their_clients_only() {
    let file = "[kafka.client]\n'client.rack' = 'x'\n[kafka.producer]\n'linger.ms' = 5";
    let env = [("HOURSEAL__KAFKA__CONSUMER__FETCH_WAIT_MAX_MS", "10")];
    let (layers, _file) = layers(file, &env, &[]);
    let kafka = Config::load(&layers).expect("a config").kafka;
    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&kafka.client()), ["client.rack"]);
    assert_eq!(keys(kafka.consumer()), ["fetch.wait.max.ms"]);
    assert_eq!(keys(kafka.producer()), ["linger.ms"]);
}

#[test]
fn a_secret_is_read_from_its_file_and_shown_nowhere() {
    let mut secret = tempfile::NamedTempFile::new().expect("a file");
    secret.write_all(b"hunter2\n").expect("written");
    let file = format!("[kafka]\nsasl_password_file = {:?}", secret.path());
    let (layers, _file) = layers(&file, &[], &[]);
    let (config, entries) = Config::load_with_entries(&layers).expect("a config");
    assert_eq!(config.kafka.sasl_password().expect("a password").1.as_str(), "hunter2");
    assert!(!config.kafka.client().contains_key("sasl.password"));
    assert!(!format!("{config:?} {entries:?} {}", show_toml(&entries)).contains("hunter2"));
}

#[test]
fn a_secret_in_the_wrong_place_is_refused_without_being_shown() {
    let wrong = [
        "[kafka.client]\n'sasl.password' = 'hunter2'",
        "[kafka]\nclient = 'hunter2'",
        "[kafka]\nsasl_password = 'hunter2'",
        "[kafka]\nsasl.password = 'hunter2",
        "[admin]\nlisten = ['hunter2']",
    ];
    for file in wrong {
        let error = load(file).expect_err(file);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
