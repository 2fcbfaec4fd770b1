//! The small sections. The meaning and the default of each field stand in `default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::kind::{Optional, section};
use super::lists::{ByRetention, List};
use super::numbers::{Flag, Hours, Size, Time, Whole};
use super::words::{CANARY, FILLED, File, HEADER, NAME, OneOf, Parsed, Stream};
use crate::envelope::StreamName;
use crate::lane::{CustomerFrom, OutputKey, Partitioner, TimeFrom};
use crate::model::Retention;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

section! {
    /// `[topics]`
    #[derive(Clone, Debug)]
    pub struct Topics in "topics." {
        pub input: String = NAME,
        pub output: String = NAME,
        pub quarantine: String = NAME,
        pub control: String = NAME,
        pub receipts: String = NAME,
        pub checkpoints: String = NAME,
        /// Create at start what is missing.
        pub create: bool = Flag,
        /// Output topics for hours that live up to so long, by retention.
        pub class: BTreeMap<Retention, String> = ByRetention,
    }
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

section! {
    /// `[event]`
    #[derive(Clone, Debug)]
    pub struct Event in "event." {
        pub customer: CustomerFrom = Parsed::like("^(json:/|header:.|key$)"),
        pub time: TimeFrom = Parsed::like("^(json:/|header:.|timestamp$)"),
        /// Further ahead of now than this is `future`.
        pub max_future: Duration = Time::at_most(HOUR),
        /// Added to an hour's end before a later generation begins.
        pub grace: Duration = Time::at_most(HOUR),
        /// Bytes of key, headers and value together.
        pub max_bytes: u64 = Size { least: 1, most: 512 << 20 },
    }
}

section! {
    /// `[seal]`
    #[derive(Clone, Debug)]
    pub struct Seal in "seal." {
        /// The logical name that is bound into every seal.
        pub stream: StreamName = Stream,
        pub key: OutputKey = OneOf::these(&["customer", "none", "input"]),
        pub partitioner: Partitioner = OneOf::these(&["customer-hour", "customer", "input"]),
        /// Names of headers that are also copied in the clear.
        pub clear_headers: Vec<String> = List::of(HEADER),
    }
}

section! {
    /// `[lane]`
    #[derive(Clone, Debug)]
    pub struct Lane in "lane." {
        pub count: usize = Whole::within(0, 1024),
        pub batch_time: Duration = Time::within(SECOND / 1000, 5 * SECOND),
        pub batch_events: usize = Whole::within(1, 1_000_000),
        /// Bytes of key, headers and value of a batch's events.
        pub batch_bytes: u64 = Size { least: 1, most: 1 << 30 },
    }
}

section! {
    /// `[kek]`: the provider `file` (`schemas/kek-file.md`).
    #[derive(Clone, Debug)]
    pub struct Kek in "kek." {
        pub provider: KekProvider = OneOf::these(&["file"]),
        /// The vault's folder.
        pub path: PathBuf = File,
        pub root_key_file: PathBuf = File,
        /// Both are on a volume that every process of the fleet shares.
        pub shared: bool = Flag,
        /// How often a process that executes looks for KEKs whose day has ended; zero = never.
        pub destroy: Duration = Time::at_most(DAY),
    }
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
            Err("not a KEK provider of this version, which has `file`")
        }
    }
}

section! {
    /// `[ring]`
    #[derive(Clone, Debug)]
    pub struct Ring in "ring." {
        pub lease: Duration = Time::within(SECOND, HOUR),
        /// Keys.
        pub capacity: usize = Whole::within(1, 100_000_000),
        /// How long before the next hour its keys may be obtained; zero = never.
        pub premint: Duration = Time::at_most(55 * 60 * SECOND),
    }
}

section! {
    /// `[retention]`
    #[derive(Clone, Debug)]
    pub struct Retentions in "retention." {
        /// Seeds a new store; afterwards the store's own value holds.
        pub default: Retention = Hours,
        /// Of quarantined records whose customer is not known.
        pub quarantine: Retention = Hours,
        /// How often a process that executes looks for what is due; zero = never.
        pub sweep: Duration = Time::at_most(HOUR),
    }
}

section! {
    /// `[control]`
    #[derive(Clone, Debug)]
    pub struct Control in "control." {
        pub trust_store_file: Option<PathBuf> = Optional(File),
        /// Whether this process executes commands; one of a fleet must.
        pub execute: bool = Flag,
        pub require_signatures: bool = Flag,
    }
}

section! {
    /// `[reclaim]`: deleting from the output what nobody can open any more.
    #[derive(Clone, Debug)]
    pub struct Reclaim in "reclaim." {
        /// Time from one look to the next; zero = never.
        pub every: Duration = Time::every(DAY),
    }
}

section! {
    /// `[scrub]`: deleting the input's plaintext once it is sealed.
    #[derive(Clone, Debug)]
    pub struct Scrub in "scrub." {
        /// How often; zero = never.
        pub every: Duration = Time::every(HOUR),
        /// Other consumer groups that read the input.
        pub groups: Vec<String> = List::of(FILLED),
    }
}

section! {
    /// `[canary]`
    #[derive(Clone, Debug)]
    pub struct Canary in "canary." {
        /// The customer of its events.
        pub customer: String = CANARY,
    }
}

section! {
    /// `[receipts]`: their log (`schemas/receipt-log.md`).
    #[derive(Clone, Debug)]
    pub struct Receipts in "receipts." {
        /// Whose key signs checkpoints; without it this process signs none.
        pub signing_key_file: Option<PathBuf> = Optional(File),
    }
}

section! {
    /// `[process]`
    #[derive(Clone, Copy, Debug)]
    pub struct Process in "process." {
        /// Core dumps and debuggers are allowed: for looking into a process that has no real keys.
        pub dumpable: bool = Flag,
    }
}

section! {
    /// `[admin]`
    #[derive(Clone, Debug)]
    pub struct Admin in "admin." {
        pub listen: SocketAddr = Parsed::like(":[0-9]+$"),
    }
}

section! {
    /// `[log]`
    #[derive(Clone, Debug)]
    pub struct Log in "log." {
        pub format: LogFormat = OneOf::these(&["text", "json"]),
        pub level: LogLevel = OneOf::these(&["error", "warn", "info", "debug", "trace"]),
    }
}

pub use crate::telemetry::{LogFormat, LogLevel};
