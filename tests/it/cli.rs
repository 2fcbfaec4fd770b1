//! The command line as a person sees it. `transcripts` has its plain refusals, word for word.

use std::process::{Command, Output};

use hourseal::edge::sqlite::STEPS;
use hourseal::forget::SigningKey;
use hourseal::forget::log::{Checkpoint, Head, Origin, Proof, Tree, VerifierKey, leaf_hash};
use hourseal::model::StoreId;

/// Runs the binary in a fresh folder, without our variables in its environment.
fn hourseal(arguments: &[&str]) -> Output {
    hourseal_with(arguments, &[])
}

fn hourseal_with(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    hourseal_at(folder.path(), arguments, env)
}

fn hourseal_in(folder: &std::path::Path, arguments: &[&str]) -> Output {
    hourseal_at(folder, arguments, &[])
}

fn hourseal_at(folder: &std::path::Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourseal"));
    #[expect(clippy::disallowed_methods, reason = "the binary is shielded from our own variables")]
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("HOURSEAL")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(env.iter().copied()).current_dir(folder);
    command.output().expect("it runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

const COMMANDS: [&[&str]; 45] = [
    &[],
    &["demo"],
    &["run"],
    &["canary"],
    &["ready"],
    &["produce-sample"],
    &["try"],
    &["open"],
    &["keys"],
    &["keys", "ls"],
    &["keys", "show"],
    &["quarantine"],
    &["quarantine", "ls"],
    &["quarantine", "redrive"],
    &["receipts"],
    &["erase", "plan"],
    &["erase", "customer"],
    &["erase", "request"],
    &["hold", "place"],
    &["hold", "release"],
    &["hold", "ls"],
    &["command", "sign"],
    &["command", "send"],
    &["keygen"],
    &["receipts", "ls"],
    &["receipts", "show"],
    &["receipts", "verify"],
    &["receipts", "certificate"],
    &["receipts", "export"],
    &["reclaim"],
    &["retention", "show"],
    &["retention", "set"],
    &["retention", "sweep"],
    &["store", "init"],
    &["store", "purge"],
    &["store", "replay"],
    &["store", "check"],
    &["topics", "check"],
    &["topics", "create"],
    &["topics", "adopt"],
    &["config", "check"],
    &["config", "show"],
    &["config", "example"],
    &["config", "schema"],
    &["completions"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let output = hourseal_with(&[command, &["--help"]].concat(), &[("COLUMNS", "80")]);
        let help = stdout(&output);
        assert_eq!(code(&output), 0, "{command:?}");
        assert!(help.contains("Usage: hourseal") && help.lines().count() > 6, "{command:?}: {help}");
        // clap does not wrap the line of the usage.
        let mut text = help.lines().filter(|line| !line.starts_with("Usage: "));
        assert!(text.all(|line| line.chars().count() <= 80), "{command:?} is too wide: {help}");
        assert!(!help.contains('\u{1b}'), "{command:?} has colour in a pipe");
    }
}

#[test]
fn our_own_words_have_colours_only_if_they_are_wanted() {
    let check = |env: &[(&str, &str)]| stdout(&hourseal_with(&["config", "check"], env));
    assert!(!check(&[]).contains('\u{1b}'), "a pipe");
    assert!(check(&[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}[32mok\u{1b}[0m: "));
    assert!(!check(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn reading_commands_offer_json() {
    for command in [
        &["keys", "ls"][..],
        &["keys", "show"],
        &["quarantine", "ls"],
        &["erase", "plan"],
        &["hold", "ls"],
        &["receipts", "ls"],
        &["receipts", "show"],
        &["receipts", "verify"],
        &["receipts", "certificate"],
        &["store", "init"],
        &["store", "check"],
        &["topics", "check"],
        &["config", "show"],
        &["try"],
        &["open"],
    ] {
        assert!(stdout(&hourseal(&[command, &["--help"]].concat())).contains("--json"), "{command:?}");
    }
}

#[test]
fn a_proof_is_verified_without_configuration_and_a_refused_one_is_65() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = SigningKey::from_pem(&SigningKey::generate()).expect("a key");
    let origin = Origin::new(StoreId([7; 16]), "jobs.receipts");
    let (value, mut tree) = (b"a receipt".to_vec(), Tree::default());
    tree.append(leaf_hash(&value));
    let head = Head { size: 1, root: tree.root_at(1).expect("a leaf") };
    let proof =
        Proof { value, index: 0, path: Vec::new(), checkpoint: Checkpoint::sign(&origin, head, &key) };
    let verifier = VerifierKey::new(origin.as_str(), key.public()).expect("a name").to_string();
    let file = folder.path().join("0.tlog-proof").display().to_string();
    std::fs::write(&file, proof.to_string()).expect("written");
    let verify =
        |more: &[&str]| hourseal(&[&["receipts", "verify", &file, "--key", &verifier], more].concat());
    let good = verify(&[]);
    assert_eq!((code(&good), stdout(&good)), (0, format!("{file}: ok 0 of 1\n")));
    assert!(stdout(&verify(&["--json"])).contains(r#""ok":true"#));

    std::fs::write(&file, proof.to_string().replace("index 0", "index 1")).expect("written");
    let bad = verify(&[]);
    let said = format!(
        "{file}: refused inclusion: the receipt is not in the log: the proof does not lead to the root\n"
    );
    assert_eq!((code(&bad), stdout(&bad)), (65, said));
    assert_eq!(stderr(&bad), "error: 1 proof(s) refused\n");
}

#[test]
fn every_mistake_of_a_configuration_is_reported_in_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hourseal.toml").display().to_string();
    std::fs::write(&file, "[kafka]\ngruop = 'a'\n\n[lane]\ncount = 'two'\n").expect("written");
    let output = hourseal_with(
        &["config", "check", "--config", &file, "--set", "ring.lease=2h"],
        &[("HOURSEAL__ADMIN__LISTNE", "x")],
    );
    let expected = format!(
        "error: {file}:2: kafka.gruop: unknown key; did you mean kafka.group?\n\
         hint:  rename or remove it; librdkafka's own settings belong in [kafka.client], [kafka.consumer] or \
         [kafka.producer]\n\
         error: {file}:5: lane.count: `two` is not a whole number\n\
         hint:  for example lane.count = 2; `hourseal config example` explains it\n\
         error: environment HOURSEAL__ADMIN__LISTNE: admin.listne: unknown key; did you mean admin.listen?\n\
         hint:  rename or remove it; [admin] has listen\n\
         error: flag --set: ring.lease: 2h is more than 1h\n\
         hint:  for example ring.lease = \"60s\"; `hourseal config example` explains it\n"
    );
    assert_eq!((code(&output), stderr(&output)), (78, expected));
}

#[test]
fn the_example_is_a_configuration_that_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hourseal.toml").display().to_string();
    std::fs::write(&file, stdout(&hourseal(&["config", "example"]))).expect("written");
    let shown = |arguments: &[&str]| {
        let text = stdout(&hourseal(&[&["config", "show", "--json"], arguments].concat()));
        let entry = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("an entry");
        text.lines()
            .map(|line| (entry(line)["key"].clone(), entry(line)["value"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&["--config", &file]), shown(&[]));
    assert!(shown(&[]).len() > 50);
}

/// Another implementation checks that the schema is right: `tests/cluster/start/test_settings.py`.
#[test]
fn the_schema_is_printed_as_json() {
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&hourseal(&["config", "schema"]))).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["lane"]["properties"]["count"]["maximum"], 1024);
}

#[test]
fn a_secret_is_never_echoed() {
    for wrong in [
        "kafka.client.sasl.password=hunter2",
        "kafka.client=hunter2",
        "kafka.sasl_password:hunter2",
        "kafka.sasl_password:hunter2==",
    ] {
        let output = hourseal(&["config", "check", "--set", wrong]);
        assert_eq!(code(&output), 78, "{wrong}");
        assert!(!(stdout(&output) + &stderr(&output)).contains("hunter2"), "{wrong}");
    }
    let output = hourseal_with(&["config", "show"], &[("HOURSEAL__KAFKA__CLIENT__SASL_PASSWORD", "hunter2")]);
    assert_eq!(code(&output), 78);
    assert!(!(stdout(&output) + &stderr(&output)).contains("hunter2"));
}

#[test]
fn an_unknown_variable_is_refused_by_name() {
    let output = hourseal_with(&["config", "check"], &[("HOURSEAL__LANE__CUONT", "2")]);
    assert_eq!(code(&output), 78);
    assert!(
        stderr(&output)
            .starts_with("error: environment HOURSEAL__LANE__CUONT: lane.cuont: unknown key; did you"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("[lane] has count, batch_time,"), "{}", stderr(&output));
}

#[test]
fn config_show_prints_each_value_with_its_origin() {
    let output = hourseal_with(
        &["config", "show", "--set", "lane.batch_time=50ms", "--bootstrap", "broker:9092"],
        &[("HOURSEAL__INSTANCE", "007")],
    );
    let text = stdout(&output);
    assert_eq!(code(&output), 0);
    for (setting, origin) in [
        ("instance = \"007\"", "environment HOURSEAL__INSTANCE"),
        ("bootstrap = \"broker:9092\"", "flag --bootstrap"),
        ("batch_time = \"50ms\"", "flag --set"),
        ("group = \"hourseal.jobs\"", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(setting)).expect(setting);
        assert_eq!(line.split_once(" # ").expect("an origin").1, origin);
    }
    let json = stdout(&hourseal(&["config", "show", "--json"]));
    for line in json.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("one JSON object per line");
        assert!(entry["key"].is_string() && entry["origin"].is_string());
        assert_eq!(entry["value"].is_null(), entry["origin"] == "not set");
    }
}

/// The claim of `docs/process.md`: the command line's files are 74, those of settings 78, and foreign content 65.
#[test]
fn a_missing_file_has_the_same_exit_code_in_every_command() {
    let vkey = VerifierKey::new("x", SigningKey::from_pem(&SigningKey::generate()).expect("a key").public());
    let vkey = vkey.expect("a name").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = |arguments: &[&str]| hourseal_in(folder.path(), arguments);
    assert_eq!(code(&in_folder(&["store", "init"])), 0);
    let erase = ["erase", "request", "--customer", "acme", "--from", "498000", "--reason", "request"];
    let commands: [&[&str]; 8] = [
        &["command", "sign", "FILE", "--sign-with", "FILE"],
        &["command", "send", "FILE"],
        &["open", "--file", "FILE"],
        &["receipts", "verify", "FILE", "--key", &vkey],
        &["keygen", "--public", "FILE"],
        &[&erase[..], &["--sign-with", "FILE"]].concat(),
        &["keys", "ls", "--config", "FILE"],
        &["config", "check", "--set", "control.trust_store_file=FILE"],
    ];
    let run = |command: &[&str], file: &str| {
        let words: Vec<String> = command.iter().map(|word| word.replace("FILE", file)).collect();
        in_folder(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    std::fs::write(folder.path().join("foreign"), "neither\nthis = nor that\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("foreign"), mode).expect("our file");
    for (at, command) in commands.iter().enumerate() {
        let is_setting = at >= 6;
        let missing = run(command, "absent");
        let wanted = if is_setting { 78 } else { 74 };
        assert_eq!(code(&missing), wanted, "{command:?}: {}", stderr(&missing));
        assert!(stderr(&missing).contains("absent"), "{command:?}: {}", stderr(&missing));
        let foreign = run(command, "foreign");
        let wanted = if is_setting { 78 } else { 65 };
        assert_eq!(code(&foreign), wanted, "{command:?}: {}", stderr(&foreign));
    }
    // It reads any file: foreign content is records that would be quarantined.
    assert_eq!(code(&run(&["try", "--file", "FILE"], "absent")), 74);
    assert_eq!(code(&run(&["try", "--file", "FILE"], "foreign")), 0);
}

#[test]
fn a_full_disk_behind_stdout_is_74() {
    for command in [&["--help"][..], &["config", "example"], &["completions", "bash"], &["config", "check"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device of Linux");
        let folder = tempfile::tempdir().expect("a folder");
        let mut line = Command::new(env!("CARGO_BIN_EXE_hourseal"));
        let ended = line.args(command).current_dir(folder.path()).stdout(full).status().expect("it runs");
        assert_eq!(ended.code(), Some(74), "{command:?}");
    }
}

#[test]
fn the_table_of_exit_codes_is_the_same_in_the_help_and_in_the_paper() {
    let codes = |text: &str, before: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(before));
        let is_code = |word: &&str| word.parse::<u8>().is_ok();
        lines.filter_map(|line| line.split(' ').next().filter(is_code)).map(str::to_owned).collect()
    };
    let paper = include_str!("../../docs/process.md");
    let help = stdout(&hourseal(&["--help"]));
    assert_eq!(codes(&help, "  "), ["0", "64", "65", "69", "70", "74", "78"], "{help}");
    assert_eq!(codes(&help, "  "), codes(paper, "| "));
}

#[test]
fn completions_are_scripts_for_their_shell() {
    for (shell, word) in
        [("bash", "complete -F _hourseal"), ("zsh", "#compdef hourseal"), ("fish", "complete -c hourseal")]
    {
        let output = hourseal(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains(word), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_hourseal");
    let shell = format!("set -o pipefail; {binary} completions bash | head -n 1");
    let output = Command::new("bash").args(["-c", &shell]).output().expect("bash runs");
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn a_file_of_records_needs_the_keys_too() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("records.jsonl"), "").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourseal"));
    let output = command
        .args(["open", "--file", "records.jsonl"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert_eq!(code(&output), 78, "{}", stderr(&output));
}

/// An older program meets a store that a newer program upgraded.
#[test]
fn a_newer_schema_ends_every_command_with_78_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = |arguments: &[&str]| hourseal_in(folder.path(), arguments);
    let version = STEPS.last().expect("a step").to;
    assert_eq!(code(&in_folder(&["store", "init"])), 0);
    let file = walk(folder.path(), "db").pop().expect("the store's file");
    let raw = rusqlite::Connection::open(&file).expect("the store's file");
    raw.execute("UPDATE meta SET value = x'3939' WHERE name = 'schema_version'", []).expect("valid SQL");
    drop(raw);
    for arguments in [
        &["store", "init"][..],
        &["store", "purge"],
        &["keys", "ls"],
        &["retention", "show", "--customer", "acme"],
    ] {
        let output = in_folder(arguments);
        let said = format!(
            "error: the key store is not usable: its schema is version 99, \
             this program knows version {version}\n\
             hint:  use a hourseal that knows version 99; a schema is never downgraded\n"
        );
        assert_eq!(stderr(&output), said, "{arguments:?}");
        assert_eq!((code(&output), stdout(&output).as_str()), (78, ""), "{arguments:?}");
    }
    let run = in_folder(&["run", "--bootstrap", "127.0.0.1:9", "--set", "admin.listen=127.0.0.1:0"]);
    let said = stderr(&run);
    let last = said.lines().last().expect("a log line");
    assert!(last.contains("schema is version 99") && last.contains("never downgraded\""), "{last}");
    assert_eq!((code(&run), stdout(&run).as_str()), (78, ""), "{said}");
    let checked = in_folder(&["store", "check"]);
    assert_eq!(code(&checked), 78, "{checked:?}");
    let line = format!(
        "schema version     wrong  its schema is version 99, this program knows version {version}: use a"
    );
    assert!(stdout(&checked).contains(&line), "{}", stdout(&checked));
}

/// Returns the files below a folder whose names end with `ending`.
fn walk(folder: &std::path::Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(walk(&path, ending));
        } else if path.extension().is_some_and(|is| is == ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_settings_of_the_compose_file_are_accepted() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/hourseal.toml");
    let output = hourseal(&["config", "check", "--config", file]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}
