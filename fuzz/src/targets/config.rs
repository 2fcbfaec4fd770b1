//! Settings: any file, environment and flags. A secret at a forbidden place is never repeated in the output.
//! Accepted settings are shown as settings with the same effect.

use std::path::PathBuf;

use hourseal::config::{Config, ConfigError, EXAMPLE, Entry, Layers, Mistake, Origin, show_json, show_toml};

use crate::fields::{Fields, sized};
use crate::memory::within;

/// The content of `secret.txt`. It also replaces `{}` in [`HIDING`].
const SECRET: &str = "hunter2canary";
/// The name, in an input, of the file with the secret.
const SECRET_FILE: &str = "@secret";

/// Places in a file where a person might put a secret, but must not.
const HIDING: [&str; 10] = [
    "",
    "[kafka.client]\n\"sasl.password\" = '{}'",
    "[kafka.producer.ssl.key]\npassword = \"{}\"",
    "[kafka]\nclient = '{}'",
    "[kafka]\nsasl_password = '{}'",
    "[kafka]\nsasl.password = '{}",
    "[kafka.client]\nsasl_password = ['{}']",
    "[kafka.client]\nsasl.password = {}",
    "[admin]\nlisten = ['{}']",
    "kafka.client.sasl.password = \"\"\"{}",
];

/// The same places in the environment and in flags: the variable or key, and whether it is a variable.
const HIDING_BESIDE: [(&str, bool); 6] = [
    ("HOURSEAL__KAFKA__CLIENT__SASL_PASSWORD", true),
    ("HOURSEAL__KAFKA__SASL_PASSWORD", true),
    ("HOURSEAL__KAFKA__CLIENT", true),
    ("kafka.client.sasl.password", false),
    ("kafka.producer", false),
    ("kafka.sasl_password:{}=", false),
];

