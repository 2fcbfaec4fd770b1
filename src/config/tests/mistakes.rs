//! Refusals: all mistakes are reported at once, each with its place, its key and a hint.

use super::*;

/// Covers each kind of mistake that a single value or key can be: file and line, key and rule.
#[test]
fn a_refusal_names_the_line_the_key_and_the_rule() {
    for (file, said) in [
        ("[lane]\ncuont = 2", "file:2: lane.cuont: unknown key; did you mean lane.count?"),
        ("[lanes]\ncount = 2", "file:2: lanes.count: unknown key; did you mean lane.count?"),
        ("[lanes]\na = 1\nb = 2", "file:1: lanes: unknown section; did you mean lane?"),
        ("[lanes]", "file:1: lanes: unknown section; did you mean lane?"),
        ("[kafka]\nlease = '1s'", "file:2: kafka.lease: unknown key; did you mean ring.lease?"),
        ("[lane]\nx = 2", "file:2: lane.x: unknown key"),
        ("lane = 2", "file:1: lane: a number, not a table"),
        ("[[lane]]\ncount = 2", "file:1: lane: a list, not a table"),
        ("[kafka]\nclient = 'x'", "file:2: kafka.client: text, not a table"),
        ("[lane.count]\na = 2", "file:1: lane.count: a table, not a whole number"),
        ("[lane]\ncount = [2]", "file:2: lane.count: a list, not a whole number"),
        ("[lane]\ncount = 1.5", "file:2: lane.count: a number with a fraction, not a whole number"),
        ("instance = 1979-05-27", "file:1: instance: a date, not text"),
        ("[lane]\ncount = 'two'", "file:2: lane.count: `two` is not a whole number"),
        ("[lane]\ncount = 1025", "file:2: lane.count: 1025 is not 0 to 1024"),
        ("[lane]\nbatch_time = '6s'", "file:2: lane.batch_time: 6s is more than 5s"),
        ("[lane]\nbatch_time = '10us'", "file:2: lane.batch_time: 10us is less than 1ms"),
        (
            "[lane]\nbatch_bytes = '16MB'",
            "file:2: lane.batch_bytes: `16MB` is not a size such as 16MiB, 64KiB or 1048576",
        ),
        (
            "[retention]\ndefault = '90m'",
            "file:2: retention.default: `90m` is not a retention of whole hours, 1h to 65535h",
        ),
        ("[ring]\npremint = '56m'", "file:2: ring.premint: 56m is more than 55m"),
        ("[kek]\ndestroy = '25h'", "file:2: kek.destroy: 1day 1h is more than 1day"),
        ("[retention]\nsweep = '61m'", "file:2: retention.sweep: 1h 1m is more than 1h"),
        ("[reclaim]\nevery = '25h'", "file:2: reclaim.every: 1day 1h is more than 1day"),
        ("[scrub]\nevery = '10ms'", "file:2: scrub.every: 10ms is less than 1s and not 0s (never)"),
        (
            "[scrub]\ngroups = ['']",
            "file:2: scrub.groups: item 1: `` is not text with at least one non-blank character",
        ),
        ("[seal]\nclear_headers = 'a'", "file:2: seal.clear_headers: text, not a list"),
        ("[seal]\nclear_headers = ['a', []]", "file:2: seal.clear_headers: item 2 is a list, not text"),
        (
            "[canary]\ncustomer = 'acme'",
            "file:2: canary.customer: not an id that begins with `hourseal-canary`",
        ),
        (
            "[topics.class]\nshort = 'a'",
            "file:2: topics.class.short: `short` is not a duration such as 100ms, 5m or 1h",
        ),
        (
            "[topics.class]\n1d = 'a'\n24h = 'b'",
            "file:3: topics.class.24h: 24h is set twice, in two spellings",
        ),
        (
            "[kafka.client]\n'a.b' = 1\na_b = 2",
            "file:3: kafka.client.a.b: set twice, in two spellings; the other one is at file:2",
        ),
        ("[kafka.client]\na = [1]", "file:2: kafka.client.a: a list, not a single value"),
        ("[store]\nkind = 'redis'", "file:2: store.kind: `redis` is not one of: sqlite, scylla"),
        ("[log]\nlevel = 'loud'", "file:2: log.level: `loud` is not one of: error, warn, info, debug, trace"),
        (
            "instance = 'a b'",
            "file:1: instance: `a b` is not 1 to 200 letters, digits, dots, dashes and underscores",
        ),
        (
            "[kafka]\nbootstrap = ' '",
            "file:2: kafka.bootstrap: ` ` is not text with at least one non-blank character",
        ),
        (
            "[kafka.consumer]\nauto.offset.reset = 'latest'",
            "file:2: kafka.consumer.auto.offset.reset: cannot be set: a gap in the input must park its \
             partition, not be skipped",
        ),
        (
            "[kafka.client]\nsasl.password = 'hunter2'",
            "file:2: kafka.client.sasl.password: a secret must not be in the configuration",
        ),
        (
            "[kafka]\nsasl_password_file = 'absent'",
            "file:2: kafka.sasl_password_file: cannot read absent: No such file or directory (os error 2)",
        ),
        (
            "[event]\ntime = 'json:/created@epoch'",
            "file:2: event.time: `json:/created@epoch`: `@epoch` is not a form of times: write @rfc3339, \
             @iso8601, @epoch-s, @epoch-ms, @epoch-us or @epoch-ns",
        ),
        (
            "[event]\ncustomer = ['json:/id', 'key@avro']",
            "file:2: event.customer: item 2: `key@avro`: `@avro` is not a decoding: write @utf8, \
             @json, @json:/pointer, @int64, @confluent, @confluent-json, @confluent-json:/pointer or \
             @confluent-int64",
        ),
        ("[event]\ncustomer = []", "file:2: event.customer: empty"),
        ("[event]\nskip = 'avro'", "file:2: event.skip: `avro` is not one of: none, confluent"),
        (
            "lane.count = 99999999999999999999999",
            "file:1: lane.count: `99999999999999999999999` is not a whole number",
        ),
    ] {
        assert_eq!(refusal(file), said, "{file}");
    }
    let pointer = refusal("[event]\ncustomer = 'json:customer_id'");
    assert!(
        pointer.contains("`customer_id` is not a JSON pointer")
            && pointer.starts_with("file:2: event.customer: ")
    );
    let listen = refusal("[admin]\nlisten = '::1'");
    assert!(listen.starts_with("file:2: admin.listen: `::1`: invalid"), "{listen}");
}

