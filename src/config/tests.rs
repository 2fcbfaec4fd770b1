//! Claims about whole configurations.

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
        flags: flags
            .iter()
            .map(|(key, value)| ("--set".to_owned(), (*key).to_owned(), (*value).to_owned()))
            .collect(),
        host: "worker-7".to_owned(),
        cores: 8,
    };
    (layers, on_disk)
}

fn load(file: &str) -> Result<Config, ConfigError> {
    Config::load(&layers(file, &[], &[]).0)
}

fn refusal(file: &str) -> String {
    load(file).expect_err("a refusal").to_string()
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
    assert!(origin("level").starts_with("file "));
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
    assert!(refusal("[process]\ndumpable = 'maybe'").starts_with("`process.dumpable` is wrong"));
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
    let file = "[kafka.client]\n'client.id' = 'x'\n[kafka.producer]\n'linger.ms' = 5";
    let env = [("HOURSEAL__KAFKA__CONSUMER__FETCH_WAIT_MAX_MS", "10")];
    let (layers, _file) = layers(file, &env, &[]);
    let kafka = Config::load(&layers).expect("a config").kafka;
    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&kafka.client()), ["client.id"]);
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
    assert_eq!(config.kafka.client()["sasl.password"], "hunter2");
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
        assert!(!format!("{error} {error:?} {}", error.hint()).contains("hunter2"), "{error}");
    }
}

#[test]
fn refusals_name_the_key_and_the_rule() {
    let unknown = refusal("[lane]\ncuont = 2");
    assert!(unknown.starts_with("`lane.cuont` is unknown; there are count, batch_time"), "{unknown}");
    let wrong = refusal("[retention]\ndefault = '90m'");
    assert!(
        wrong.starts_with("`retention.default` is wrong: `90m` is no retention of whole hours"),
        "{wrong}"
    );
    assert!(wrong.contains("(file "), "{wrong}");
    let early = refusal("[ring]\npremint = '56m'");
    assert!(early.starts_with("`ring.premint` is 56m, more than 55m"), "{early}");
    let late = refusal("[kek]\ndestroy = '25h'");
    assert!(late.starts_with("`kek.destroy` is 1day 1h, more than 1day"), "{late}");
    let seldom = refusal("[retention]\nsweep = '61m'");
    assert!(seldom.starts_with("`retention.sweep` is 1h 1m, more than 1h"), "{seldom}");
    let seldom = refusal("[reclaim]\nevery = '25h'");
    assert!(seldom.starts_with("`reclaim.every` is 1day 1h, more than"), "{seldom}");
    let hasty = refusal("[scrub]\nevery = '10ms'");
    assert!(hasty.starts_with("`scrub.every` is 10ms, less than 1s"), "{hasty}");
    let nameless = refusal("[scrub]\ngroups = ['']");
    assert!(nameless.starts_with("`scrub.groups` has a group without a name"), "{nameless}");
    let somebody = refusal("[canary]\ncustomer = 'acme'");
    assert!(
        somebody.starts_with("`canary.customer` is not an id that begins with `hourseal-canary`"),
        "{somebody}"
    );
    let both = "[canary]\ncustomer = 'hourseal-canary'\n[event]\ncustomer = 'json:/a'\ntime = 'json:/a/b'";
    assert!(refusal(both).contains("stand in each other's way"));
    let twins = refusal("[topics.class]\n1d = 'jobs'");
    assert_eq!(twins, "`topics.class.24h` and `topics.input` are both `jobs`");
    let twice = refusal("[topics.class]\n1d = 'a'\n24h = 'b'");
    assert!(twice.contains("stands there twice"), "{twice}");
    let no_time = refusal("[topics.class]\nshort = 'a'");
    assert!(no_time.contains("`short` is no duration"), "{no_time}");
    let twins = refusal("[topics]\noutput = 'jobs'");
    assert_eq!(twins, "`topics.output` and `topics.input` are both `jobs`");
    let small = refusal("[lane]\nbatch_bytes = '64KiB'");
    assert_eq!(small, "`lane.batch_bytes` 65536 is less than `event.max_bytes` 1048576");
    let order = refusal("[kafka.consumer]\n'session.timeout.ms' = 12000");
    assert_eq!(order, "the transaction time-out 15s is not shorter than the session time-out 12s");
    let denied = refusal("[kafka.consumer]\nauto.offset.reset = 'latest'");
    assert!(denied.starts_with("`kafka.consumer.auto.offset.reset` cannot be set: a gap"), "{denied}");
    let pointer = refusal("[event]\ncustomer = 'json:customer_id'");
    assert!(pointer.contains("`customer_id` is no JSON pointer"), "{pointer}");
    let syntax = refusal("instance = 'a'\nlane = ");
    assert!(syntax.contains(" line 2 is no TOML: "), "{syntax}");
    let kind = refusal("[store]\nkind = 'redis'");
    assert!(kind.starts_with("`store.kind` `redis` is neither `sqlite` nor `scylla`"), "{kind}");
    assert!(refusal("instance = 'a b'").contains("is not 1 to 200 letters"));
}

#[test]
fn a_fleet_shares_its_vault_or_is_refused() {
    let alone = refusal("[store]\nkind = 'scylla'");
    assert_eq!(alone, "`store.kind` is `scylla`, and `kek.provider` is `file` without `kek.shared`");
    let config = load("[store]\nkind = 'scylla'\n[kek]\nshared = true").expect("a config");
    let Store::Scylla(scylla) = config.store else { panic!("another store") };
    assert_eq!((scylla.keyspace.as_str(), scylla.replication), ("hourseal", 3));
    assert_eq!(scylla.contact_points, ["127.0.0.1:9042"]);
    assert_eq!((&scylla.login, &scylla.tls_ca_file), (&None, &None));
}

#[test]
fn half_a_login_and_odd_names_are_refused() {
    let scylla = |more: &str| refusal(&format!("[store]\nkind = 'scylla'\n{more}\n[kek]\nshared = true"));
    assert!(scylla("user = 'a'").starts_with("`store.user` stands without `store.password_file`"));
    assert!(
        scylla("tls_key_file = 'a'").starts_with("`store.tls_key_file` stands without `store.tls_cert_file`")
    );
    for keyspace in ["", "Hourseal", "1a", "a-b", "a.b", "a b"] {
        let why = scylla(&format!("keyspace = '{keyspace}'"));
        assert!(why.contains("is not 1 to 39 of a-z, 0-9 and _"), "{why}");
    }
    for points in ["[]", "['a']", "['a:b']"] {
        let why = scylla(&format!("contact_points = {points}"));
        assert!(why.starts_with("`store.contact_points` is no list of `host:port`"), "{why}");
    }
}

#[test]
fn a_process_that_would_do_nothing_is_refused() {
    let nothing = refusal("[lane]\ncount = 0\n[control]\nexecute = false");
    assert_eq!(nothing, "`lane.count` is 0 and `control.execute` is false: nothing is left to do");
    assert!(load("[lane]\ncount = 0").is_ok() && load("[control]\nexecute = false").is_ok());
}