/// Place of the secret ‖ environment ‖ flags ‖ file. Environment and flags are lines `name=value`.
pub fn run(data: &[u8]) {
    let mut fields = Fields::of(data);
    let (place, environment, flags) = (usize::from(fields.byte()), fields.text(), fields.text());
    let Ok(file) = std::str::from_utf8(fields.rest()) else { return };
    if [environment, flags, file].iter().any(|text| is_off_limits(text)) {
        return;
    }
    let (layers, text) = assembled(place, environment, flags, file);
    // The defaults are 5 KB of text. A layer is a tree of settings with an origin in each leaf.
    let loaded = within(512 * data.len() + (4 << 20), || Config::load_text(&layers, &text));
    match &loaded {
        Ok((config, entries)) => {
            let shown = show_toml(entries);
            says_no_secret(&format!("{config:?} {entries:?} {shown} {}", show_json(entries)));
            has_the_same_effect(config, entries, &shown);
        }
        Err(error) => {
            says_no_secret(&format!("{error} {error:?}"));
            assert!(error.mistakes().iter().all(says_what_to_do), "{error}");
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |place: u8, environment: &str, flags: &str, file: &str| {
        [&[place], &sized(environment.as_bytes())[..], &sized(flags.as_bytes()), file.as_bytes()].concat()
    };
    let files = [
        EXAMPLE.lines().map(uncommented).collect(),
        "instance = '007'\n[kafka]\nsasl_password_file = '@secret'\n[kafka.client]\n\
         security.protocol = 'plaintext'"
            .to_owned(),
        "[store]\nkind = 'scylla'\nuser = 'a'\npassword_file = 'b'\n[kek]\nshared = true\n\
         [ring]\npremint = '0s'"
            .to_owned(),
        "[lane]\ncount = 2\nbatch_events = 10\n[event]\ncustomer = 'header:c'\ntime = 'timestamp'\n\
         max_bytes = '64 KiB'"
            .to_owned(),
        "[retention]\ndefault = '65535h'\n[seal]\nclear_headers = [\"a\", \"\\u007f\"]\n\
         [kafka.producer]\n\"linger.ms\" = 5"
            .to_owned(),
        "lane = { count = 1.5, batch_time = 1979-05-27T07:32:00Z }".to_owned(),
    ];
    let environment = "HOURSEAL__LANE__COUNT=2\nHOURSEAL__SEAL__CLEAR_HEADERS=[\"a\", \"b\"]\n\
                       HOURSEAL__SCRUB__GROUPS=a,[::1]\nUNRELATED=x";
    let flags = "lane.count=3\nkafka.client.client.rack=x";
    let every = (0..HIDING.len() + HIDING_BESIDE.len()).map(|place| seed(place as u8, "", "", ""));
    let files = files.iter().flat_map(|file| [seed(0, "", "", file), seed(0, environment, flags, file)]);
    every.chain(files).collect()
}

/// Whether a text contains the secret already, or a path that may not be a regular file: reading a
/// device may never end.
fn is_off_limits(text: &str) -> bool {
    [SECRET, "/dev", "/proc", "/sys"].iter().any(|part| text.contains(part))
}

fn assembled(place: usize, environment: &str, flags: &str, file: &str) -> (Layers, String) {
    let place = place % (HIDING.len() + HIDING_BESIDE.len());
    let hidden = HIDING.get(place).map(|hiding| hiding.replace("{}", SECRET)).unwrap_or_default();
    let text = format!("{}\n{hidden}\n", file.replace(SECRET_FILE, &secret_file()));
    let mut env: Vec<_> = pairs(environment).collect();
    let mut flags: Vec<_> = pairs(flags).collect();
    if let Some((name, is_variable)) = place.checked_sub(HIDING.len()).map(|beside| HIDING_BESIDE[beside]) {
        let list = if is_variable { &mut env } else { &mut flags };
        list.push((name.replace("{}", SECRET), SECRET.to_owned()));
    }
    let flags =
        flags.into_iter().map(|(key, value)| ("--set".to_owned(), format!("{key}={value}"))).collect();
    let file = Some(PathBuf::from("settings.toml"));
    (Layers { file, env, flags, host: "worker-7".to_owned(), cores: 8 }, text)
}

/// Returns a line of the example, with its setting active.
fn uncommented(line: &str) -> String {
    let setting = line.strip_prefix("# ").filter(|line| line.split(' ').nth(1) == Some("="));
    format!("{}\n", setting.unwrap_or(line))
}

/// A mistake names its key, unless it concerns a whole file, or a variable or flag that is not an assignment.
fn says_what_to_do(mistake: &Mistake) -> bool {
    let whole = mistake.why.starts_with("not ") && mistake.origin != Origin::Default;
    (mistake.key.is_some() || whole) && !mistake.why.is_empty() && !mistake.hint.is_empty()
}

fn pairs(lines: &str) -> impl Iterator<Item = (String, String)> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.lines().filter_map(pair)
}

fn secret_file() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/secret.txt").to_owned()
}

fn says_no_secret(said: &str) {
    assert!(!said.contains(SECRET), "{said}");
}

/// The output of `config show` is a configuration with the same effect as the one shown.
fn has_the_same_effect(config: &Config, entries: &[Entry], shown: &str) {
    let layers = Layers { file: Some(PathBuf::from("shown.toml")), cores: 1, ..Layers::default() };
    let again: Result<_, ConfigError> = Config::load_text(&layers, shown);
    let (again, entries_again) = again.unwrap_or_else(|error| panic!("{error}\n{shown}"));
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
    assert_eq!(config.kafka.client(), again.kafka.client());
    assert_eq!(config.kafka.consumer(), again.kafka.consumer());
    assert_eq!(config.kafka.producer(), again.kafka.producer());
    let plain = |entries: &[Entry]| -> Vec<_> {
        entries.iter().map(|entry| (entry.section.clone(), entry.key.clone(), entry.value.clone())).collect()
    };
    assert_eq!(plain(entries), plain(&entries_again));
}
