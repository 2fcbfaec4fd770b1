//! Claims about every setting: it has an example and a schema, each layer sets it, `config show` shows it.

use std::collections::BTreeSet;

use super::*;
use crate::config::example::Example;
use crate::config::kind::Setting;
use serde_json::Value as Json;

fn with_env(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&layers("", env, &[]).0)
}

fn with_flag(key: &str, value: &str) -> Result<Config, ConfigError> {
    Config::load(&layers("", &[], &[(key, value)]).0)
}

#[test]
fn a_fleet_shares_its_vault() {
    let config = load("[store]\nkind = 'scylla'\n[kek]\nshared = true").expect("a config");
    let Store::Scylla(scylla) = config.store else { panic!("another store") };
    assert_eq!((scylla.keyspace.as_str(), scylla.replication), ("hourseal", 3));
    assert_eq!(scylla.contact_points, ["127.0.0.1:9042"]);
    assert_eq!((&scylla.login, &scylla.tls_ca_file), (&None, &None));
}

#[test]
fn the_example_says_of_each_setting_what_it_means_and_has_no_other_key() {
    let example = Example::read();
    let known = Config::known();
    for setting in known.settings() {
        let note = example.note(setting.key).unwrap_or_else(|| panic!("{} is missing", setting.key));
        assert!(!note.text.is_empty(), "{} is not explained", setting.key);
        assert!(setting.table.is_some() || !note.value.is_empty(), "{} has no value", setting.key);
    }
    let tables: Vec<&str> =
        known.settings().iter().filter(|it| it.table.is_some()).map(|it| it.key).collect();
    let is_known = |key: &str| known.settings().iter().any(|setting| setting.key == key);
    for (key, note) in example.keys().filter(|(_, note)| !note.value.is_empty()) {
        let is_entry = tables.iter().any(|table| key.starts_with(&format!("{table}.")));
        assert!(is_known(key) || (is_entry && !note.is_default), "{key} is not a setting");
    }
}

#[test]
fn the_example_as_a_file_changes_nothing() {
    let (config, example) = (load("").expect("defaults"), load(EXAMPLE).expect("the example"));
    assert_eq!(format!("{config:?}"), format!("{example:?}"));
}

/// The examples of settings without a default are right, too.
#[test]
fn each_value_of_the_example_is_accepted_in_a_file() {
    for (key, note) in Example::read().keys().filter(|(_, note)| !note.value.is_empty()) {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        let Some(section) = Some(section).filter(|_| !key.contains('"')) else { continue };
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        if let Err(error) = load(&format!("{header}{key} = {}", note.value)) {
            let only_its_pair = |mistake: &Mistake| {
                let words =
                    ["cannot read /run/secrets", "without kek.shared", "set without kafka.sasl_oauth"];
                // The tokens of OAUTHBEARER, without that mechanism.
                let is_token =
                    mistake.why.contains("kafka.sasl_oauth") && mistake.why.contains("OAUTHBEARER");
                is_token || words.iter().any(|word| mistake.why.contains(word))
            };
            assert!(error.mistakes().iter().all(only_its_pair), "{error}");
        }
    }
}

#[test]
fn the_schema_knows_every_setting_with_meaning_and_default() {
    let schema = Config::schema();
    let mut keys = BTreeSet::new();
    for (section, below) in schema["properties"].as_object().expect("sections") {
        match below["properties"].as_object() {
            None => drop(keys.insert(section.clone())),
            Some(settings) => {
                assert_eq!(below["additionalProperties"], false, "{section}");
                keys.extend(settings.keys().map(|key| format!("{section}.{key}")));
            }
        }
    }
    let known = Config::known();
    let expected: BTreeSet<String> = known.settings().iter().map(|setting| setting.key.to_owned()).collect();
    assert_eq!(keys, expected);
    let count = &schema["properties"]["lane"]["properties"]["count"];
    assert_eq!(
        (&count["type"], &count["maximum"], &count["examples"]),
        (&"integer".into(), &1024.into(), &serde_json::json!([2]))
    );
    let time = &schema["properties"]["lane"]["properties"]["batch_time"];
    assert_eq!(time["default"], "100ms");
    assert!(time["description"].as_str().expect("text").starts_with("A batch is closed after this time"));
}

#[test]
fn each_word_that_the_schema_offers_is_accepted() {
    let mut offered = 0;
    let known = Config::known();
    for Setting { key, schema, .. } in known.settings() {
        for word in schema()["enum"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            offered += 1;
            let (layers, _file) = layers("[kek]\nshared = true", &[], &[(key, word)]);
            assert!(Config::load(&layers).is_ok(), "{key} = {word}");
        }
    }
    assert!(offered > 15, "{offered}");
}

#[test]
fn a_list_comes_from_a_variable_or_a_flag_with_commas_or_as_an_array() {
    for list in ["a,b", "a, b", "[\"a\", \"b\"]", "['a', 'b']"] {
        let env = with_env(&[("HOURSEAL__SCRUB__GROUPS", list)]).expect(list);
        let flag = with_flag("scrub.groups", list).expect(list);
        assert_eq!(
            (env.scrub.groups, flag.scrub.groups),
            (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()])
        );
    }
    assert_eq!(with_flag("scrub.groups", "").expect("an empty list").scrub.groups, Vec::<String>::new());
    let said = with_flag("scrub.groups", "[a, b]").expect_err("neither").to_string();
    assert_eq!(said, "flag --set: scrub.groups: not a list such as a,b or [\"a\", \"b\"]");
}

