//! The layers of the configuration: defaults < file < environment < flags, each with its origin.
//!
//! Keys below `kafka.client`, `kafka.consumer` and `kafka.producer` are librdkafka's, which contain dots: they may be
//! written `"security.protocol"`, as nested TOML tables, or with underscores in the environment, and are one flat map.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::ConfigError;

/// What every variable of ours begins with.
pub const ENV_PREFIX: &str = "HOURSEAL__";

const DEFAULTS: &str = include_str!("default.toml");
const MAPS: [&str; 3] = ["client", "consumer", "producer"];

/// Everything that a configuration is made of, gathered by the caller: nothing here reads the environment.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The TOML file, if one was given.
    pub file: Option<PathBuf>,
    /// `HOURSEAL__SECTION__KEY` and value; other variables are ignored.
    pub env: Vec<(String, String)>,
    /// The flag as the user knows it, the key that it sets, and the value.
    pub flags: Vec<(String, String, String)>,
    /// What stands in for a missing `instance`.
    pub host: String,
    /// The CPU's cores.
    pub cores: usize,
}

impl Layers {
    /// Merges the layers and fills in what is derived from them.
    pub(super) fn merge(&self) -> Result<Figment, ConfigError> {
        self.merge_with(read)
    }

    /// The same, told how to come by what the file says.
    pub(super) fn merge_with(
        &self,
        read: impl FnOnce(&Path) -> Result<Dict, ConfigError>,
    ) -> Result<Figment, ConfigError> {
        let mut figment = Figment::new().merge(Layer::new("default", defaults()));
        if let Some(path) = &self.file {
            figment = figment.merge(Layer::new(format!("file {}", path.display()), read(path)?));
        }
        for (name, value) in self.env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
            let path: Vec<String> =
                name[ENV_PREFIX.len()..].to_lowercase().split("__").map(str::to_owned).collect();
            figment = figment.merge(Layer::new(format!("environment {name}"), assign(&path, value, name)?));
        }
        for (flag, key, value) in &self.flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            figment = figment.merge(Layer::new(format!("flag {flag}"), assign(&path, value, flag)?));
        }
        Ok(self.derive(figment))
    }

    /// Defaults that depend on the machine or on other keys. They never override what was set.
    fn derive(&self, figment: Figment) -> Figment {
        let input = figment.extract_inner::<Value>("topics.input").ok().and_then(Value::into_string);
        let input = input.unwrap_or_default();
        let lanes = self.cores.clamp(1, 4);
        let mut derived = format!("instance = {:?}\n[lane]\ncount = {lanes}\n", self.host);
        let _ = write!(
            derived,
            "[kafka]\ngroup = {:?}\n[seal]\nstream = {input:?}\n[topics]\n",
            format!("hourseal.{input}")
        );
        for topic in ["sealed", "quarantine", "control", "receipts", "checkpoints"] {
            let key = if topic == "sealed" { "output" } else { topic };
            let _ = writeln!(derived, "{key} = {:?}", format!("{input}.{topic}"));
        }
        // Text that is no TOML can only come from odd names, which the checks of the values then refuse.
        figment.join(Layer::new("default", toml::from_str(&derived).unwrap_or_default()))
    }
}

/// One layer with its origin.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    fn new(origin: impl Into<String>, mut values: Dict) -> Self {
        flatten_maps(&mut values);
        Self { origin: origin.into(), values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn defaults() -> Dict {
    toml::from_str(DEFAULTS).expect("the embedded defaults are TOML, as a test shows")
}

fn read(path: &Path) -> Result<Dict, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
    parse(path, &text)
}

/// What the file says. A syntax error names the line and never quotes it: it might hold a secret.
pub(super) fn parse(path: &Path, text: &str) -> Result<Dict, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let why = error.message().lines().next().unwrap_or_default().to_owned();
        ConfigError::Syntax { path: path.to_owned(), line: before.matches('\n').count() + 1, why }
    })
}

/// One value at a path. Text in brackets is a TOML list; everything else stays text, so that `007` keeps its zeros.
fn assign(path: &[String], value: &str, name: &str) -> Result<Dict, ConfigError> {
    if path.iter().any(String::is_empty) {
        return Err(ConfigError::NoAssignment(name.to_owned()));
    }
    let mut value = if value.starts_with('[') {
        let list =
            toml::from_str::<Dict>(&format!("list = {value}")).ok().and_then(|mut dict| dict.remove("list"));
        list.ok_or_else(|| ConfigError::value(path.join("."), "is no list such as [\"a\", \"b\"]"))?
    } else {
        Value::from(value)
    };
    for key in path.iter().skip(1).rev() {
        value = Value::from(Dict::from([(key.clone(), value)]));
    }
    Ok(Dict::from([(path[0].clone(), value)]))
}

/// Turns the nested tables below `kafka.client` and its like into one flat map of dotted keys and text.
fn flatten_maps(values: &mut Dict) {
    let Some(Value::Dict(_, kafka)) = values.get_mut("kafka") else { return };
    for name in MAPS {
        if let Some(Value::Dict(_, map)) = kafka.get_mut(name) {
            let mut flat = Dict::new();
            flatten(String::new(), std::mem::take(map), &mut flat);
            *map = flat;
        }
    }
}

fn flatten(prefix: String, nested: Dict, flat: &mut Dict) {
    for (key, value) in nested {
        let key = format!("{prefix}{}", key.replace('_', "."));
        match value {
            Value::Dict(_, nested) => flatten(format!("{key}."), nested, flat),
            value => {
                flat.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_defaults_are_toml() {
        assert!(defaults().contains_key("topics"));
    }

    #[test]
    fn librdkafka_keys_are_one_flat_map_however_they_are_written() {
        let nested: Dict =
            toml::from_str("[kafka.client]\nsecurity.protocol = \"ssl\"\n\"client.id\" = \"x\"")
                .expect("toml");
        let Value::Dict(_, kafka) = &Layer::new("test", nested).values["kafka"] else { panic!("a table") };
        let Value::Dict(_, client) = &kafka["client"] else { panic!("a table") };
        assert_eq!(client.keys().collect::<Vec<_>>(), ["client.id", "security.protocol"]);
    }
}