#[test]
fn values_that_contradict_each_other_are_refused_at_the_one_set_last() {
    for (file, said) in [
        (
            "[topics]\noutput = 'jobs'",
            "file:2: topics.output: topics.output and topics.input are both `jobs`",
        ),
        (
            "[topics.class]\n24h = 'jobs'",
            "file:2: topics.class.24h: topics.class.24h and topics.input are both `jobs`",
        ),
        (
            "[lane]\nbatch_bytes = '64KiB'",
            "file:2: lane.batch_bytes: lane.batch_bytes 65536 is less than event.max_bytes 1048576",
        ),
        (
            "[lane]\ncount = 3\n[ring]\ncapacity = 149999",
            "file:4: ring.capacity: ring.capacity 149999 is less than lane.count 3 x lane.batch_events 50000",
        ),
        (
            "[lane]\ncount = 21",
            "file:2: lane.count: ring.capacity 1000000 is less than lane.count 21 x lane.batch_events 50000",
        ),
        (
            "[event]\nmax_bytes = '64MiB'",
            "file:2: event.max_bytes: lane.batch_bytes 16777216 is less than event.max_bytes 67108864",
        ),
        (
            "[kafka.consumer]\n'session.timeout.ms' = 12000",
            "file:2: kafka.consumer.session.timeout.ms: the transaction time-out 15s is not shorter than the \
             session time-out 12s",
        ),
        (
            "[store]\nkind = 'scylla'",
            "file:2: store.kind: store.kind is `scylla`, and kek.provider is `file` without kek.shared",
        ),
        (
            "[lane]\ncount = 0\n[control]\nexecute = false",
            "file:4: control.execute: lane.count is 0 and control.execute is false: this process would do \
             nothing",
        ),
        (
            "[store]\nkind = 'scylla'\nuser = 'a'\n[kek]\nshared = true",
            "file:3: store.user: set without store.password_file",
        ),
        (
            "[store]\nkind = 'scylla'\ntls_key_file = 'a'\n[kek]\nshared = true",
            "file:3: store.tls_key_file: set without store.tls_cert_file",
        ),
    ] {
        assert_eq!(refusal(file), said, "{file}");
    }
    assert!(load("[lane]\ncount = 3\n[ring]\ncapacity = 150000").is_ok(), "it is enough");
    assert!(load("[lane]\ncount = 0").is_ok() && load("[control]\nexecute = false").is_ok());
}

