//! The tables of `docs` that are generated: metrics from the registry, log codes from their comments.
//!
//! `HOURSEAL_REWRITE=1` writes the tables into the papers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hourseal::app::every_family;
use hourseal::telemetry::Family;

const BEGIN: &str = "<!-- generated: begin -->\n";
const END: &str = "<!-- generated: end -->\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares the generated part of a paper, or replaces it.
fn check_paper(name: &str, table: &str) {
    let path = root().join("docs").join(name);
    let paper = fs::read_to_string(&path).expect("the paper");
    let (before, rest) = paper.split_once(BEGIN).expect("the begin of the generated part");
    let (found, after) = rest.split_once(END).expect("the end of the generated part");
    if std::env::var_os("HOURSEAL_REWRITE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("the paper is written");
        return;
    }
    let (found, table): (BTreeSet<_>, BTreeSet<_>) = (found.lines().collect(), table.lines().collect());
    let missing: Vec<_> = table.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&table).collect();
    let how = "HOURSEAL_REWRITE=1 cargo test --test it papers:: writes it";
    assert!(missing.is_empty() && surplus.is_empty(), "{name}: {how}\n+ {missing:#?}\n- {surplus:#?}");
}

fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

// --- metrics

fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("timestamp_seconds") || name.ends_with("start_time_seconds") {
        return "Unix time in seconds";
    }
    match name.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        _ => "",
    }
}

fn labels(family: &Family) -> String {
    let label = |(name, values): &(String, Vec<&'static str>)| match values.as_slice() {
        [] => format!("`{name}`"),
        values => format!("`{name}`: {}", values.join(", ")),
    };
    family.labels.iter().map(label).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_table_of_metrics_is_that_of_the_registry() {
    let families = every_family();
    assert!(families.len() > 50, "{families:?}");
    let mut table = row(&["metric", "type", "labels", "unit", "meaning"]) + "|---|---|---|---|---|\n";
    for family in &families {
        let name = format!("`{}`", family.name);
        table += &row(&[&name, family.kind, &labels(family), unit(&family.name), &family.help]);
    }
    check_paper("metrics.md", &table);
}

// --- codes

/// A code with its comment.
struct Documented {
    name: String,
    code: String,
    meaning: String,
    action: String,
    is_always_written: bool,
}

/// The codes of `codes.rs`, in its order.
fn documented(source: &str) -> Vec<Documented> {
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
            continue;
        }
        let comment = std::mem::take(&mut comment).join(" ");
        let Some((name, rest)) = line.split_once(" = \"HS") else { continue };
        let (number, end) = rest.split_once('"').expect("a literal");
        let (meaning, action) = comment.split_once(" Action: ").unwrap_or((&comment, ""));
        found.push(Documented {
            name: name.to_owned(),
            code: format!("HS{number}"),
            meaning: meaning.to_owned(),
            action: capital(action),
            is_always_written: end == " always;",
        });
    }
    found
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The levels of each code's lines: the macro before `codes::NAME`.
fn levels() -> BTreeMap<String, BTreeSet<&'static str>> {
    let (mut files, mut found) = (Vec::new(), BTreeMap::<_, BTreeSet<_>>::new());
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for (at, _) in text.match_indices("codes::") {
            let word = |c: char| c.is_ascii_uppercase() || c == '_';
            let name: String = text[at + "codes::".len()..].chars().take_while(|c| word(*c)).collect();
            let before = text[..at].trim_end();
            let level = ["error", "warn", "info", "debug"].into_iter();
            if let Some(level) = level.into_iter().find(|level| before.ends_with(&format!("{level}!("))) {
                found.entry(name).or_default().insert(level);
            }
        }
    }
    found
}

#[test]
fn the_table_of_log_codes_is_that_of_their_comments() {
    let source = fs::read_to_string(root().join("src/telemetry/codes.rs")).expect("the source");
    let (codes, levels) = (documented(&source), levels());
    assert!(codes.len() > 70, "{}", codes.len());
    let mut table = row(&["code", "level", "meaning", "action"]) + "|---|---|---|---|\n";
    for it in &codes {
        let of = levels.get(&it.name).map(|of| of.iter().copied().collect::<Vec<_>>().join(", "));
        let level = of.unwrap_or_else(|| "the library's".to_owned());
        let level = level + if it.is_always_written { ", each line" } else { "" };
        table += &row(&[&it.code, &level, &it.meaning, &it.action]);
    }
    let silent: Vec<_> =
        codes.iter().filter(|it| !levels.contains_key(&it.name)).map(|it| &it.name).collect();
    assert_eq!(silent, ["STORE_DRIVER", "OTHER_LIBRARY"], "no line of ours carries them");
    check_paper("logs.md", &table);
}
