//! Settings: typed, checked, and each with its origin.
//!
//! Promise: a [`Config`] that exists is valid; no setting can break what exactly-once rests on; no secret is printed.
//! Not here: what the settings do (the room of each section), who reads the environment and the flags (`cli`).
//! Start at [`Config::load`]; every key with its default stands in `default.toml`.

mod checks;
mod deny;
mod error;
mod kafka;
mod layers;
mod sections;
mod show;
mod store;
#[cfg(test)]
mod tests;
mod units;

use serde::Deserialize;

pub use error::ConfigError;
pub use kafka::{Kafka, Timeouts};
pub use layers::{ENV_PREFIX, Layers};
pub use sections::*;
pub use show::{Entry, show_json, show_toml};
pub use store::{Scylla, Store};
pub use units::parse_retention;

/// Everything that a process is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Stable, and unique per live process.
    pub instance: String,
    pub kafka: Kafka,
    pub topics: Topics,
    pub event: Event,
    pub seal: Seal,
    pub lane: Lane,
    pub store: Store,
    pub kek: Kek,
    pub ring: Ring,
    pub retention: Retentions,
    pub control: Control,
    pub reclaim: Reclaim,
    pub scrub: Scrub,
    pub canary: Canary,
    pub receipts: Receipts,
    pub process: Process,
    pub admin: Admin,
    pub log: Log,
}

/// The sections as they are written, before they are checked against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "units::parsed")]
    instance: String,
    kafka: kafka::RawKafka,
    topics: Topics,
    event: Event,
    seal: Seal,
    lane: Lane,
    store: store::RawStore,
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
    /// The first broken rule, with the origin of the value that broke it.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        Self::load_with_entries(layers).map(|(config, _)| config)
    }

    /// The same, with every effective value and where it came from.
    pub fn load_with_entries(layers: &Layers) -> Result<(Self, Vec<Entry>), ConfigError> {
        Self::checked(layers.merge()?)
    }

    /// The same with the text of the file at hand, which `layers.file` then only names: for the fuzzer.
    ///
    /// # Errors
    /// As [`Config::load`].
    #[cfg(feature = "testkit")]
    pub fn load_text(layers: &Layers, text: &str) -> Result<(Self, Vec<Entry>), ConfigError> {
        Self::checked(layers.merge_with(|path| layers::parse(path, text))?)
    }

    fn checked(figment: figment::Figment) -> Result<(Self, Vec<Entry>), ConfigError> {
        let raw: Raw = figment.extract().map_err(|error| show::explain(&figment, error))?;
        let config = Self::try_from(raw).map_err(|error| show::with_origin(&figment, error))?;
        Ok((config, show::entries(&figment)))
    }
}

impl TryFrom<Raw> for Config {
    type Error = ConfigError;

    fn try_from(raw: Raw) -> Result<Self, ConfigError> {
        let config = Self {
            instance: raw.instance,
            kafka: raw.kafka.try_into()?,
            topics: raw.topics,
            event: raw.event,
            seal: raw.seal,
            lane: raw.lane,
            store: raw.store.try_into()?,
            kek: raw.kek,
            ring: raw.ring,
            retention: raw.retention,
            control: raw.control,
            reclaim: raw.reclaim,
            scrub: raw.scrub,
            canary: raw.canary,
            receipts: raw.receipts,
            process: raw.process,
            admin: raw.admin,
            log: raw.log,
        };
        checks::all(&config)?;
        Ok(config)
    }
}