#[test]
fn every_mistake_is_said_at_once_by_origin_and_line_with_what_to_do() {
    let file = "[log]\nlevel = 'loud'\n[lane]\ncuont = 2\nbatch_time = '1h'\n[topics]\noutput = 'jobs'\n\
                [kafka.client]\ndebug = 'all'\n'sasl.password' = 'hunter2'\n[store]\nkind = 'scylla'";
    let env = [("HOURSEAL__RING__LEESE", "1s"), ("HOURSEAL__ADMIN__LISTEN", "here"), ("HOURSEAL__", "x")];
    let (mut layers, on_disk) =
        layers(file, &env, &[("lane.batch_bytes", "1KiB"), ("ring.capacity", "many")]);
    layers.flags.push(("--set".to_owned(), "sasl.password:hunter2".to_owned()));
    let error = Config::load(&layers).expect_err("mistakes");
    let said = error.to_string().replace(&on_disk.path().display().to_string(), "file");
    let begins = [
        "file:2: log.level: `loud`",
        "file:4: lane.cuont: unknown key",
        "file:5: lane.batch_time: 1h is more",
        "file:7: topics.output: topics.output and topics.input",
        "file:9: kafka.client.debug: cannot be set",
        "file:10: kafka.client.sasl.password: a secret",
        "file:12: store.kind: store.kind is `scylla`",
        "environment HOURSEAL__: not HOURSEAL__SECTION__KEY",
        "environment HOURSEAL__ADMIN__LISTEN: admin.listen: `here`",
        "environment HOURSEAL__RING__LEESE: ring.leese: unknown key; did you mean ring.lease?",
        "flag --set: not section.key=value",
        "flag --set: lane.batch_bytes: lane.batch_bytes 1024 is less",
        "flag --set: ring.capacity: `many`",
    ];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{said}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}\n{begin}");
    }
    assert!(error.mistakes().iter().all(|mistake| mistake.hint.len() > 5));
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_hint_says_what_to_write() {
    let hint = |file: &str| load(file).expect_err(file).mistakes()[0].hint.clone();
    assert_eq!(
        hint("[lane]\ncount = 'x'"),
        "for example lane.count = 2; `hourseal config example` explains it"
    );
    assert_eq!(
        hint("[control]\nx = 1"),
        "rename or remove it; [control] has trust_store_file, execute, require_signatures"
    );
    assert!(hint("[nothing]").starts_with("rename or remove it; the sections are kafka, topics, event, "));
    assert!(hint("[kafka]\n'session.timeout.ms' = 1").contains("[kafka.consumer]"));
    assert_eq!(
        hint("[kafka.client]\nsasl.password = 'x'"),
        "write it to a file and set kafka.sasl_password_file"
    );
}

