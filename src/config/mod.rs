//! Settings: typed, checked, and each with its origin.
//!
//! Promise: every [`Config`] is valid; a refusal names every mistake; no setting can break exactly-once; no
//! secret is printed.
//! Not here: the effect of a setting (the room of its section), reading environment and flags (`cli`).
//! Start at [`Config::load`]; to add a setting, at `kind.rs`. `default.toml` has every setting and default.

mod checks;
mod deny;
mod example;
mod file;
mod files;
mod kafka;
mod kind;
mod known;
mod layer;
mod layers;
mod lists;
mod mistake;
mod numbers;
mod oauth;
mod origin;
mod places;
mod reader;
mod schema;
mod sections;
mod show;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use std::path::Path;

pub use example::EXAMPLE;
pub use files::files_read_once;
pub use kafka::{Kafka, Timeouts};
pub use layers::{ENV_PREFIX, Layers};
pub use mistake::{ConfigError, Mistake};
pub use numbers::parse_retention;
pub use oauth::{Endpoint, Tokens};
pub use origin::Origin;
pub use sections::*;
pub use show::{Entry, show_json, show_toml};
pub use store::{Scylla, Store};

use example::Example;
use kind::Section;
use known::Known;
use reader::Reader;

/// Declares the sections of the configuration: the struct, the known keys, and the reading of all sections.
macro_rules! sections {
    ($($section:ident: $type:ty,)*) => {
        /// The settings of a process.
        #[derive(Clone, Debug)]
        pub struct Config {
            /// Stable, and unique per live process.
            pub instance: String,
            $(pub $section: $type,)*
        }

        impl Config {
            fn known() -> Known {
                let sections = [Top::settings(), $(<$type>::settings(),)*];
                Known::new(sections.into_iter().flatten().collect())
            }

            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                let top = Top::read(reader);
                $(let $section = <$type>::read(reader);)*
                Some(Self { instance: top?.instance, $($section: $section?,)* })
            }
        }
    };
}

kind::section! {
    /// The settings above the first section.
    struct Top in "" {
        instance: String = words::NAME,
    }
}

sections! {
    kafka: Kafka,
    topics: Topics,
    event: Event,
    seal: Seal,
    lane: Lane,
    store: Store,
    kek: Kek,
    ring: Ring,
    retention: Retentions,
    control: Control,
    reclaim: Reclaim,
    scrub: Scrub,
    canary: Canary,
    receipts: Receipts,
    process: Process,
    admin: Admin,
    log: Log,
}

impl Config {
    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Every mistake, each with its origin.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        Self::load_with_entries(layers).map(|(config, _)| config)
    }

    /// Does the same, and returns every setting with the origin of its value.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with_entries(layers: &Layers) -> Result<(Self, Vec<Entry>), ConfigError> {
        Self::load_from(layers, |path| std::fs::read_to_string(path))
    }

    /// Does the same with a given text of the file, for the fuzzer. `layers.file` is then only its name.
    ///
    /// # Errors
    /// As [`Config::load`].
    #[cfg(feature = "testkit")]
    pub fn load_text(layers: &Layers, text: &str) -> Result<(Self, Vec<Entry>), ConfigError> {
        Self::load_from(layers, |_| Ok(text.to_owned()))
    }

    fn load_from(
        layers: &Layers,
        text: impl FnOnce(&Path) -> std::io::Result<String>,
    ) -> Result<(Self, Vec<Entry>), ConfigError> {
        let (known, example) = (Self::known(), Example::read());
        let merged = layers.merge(&known, text);
        let mut reader = Reader::new(&merged.tree, &merged.defaults, &example);
        let config = Self::read(&mut reader);
        // If the file could not be read, its missing settings could look like contradictions.
        if let (Some(config), false) = (&config, merged.incomplete) {
            checks::all(config, &mut reader);
        }
        let mut mistakes = merged.mistakes;
        mistakes.extend(reader.into_mistakes());
        match config {
            Some(config) if mistakes.is_empty() => Ok((config, show::entries(&known, &merged.tree))),
            _ => Err(ConfigError::new(mistakes)),
        }
    }

    /// The variable of each setting.
    pub fn variables() -> Vec<String> {
        let name = |key: &str| format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase());
        Self::known().settings().iter().map(|setting| name(setting.key)).collect()
    }

    /// The configuration file as a JSON Schema, draft 2020-12.
    pub fn schema() -> serde_json::Value {
        schema::schema(&Self::known(), &Example::read())
    }
}
