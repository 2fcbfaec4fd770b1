//! The small sections. Each field's meaning and default stand in `default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::units;
use crate::envelope::StreamName;
use crate::lane::{CustomerFrom, OutputKey, Partitioner, TimeFrom};
use crate::model::Retention;

/// `[topics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    #[serde(deserialize_with = "units::parsed")]
    pub input: String,
    #[serde(deserialize_with = "units::parsed")]
    pub output: String,
    #[serde(deserialize_with = "units::parsed")]
    pub quarantine: String,
    #[serde(deserialize_with = "units::parsed")]
    pub control: String,
    #[serde(deserialize_with = "units::parsed")]
    pub receipts: String,
    #[serde(deserialize_with = "units::parsed")]
    pub checkpoints: String,
    /// Create at start what is missing.
    #[serde(deserialize_with = "units::parsed")]
    pub create: bool,
    /// Output topics for hours that live up to so long, by retention.
    #[serde(deserialize_with = "units::by_retention")]
    pub class: BTreeMap<Retention, String>,
}

impl Topics {
    /// Key and name of each.
    pub fn named(&self) -> Vec<(String, &str)> {
        let fixed = [
            ("input", &self.input),
            ("output", &self.output),
            ("quarantine", &self.quarantine),
            ("control", &self.control),
            ("receipts", &self.receipts),
            ("checkpoints", &self.checkpoints),
        ];
        let fixed = fixed.into_iter().map(|(key, name)| (key.to_owned(), name.as_str()));
        let class = |longest: &Retention| format!("class.{}h", longest.as_hours());
        let classes = self.class.iter().map(|(longest, name)| (class(longest), name.as_str()));
        fixed.chain(classes).collect()
    }

    /// Every topic of sealed events: the output, then those of retention classes.
    pub fn outputs(&self) -> Vec<String> {
        std::iter::once(&self.output).chain(self.class.values()).cloned().collect()
    }
}

/// `[event]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    #[serde(deserialize_with = "units::parsed")]
    pub customer: CustomerFrom,
    #[serde(deserialize_with = "units::parsed")]
    pub time: TimeFrom,
    /// Further ahead of now than this is `future`.
    #[serde(deserialize_with = "units::duration")]
    pub max_future: Duration,
    /// Added to an hour's end before a later generation begins.
    #[serde(deserialize_with = "units::duration")]
    pub grace: Duration,
    /// Bytes of key, headers and value together.
    #[serde(deserialize_with = "units::size")]
    pub max_bytes: u64,
}

/// `[seal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The logical name that is bound into every seal.
    #[serde(deserialize_with = "units::stream")]
    pub stream: StreamName,
    #[serde(deserialize_with = "units::parsed")]
    pub key: OutputKey,
    #[serde(deserialize_with = "units::parsed")]
    pub partitioner: Partitioner,
    /// Names of headers that are also copied in the clear.
    pub clear_headers: Vec<String>,
}

/// `[lane]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    #[serde(deserialize_with = "units::parsed")]
    pub count: usize,
    #[serde(deserialize_with = "units::duration")]
    pub batch_time: Duration,
    #[serde(deserialize_with = "units::parsed")]
    pub batch_events: usize,
    /// Bytes of key, headers and value of a batch's events.
    #[serde(deserialize_with = "units::size")]
    pub batch_bytes: u64,
}

/// `[kek]`: the provider `file` (`schemas/kek-file.md`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kek {
    #[serde(deserialize_with = "units::parsed")]
    pub provider: KekProvider,
    /// The vault's folder.
    #[serde(deserialize_with = "units::parsed")]
    pub path: PathBuf,
    #[serde(deserialize_with = "units::parsed")]
    pub root_key_file: PathBuf,
    /// Both are on a volume that every process of the fleet shares.
    #[serde(deserialize_with = "units::parsed")]
    pub shared: bool,
    /// How often a process that executes looks for KEKs whose day has ended; zero = never.
    #[serde(deserialize_with = "units::duration")]
    pub destroy: Duration,
}

/// Who holds the root key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KekProvider {
    /// A file on this host.
    File,
}

impl FromStr for KekProvider {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "file" {
            Ok(Self::File)
        } else {
            Err("is no KEK provider of this version, which has `file`")
        }
    }
}

/// `[ring]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    #[serde(deserialize_with = "units::duration")]
    pub lease: Duration,
    /// Keys.
    #[serde(deserialize_with = "units::parsed")]
    pub capacity: usize,
    /// How long before the next hour its keys may be obtained; zero = never.
    #[serde(deserialize_with = "units::duration")]
    pub premint: Duration,
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retentions {
    /// Seeds a new store; afterwards the store's own value holds.
    #[serde(deserialize_with = "units::retention")]
    pub default: Retention,
    /// Of quarantined records whose customer is not known.
    #[serde(deserialize_with = "units::retention")]
    pub quarantine: Retention,
    /// How often a process that executes looks for what is due; zero = never.
    #[serde(deserialize_with = "units::duration")]
    pub sweep: Duration,
}

/// `[control]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub trust_store_file: Option<PathBuf>,
    /// Whether this process executes commands; one of a fleet must.
    #[serde(deserialize_with = "units::parsed")]
    pub execute: bool,
    #[serde(deserialize_with = "units::parsed")]
    pub require_signatures: bool,
}

/// `[reclaim]`: deleting from the output what nobody can open any more.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reclaim {
    /// Time from one look to the next; zero = never.
    #[serde(deserialize_with = "units::duration")]
    pub every: Duration,
}

/// `[scrub]`: deleting the input's plaintext once it is sealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// How often; zero = never.
    #[serde(deserialize_with = "units::duration")]
    pub every: Duration,
    /// Other consumer groups that read the input.
    pub groups: Vec<String>,
}

/// `[canary]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Whose events it sends; without it there is none.
    pub customer: Option<String>,
}

/// `[receipts]`: their log (`schemas/receipt-log.md`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// Whose key signs checkpoints; without it this process signs none.
    pub signing_key_file: Option<PathBuf>,
}

/// `[process]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Core dumps and debuggers are allowed: for looking into a process that has no real keys.
    #[serde(deserialize_with = "units::parsed")]
    pub dumpable: bool,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    #[serde(deserialize_with = "units::parsed")]
    pub listen: SocketAddr,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(deserialize_with = "units::parsed")]
    pub format: LogFormat,
    #[serde(deserialize_with = "units::parsed")]
    pub level: LogLevel,
}

pub use crate::telemetry::{LogFormat, LogLevel};