/// The default of a wrong value is compared. A contradiction with the default is not the user's mistake.
#[test]
fn a_wrong_value_brings_no_contradiction_with_its_default() {
    let file = "[event]\nmax_bytes = '32MiB'\n[lane]\nbatch_bytes = '64MB'";
    assert!(refusal(file).starts_with("file:4: lane.batch_bytes: `64MB`"));
    assert!(
        refusal("[topics]\ninput = 'a b'").starts_with("file:2: topics.input: "),
        "derived names say nothing"
    );
}

#[test]
fn text_that_is_not_toml_is_refused_with_every_line_and_column() {
    let said = refusal("instance = 'a'\nlane = ");
    assert!(said.starts_with("file:2:8: not TOML: "), "{said}");
    let (layers, on_disk) = layers("a = \nb = 2\nc = = 3\n", &[("HOURSEAL__LANE__CUONT", "1")], &[]);
    let said = Config::load(&layers).expect_err("no TOML").to_string();
    let said = said.replace(&on_disk.path().display().to_string(), "file");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("file:1:5: not TOML: ") && lines[1].starts_with("file:3:5: not TOML: "),
        "{said}"
    );
    assert!(lines[2].contains("lane.cuont"), "{said}");
}

/// The settings of such a file are not known.
#[test]
fn a_file_that_cannot_be_read_brings_no_contradictions() {
    let (mut layers, _file) = layers("", &[("HOURSEAL__STORE__KIND", "scylla")], &[]);
    layers.file = Some("absent.toml".into());
    let said = Config::load(&layers).expect_err("absent").to_string();
    assert_eq!(said, "absent.toml: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn a_variable_is_utf_8_and_set_once_while_the_last_flag_wins() {
    let said =
        |env: &[(&str, &str)]| Config::load(&layers("", env, &[]).0).expect_err("a refusal").to_string();
    assert_eq!(said(&[("HOURSEAL__INSTANCE", "a\u{fffd}")]), "environment HOURSEAL__INSTANCE: not UTF-8");
    let twice = said(&[("HOURSEAL__LANE__COUNT", "1"), ("HOURSEAL__lane__count", "2")]);
    assert!(twice.contains("lane.count: set twice, in two spellings"), "{twice}");
    let (layers, _file) = layers("", &[], &[("lane.count", "1"), ("lane.count", "2")]);
    assert_eq!(Config::load(&layers).expect("a config").lane.count, 2);
}

#[test]
fn a_secret_in_a_flag_without_a_key_is_not_repeated() {
    for assignment in
        ["sasl.password:hunter2", "sasl.password:hunter2==", "hunter2 x=1", "=hunter2", ".=hunter2"]
    {
        let (mut layers, _file) = layers("", &[], &[]);
        layers.flags.push(("--set".to_owned(), assignment.to_owned()));
        let error = Config::load(&layers).expect_err(assignment);
        assert_eq!(error.to_string(), "flag --set: not section.key=value");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn a_key_cannot_write_to_the_terminal() {
    assert_eq!(refusal("\"a\\u001b[2J\" = 1"), "file:1: a\\u{1b}[2J: unknown key");
}

#[test]
fn half_a_login_and_odd_names_are_refused() {
    let scylla = |more: &str| refusal(&format!("[store]\nkind = 'scylla'\n{more}\n[kek]\nshared = true"));
    for keyspace in ["", "Hourseal", "1a", "a-b", "a.b", "a b"] {
        let why = scylla(&format!("keyspace = '{keyspace}'"));
        assert!(why.contains("is not 1 to 39 of a-z, 0-9 and _"), "{why}");
    }
    for (points, what) in
        [("[]", "empty"), ("['a']", "item 1: `a` is not host:port"), ("['a:b']", "item 1: `a:b`")]
    {
        let why = scylla(&format!("contact_points = {points}"));
        assert!(why.starts_with(&format!("file:3: store.contact_points: {what}")), "{why}");
    }
}
