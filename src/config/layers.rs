//! The layers of the configuration: defaults < file < environment < flags, each leaf with its origin.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Origin;
use super::example::EXAMPLE;
use super::file::{self, Source};
use super::known::Known;
use super::layer::Layer;
use super::mistake::Mistake;
use super::tree::Tree;
use super::words::NAME;

/// The prefix of every variable of this program.
pub const ENV_PREFIX: &str = "HOURSEAL__";

const ASSIGNMENT: &str = "for example --set lane.batch_time=50ms";

/// The sources of a configuration, which the caller gathers. Nothing here reads the environment.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The TOML file, if one was given.
    pub file: Option<PathBuf>,
    /// `HOURSEAL__SECTION__KEY` and value. Other variables are ignored.
    pub env: Vec<(String, String)>,
    /// The flag's name, and its `section.key=value`.
    pub flags: Vec<(String, String)>,
    /// Default of `instance`.
    pub host: String,
    /// Number of CPU cores.
    pub cores: usize,
}

/// The layers after reading.
pub(super) struct Merged {
    pub(super) defaults: Tree,
    /// The strongest value of each setting.
    pub(super) tree: Tree,
    /// The mistakes in keys and in the file's syntax.
    pub(super) mistakes: Vec<Mistake>,
    /// The file could not be read, so its settings are missing.
    pub(super) incomplete: bool,
}

impl Layers {
    /// Reads the layers and merges them. `text` returns the text of the file.
    pub(super) fn merge(&self, known: &Known, text: impl FnOnce(&Path) -> std::io::Result<String>) -> Merged {
        let (mut stronger, mut mistakes, mut incomplete) = (Tree::default(), Vec::new(), false);
        if let Some(path) = &self.file {
            let mut layer = Layer::new(known, false);
            if let Err(found) = read_file(path, text, &mut layer) {
                mistakes.extend(found);
                incomplete = true;
            }
            gather(layer, &mut stronger, &mut mistakes);
        }
        gather(self.environment(known), &mut stronger, &mut mistakes);
        gather(self.flags(known), &mut stronger, &mut mistakes);
        let defaults = self.defaults(known, &stronger);
        Merged { tree: defaults.clone().overlaid(stronger), defaults, mistakes, incomplete }
    }

    fn environment<'a>(&self, known: &'a Known) -> Layer<'a> {
        let mut layer = Layer::new(known, false);
        for (name, value) in &self.env {
            let Some(path) = name.strip_prefix(ENV_PREFIX).map(str::to_lowercase) else { continue };
            let origin = Origin::Environment(name.clone());
            let path: Vec<&str> = path.split("__").collect();
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                layer.no_assignment(origin, "not UTF-8", "write the variable in UTF-8");
            } else if is_path(&path) {
                layer.assign(&path, value, origin);
            } else {
                layer.no_assignment(
                    origin,
                    "not HOURSEAL__SECTION__KEY",
                    "for example HOURSEAL__LANE__COUNT=2",
                );
            }
        }
        layer
    }

    fn flags<'a>(&self, known: &'a Known) -> Layer<'a> {
        let mut layer = Layer::new(known, true);
        for (flag, assignment) in &self.flags {
            let origin = Origin::Flag(flag.clone());
            let Some((key, value)) = assignment.split_once('=') else {
                layer.no_assignment(origin, "not section.key=value", ASSIGNMENT);
                continue;
            };
            let path: Vec<&str> = key.trim().split('.').collect();
            if is_path(&path) {
                layer.assign(&path, value.trim(), origin);
            } else {
                layer.no_assignment(origin, "not section.key=value", ASSIGNMENT);
            }
        }
        layer
    }

    /// The defaults of `default.toml`, and the defaults that depend on the machine or on other settings.
    fn defaults(&self, known: &Known, set: &Tree) -> Tree {
        let mut layer = Layer::new(known, false);
        let read = file::read(EXAMPLE, &Source::Defaults, &mut layer);
        debug_assert!(read.is_ok(), "the embedded defaults are TOML, as a test shows");
        let (mut defaults, _) = layer.into_parts();
        let lanes = self.cores.clamp(1, 4);
        defaults.derive("instance", self.host.clone());
        defaults.derive("lane.count", lanes.to_string());
        let input = input_of(set).or_else(|| input_of(&defaults)).unwrap_or_default();
        defaults.derive("kafka.group", format!("hourseal.{input}"));
        defaults.derive("seal.stream", input.clone());
        for (key, ending) in [
            ("topics.output", "sealed"),
            ("topics.quarantine", "quarantine"),
            ("topics.control", "control"),
            ("topics.receipts", "receipts"),
            ("topics.checkpoints", "checkpoints"),
        ] {
            defaults.derive(key, format!("{input}.{ending}"));
        }
        defaults
    }
}

/// The name of the input, if it is legal. Names derived from an illegal one would only add mistakes.
fn input_of(tree: &Tree) -> Option<String> {
    let text = tree.get("topics.input")?.value.scalar().ok()?;
    (NAME.legal)(&text).then(|| text.into_owned())
}

fn gather(layer: Layer<'_>, tree: &mut Tree, mistakes: &mut Vec<Mistake>) {
    let (stronger, found) = layer.into_parts();
    *tree = std::mem::take(tree).overlaid(stronger);
    mistakes.extend(found);
}

fn read_file(
    path: &Path,
    text: impl FnOnce(&Path) -> std::io::Result<String>,
    layer: &mut Layer<'_>,
) -> Result<(), Vec<Mistake>> {
    let path: Arc<Path> = Arc::from(path);
    match text(&path) {
        Ok(text) => file::read(&text, &Source::File(path), layer),
        Err(why) => Err(vec![Mistake {
            origin: Origin::File { path, line: None, column: None },
            key: None,
            why: format!("cannot be read: {why}"),
            hint: "check the path (a relative path starts at the working directory) and the mode".to_owned(),
        }]),
    }
}

/// Whether these can be keys. Anything else may hold a secret, as in `--set sasl.password:hunter2==`.
fn is_path(path: &[&str]) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    path.iter().all(|key| !key.is_empty() && key.chars().all(legal))
}
