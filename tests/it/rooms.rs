//! The house rules that no compiler checks (ARCHITECTURE.md): imports have one direction, outside
//! libraries stay in their edge, and only sealed data can leave. The tests read `src/**` as text without
//! comments and literals.

mod forget;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The rooms that each room may import, besides itself: those left of `◄` in its line of ARCHITECTURE.md.
const ROOMS: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("telemetry", &["model"]),
    ("envelope", &["model"]),
    ("keys", &["model", "envelope", "telemetry"]),
    ("reader", &["model", "envelope", "keys"]),
    ("stream", &["model"]),
    ("lane", &["model", "envelope", "keys", "reader", "stream", "telemetry"]),
    ("forget", &["model", "envelope", "keys", "stream", "telemetry"]),
    ("config", &["model", "envelope", "keys", "stream", "lane", "forget", "telemetry"]),
    // A release does not contain the testkit. With the testkit, the system's clock can be shifted.
    ("edge", &["model", "envelope", "keys", "reader", "stream", "lane", "forget", "telemetry", "testkit"]),
    (
        "app",
        &[
            "model",
            "envelope",
            "keys",
            "reader",
            "stream",
            "lane",
            "forget",
            "telemetry",
            "config",
            "edge",
            "testkit",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "envelope",
            "keys",
            "reader",
            "stream",
            "lane",
            "forget",
            "telemetry",
            "config",
            "edge",
            "app",
        ],
    ),
    ("testkit", &["model", "envelope", "keys", "reader", "stream", "lane", "forget", "telemetry"]),
];

/// Text that may occur only below these paths.
const ONLY_IN: [(&str, &[&str]); 30] = [
    ("rdkafka", &["edge/kafka"]),
    ("scylla::", &["edge/scylla", "app/build.rs", "app/metrics.rs", "cli/store.rs"]),
    ("openssl", &["edge/scylla/session.rs", "edge/http/token.rs"]),
    ("tokio_openssl", &["edge/http/token.rs"]),
    ("futures_util", &["edge/scylla"]),
    ("rusqlite", &["edge/sqlite"]),
    ("hyper", &["edge/http"]),
    ("hyper_util", &["edge/http"]),
    ("toml::", &["config"]),
    ("strsim", &["config"]),
    ("prometheus", &["telemetry"]),
    ("tracing", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli/progress.rs"]),
    ("anyhow", &["cli"]),
    ("chacha20", &["envelope"]),
    ("chacha20poly1305", &["envelope"]),
    ("ring::", &["envelope", "keys", "forget"]),
    ("SystemTime::now", &["edge/clock.rs"]),
    ("std::env", &["cli/settings.rs", "testkit"]),
    ("println!", &[]),
    ("eprintln!", &[]),
    ("unsafe", &["edge/kafka/ffi", "envelope/locked.rs"]),
    ("rustix::mm", &["envelope/locked.rs"]),
    ("rustix::process", &["edge/process.rs", "testkit"]),
    ("tokio", &["keys", "forget", "edge", "app", "cli", "testkit", "reader"]),
    ("Post for", &["edge/kafka/checkpoints.rs", "forget/log/tests.rs"]),
    ("Publish for", &["lane/sealed.rs", "forget", "stream/tests.rs"]),
    ("async fn", &["keys", "reader", "forget", "edge", "app", "cli", "testkit"]),
];

/// Modules of `edge` that its other edges share: edges that keep private files, and key stores with checks.
const SHARED_EDGES: [&str; 3] = ["private", "clock", "finding"];

/// A source file, with its path below `src`.
struct Source {
    path: String,
    /// The code. Comments and literals are replaced by blanks, and the lines are kept.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), code: bare(text) }
    }

    /// Returns the room, and the edge for an edge: `keys` for `keys/ring.rs`, `edge` and `kafka` for
    /// `edge/kafka/sink.rs`.
    fn room(&self) -> (&str, Option<&str>) {
        let mut parts = self.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
        let room = parts.next().unwrap_or_default();
        (room, parts.next().filter(|_| room == "edge"))
    }

    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let place = |at: usize| format!("src/{}:{}", self.path, self.code[..at].matches('\n').count() + 1);
        for (at, path) in crate_paths(&self.code) {
            if let Some(what) = self.wrong_import(&path) {
                found.push(format!("{}: {what}", place(at)));
            }
        }
        let tests = self.tests_begin();
        for (text, rooms) in
            ONLY_IN.iter().filter(|(_, rooms)| !rooms.iter().any(|room| self.path.starts_with(room)))
        {
            // Tests may use a runtime.
            let until = if ["tokio", "async fn"].contains(text) { tests } else { self.code.len() };
            for at in words(&self.code[..until], text) {
                found.push(format!("{}: `{text}` belongs to {rooms:?}", place(at)));
            }
        }
        found
    }

    /// Returns the position at which the file's tests begin.
    fn tests_begin(&self) -> usize {
        let is_test = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let inline = self.code.find("#[cfg(test)]").unwrap_or(self.code.len());
        if is_test { 0 } else { inline }
    }

    fn wrong_import(&self, path: &[String]) -> Option<String> {
        let (room, edge) = self.room();
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room)?;
        let target = path.first().map(String::as_str)?;
        let is_room = ROOMS.iter().any(|(name, _)| *name == target);
        if is_room && target != room && !allowed.contains(&target) {
            return Some(format!("room `{room}` may not import `{target}`"));
        }
        let (Some(edge), "edge", Some(other)) = (edge, target, path.get(1)) else { return None };
        let is_foreign = other != edge && !SHARED_EDGES.contains(&other.as_str());
        is_foreign.then(|| format!("edge `{edge}` may not import its sibling `{other}`"))
    }
}