/// A leading bracket was once read as a list, whatever the setting was.
#[test]
fn an_ipv6_address_comes_from_a_variable_or_a_flag_like_any_other() {
    let both = |section: &str, key: &str, value: &str| {
        let name = format!("HOURSEAL__{}__{}", section.to_uppercase(), key.to_uppercase());
        let shared = ("HOURSEAL__KEK__SHARED", "true");
        let env = with_env(&[(&name, value), ("HOURSEAL__STORE__KIND", "scylla"), shared]).expect(value);
        let kind = ("store.kind", "scylla");
        let flags = [(&*format!("{section}.{key}"), value), kind, ("kek.shared", "true")];
        let flag = Config::load(&layers("", &[], &flags).0).expect(value);
        assert_eq!(format!("{env:?}"), format!("{flag:?}"));
        env
    };
    assert_eq!(both("admin", "listen", "[::1]:9464").admin.listen.to_string(), "[::1]:9464");
    assert_eq!(both("kafka", "bootstrap", "[::1]:9092,[::2]:9092").kafka.bootstrap, "[::1]:9092,[::2]:9092");
    assert_eq!(both("kafka", "bootstrap", "::1").kafka.bootstrap, "::1");
    for (points, expected) in [
        ("[::1]:9042", vec!["[::1]:9042"]),
        ("::1", vec!["[::1]:9042"]),
        ("::1,a:1", vec!["[::1]:9042", "a:1"]),
        ("[::1]:9042,[2001:db8::2]:9043", vec!["[::1]:9042", "[2001:db8::2]:9043"]),
        ("[\"[::1]:9042\", \"b:2\"]", vec!["[::1]:9042", "b:2"]),
    ] {
        let Store::Scylla(scylla) = both("store", "contact_points", points).store else { panic!("scylla") };
        assert_eq!(scylla.contact_points, expected, "{points}");
    }
}

/// A value has the type of its setting, whatever its text looks like.
#[test]
fn text_that_looks_like_something_else_stays_text() {
    for text in ["123", "007", "true", "1.5", "[x]", "{}", "[\"x\"]", "1979-05-27", "a=b"] {
        let config = with_env(&[("HOURSEAL__KAFKA__GROUP", text)]).expect(text);
        assert_eq!(config.kafka.group, text);
        assert_eq!(with_flag("kafka.group", text).expect(text).kafka.group, text);
        let shown = Config::load_with_entries(&layers("", &[], &[("kafka.group", text)]).0).expect(text).1;
        assert_eq!(load(&show_toml(&shown)).expect("the printed one").kafka.group, text);
    }
}

#[test]
fn what_is_shown_has_the_type_of_its_setting() {
    let env = [
        ("HOURSEAL__LANE__COUNT", "03"),
        ("HOURSEAL__SCRUB__GROUPS", "a,b"),
        ("HOURSEAL__KEK__SHARED", "true"),
    ];
    let (_, entries) = Config::load_with_entries(&layers("", &env, &[]).0).expect("a config");
    let value = |section: &str, key: &str| {
        let entry = entries.iter().find(|entry| entry.section == section && entry.key == key);
        entry.expect("an entry").value.clone()
    };
    assert_eq!(value("lane", "count").as_deref(), Some("3"));
    assert_eq!(value("scrub", "groups").as_deref(), Some("[\"a\", \"b\"]"));
    assert_eq!(value("kek", "shared").as_deref(), Some("true"));
    assert_eq!(value("store", "user"), None);
}

#[test]
fn what_is_shown_is_every_setting_with_its_origin() {
    let (layers, file) = layers("\n[topics.class]\n7d = 'week'", &[], &[]);
    let (_, entries) = Config::load_with_entries(&layers).expect("a config");
    let class = entries.iter().find(|entry| entry.section == "topics.class").expect("an entry");
    assert_eq!(class.origin, format!("file {}:3", file.path().display()));
    let shown = show_toml(&entries);
    for setting in Config::known().settings().iter().filter(|setting| setting.table.is_none()) {
        let (section, key) = setting.parts();
        let is = |entry: &&Entry| entry.section == section && entry.key == key;
        let entry = entries.iter().find(is).unwrap_or_else(|| panic!("{} is not shown", setting.key));
        assert_eq!(entry.value.is_none(), entry.origin == "not set", "{entry:?}");
    }
    assert!(shown.lines().any(|line| line.starts_with("# user ") && line.ends_with("# not set")), "{shown}");
}

proptest::proptest! {
    /// Whatever is written, nothing panics, and each mistake names its key or says that there is none.
    #[test]
    fn any_text_is_a_configuration_or_a_refusal_that_names_the_key(
        key in "(lane|kafka|topics|x)?\\.?(count|class|client|batch_time|groups)?\\.?[a-z0-9_]{0,3}",
        value in "\\PC{0,12}",
    ) {
        let mut layers = layers("", &[], &[(&key, &value)]).0;
        layers.file = None;
        if let Err(error) = Config::load(&layers) {
            // librdkafka's keys may be written with underscores.
            let names = |named: &str| named.replace('_', ".") == key.replace('_', ".");
            for mistake in error.mistakes() {
                let is_no_key = mistake.why == "not section.key=value";
                assert!(is_no_key || mistake.key.as_deref().is_some_and(names), "{key}: {mistake}");
            }
            assert!(!error.mistakes().is_empty());
        }
    }
}