/// Returns the positions at which `text` is a separate word.
fn words<'c>(code: &'c str, text: &'c str) -> impl Iterator<Item = usize> + 'c {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(text).map(|(at, _)| at).filter(move |at| {
        let is_begun = code[..*at].chars().next_back().is_some_and(is_word);
        let goes_on = text.ends_with(is_word) && code[at + text.len()..].chars().next().is_some_and(is_word);
        !is_begun && !goes_on
    })
}

/// Returns every `crate::a::b` with its position, and every member of `crate::{a::b, c::{d, e}}`, up
/// to two names deep.
fn crate_paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    for at in words(code, "crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => paths.extend(members(group).into_iter().map(|member| (at, names(member)))),
            None => paths.push((at, names(rest))),
        }
    }
    paths
}

/// Returns the members of a group whose opening brace was removed. Nested groups stay whole.
fn members(group: &str) -> Vec<&str> {
    let (mut members, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                members.push(group[begin..at].trim());
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    members
}

fn names(path: &str) -> Vec<String> {
    let name = |part: &str| part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    path.split("::").take(2).map(name).take_while(|name| !name.is_empty()).collect()
}

/// Blanks comments, strings and chars, so that only code is checked. Raw strings have at most three #.
fn bare(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skip_len(rest);
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// Returns the length in bytes of the comment or literal at the start of `rest`; 0 if `rest`
/// begins with code.
fn skip_len(rest: &str) -> usize {
    let until =
        |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    for hashes in ["", "#", "##", "###"] {
        let (open, close) = (format!("r{hashes}\""), format!("\"{hashes}"));
        if rest.starts_with(&open) {
            return until(open.len(), &close);
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => quoted(rest, '"'),
        // This is a char and not a lifetime.
        [b'\'', b'\\', ..] => quoted(rest, '\''),
        [b'\'', ..] if rest.chars().nth(2) == Some('\'') => 2 + rest.chars().nth(1).map_or(0, char::len_utf8),
        _ => 0,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
        Source::new(&path, &std::fs::read_to_string(file).expect("a readable source"))
    };
    files.iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

#[test]
fn rooms_import_one_way_and_libraries_stay_in_their_edge() {
    let sources = sources();
    assert!(sources.len() > 50, "the sources were not found");
    let mut report = String::new();
    for violation in sources.iter().flat_map(Source::violations) {
        let _ = writeln!(report, "{violation}");
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_folder_is_a_room_with_a_header_that_says_what_it_is() {
    for source in sources().iter().filter(|source| source.path.ends_with("/mod.rs")) {
        let (room, _) = source.room();
        assert!(ROOMS.iter().any(|(name, _)| *name == room), "{} is in no room of the table", source.path);
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&source.path));
        assert!(text.expect("readable").starts_with("//! "), "{} has no header", source.path);
    }
}

#[test]
fn the_table_has_no_circle() {
    let table: BTreeMap<_, _> = ROOMS.into_iter().collect();
    for (room, allowed) in ROOMS {
        for other in allowed {
            assert!(!table[other].contains(&room), "{room} and {other} import each other");
        }
    }
}

/// Returns the number of violations in one planted file.
fn planted(path: &str, text: &str) -> usize {
    Source::new(path, text).violations().len()
}

#[test]
fn a_planted_violation_is_caught() {
    let caught = [
        ("model/hour.rs", "use crate::keys::Ring;"),
        ("envelope/seal.rs", "fn f() { crate::lane::settings(); }"),
        ("stream/engine.rs", "use crate::{keys::Ring};"),
        ("stream/engine.rs", "use crate::{\n    model::{Hour, Slot},\n    keys::Ring,\n};"),
        ("telemetry/lane.rs", "use crate::stream::Stop;"),
        ("lane/step.rs", "use rdkafka::message::Message;"),
        ("edge/sqlite/open.rs", "use crate::edge::kafka::Scan;"),
        ("edge/sqlite/open.rs", "use rdkafka::message::Message;"),
        ("config/mod.rs", "use crate::app::run;"),
        ("app/run.rs", "let home = std::env::var(\"HOME\");"),
        ("keys/lease.rs", "let now = std::time::SystemTime::now();"),
        ("reader/line.rs", "println!(\"{line}\");"),
        ("lane/admit.rs", "impl Publish for Input<'_> {}"),
        ("keys/ring.rs", "unsafe { std::hint::unreachable_unchecked() }"),
        ("envelope/secret.rs", "unsafe { std::ptr::read(bytes) }"),
        ("envelope/seal.rs", "rustix::mm::munlock(place, len)"),
        ("lane/step.rs", "tracing::warn!(\"no code\");"),
        ("lane/step.rs", "async fn wait() {}"),
    ];
    for (path, text) in caught {
        assert_eq!(planted(path, text), 1, "{path}: {text}");
    }
}

#[test]
fn what_is_no_violation_is_not_caught() {
    let fine = [
        ("keys/ring.rs", "use crate::model::Hour;"),
        ("keys/ring.rs", "use crate::keys::Lease;"),
        ("edge/kek/file.rs", "use crate::edge::private::open_file;"),
        ("lane/step.rs", "// rdkafka says println!(\"x\") and crate::app::run\nlet x = \"std::env\";"),
        ("lane/step.rs", "let c = '\"'; /* unsafe */ let s = r#\"crate::app\"#;"),
        ("keys/store.rs", "let hyperbole = 1; let publish = Publisher;"),
        ("edge/clock.rs", "SystemTime::now()"),
    ];
    for (path, text) in fine {
        assert_eq!(planted(path, text), 0, "{path}: {text}");
    }
}

#[test]
fn each_assumption_of_a_receipt_stands_by_its_number_in_the_threat_model() {
    use hourseal::forget::{STORE_COPIES, VAULT_FILES, assumption};
    let papers = std::fs::read_to_string("SECURITY.md").expect("the threat model");
    for known in [VAULT_FILES, STORE_COPIES] {
        assert!(papers.contains(&format!("\n| {} |", known.code)), "{}", known.code);
        assert_eq!(assumption(known.code), Some(known));
    }
    assert_eq!(assumption("A0"), None);
}
