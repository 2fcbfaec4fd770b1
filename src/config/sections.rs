//! The small sections. `default.toml` has the meaning and the default of each field.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::kind::{Optional, section};
use super::lists::{ByRetention, List};
use super::numbers::{Flag, Hours, Size, Time, Whole};
use super::places::Places;
use super::words::{CANARY, FILLED, File, HEADER, NAME, OneOf, Parsed, Stream};
use crate::envelope::StreamName;
use crate::lane::{CustomerFrom, OutputKey, Partitioner, Skip, Sources, TimeFrom};
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
        /// Create missing topics at start.
        pub create: bool = Flag,
        /// Output topics by retention. Each takes the hours that live no longer than its retention.
        pub class: BTreeMap<Retention, String> = ByRetention,
    }
}

impl Topics {
    /// Key and name of each topic.
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
        pub customer: Sources<CustomerFrom> = Places::like("^(json:/|header:.|key(@.+)?$)"),
        pub time: Sources<TimeFrom> = Places::like("^(json:/|header:.|timestamp$)"),
        pub skip: Skip = OneOf::these(&["none", "confluent"]),
        /// An event further ahead of now than this is `future`.
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
        /// Most new slots of one input partition. 0 = no limit.
        pub new_slots_per_minute: usize = Whole::within(0, 1_000_000_000),
        /// Minutes in a row at that limit that make a partition a runaway. 0 = never.
        pub runaway_minutes: usize = Whole::within(0, 1_440),
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
        /// Interval at which the executing process looks for KEKs whose day has ended. Zero = never.
        pub destroy: Duration = Time::at_most(DAY),
    }
}

/// The holder of the root key.
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
            Err("unknown KEK provider; this version has only the provider `file`")
        }
    }
}

section! {
    /// `[ring]`
    #[derive(Clone, Debug)]
    pub struct Ring in "ring." {
        pub lease: Duration = Time::within(SECOND, HOUR),
        /// Number of keys.
        pub capacity: usize = Whole::within(1, 100_000_000),
        /// The next hour's keys may be obtained this long before it begins. Zero = never.
        pub premint: Duration = Time::at_most(55 * 60 * SECOND),
    }
}

section! {
    /// `[retention]`
    #[derive(Clone, Debug)]
    pub struct Retentions in "retention." {
        /// Initial value for a new store. An existing store keeps its own value.
        pub default: Retention = Hours,
        /// Retention of quarantined records whose customer is not known.
        pub quarantine: Retention = Hours,
        /// Interval at which the hours that are due are looked for. Zero = never.
        pub sweep: Duration = Time::at_most(HOUR),
    }
}

section! {
    /// `[control]`
    #[derive(Clone, Debug)]
    pub struct Control in "control." {
        pub trust_store_file: Option<PathBuf> = Optional(File),
        /// Whether this process executes commands. At least one process of a fleet must.
        pub execute: bool = Flag,
        pub require_signatures: bool = Flag,
    }
}

section! {
    /// `[reclaim]`: deletes records from the output that nobody can open any more.
    #[derive(Clone, Debug)]
    pub struct Reclaim in "reclaim." {
        /// Interval. Zero = never.
        pub every: Duration = Time::every(DAY),
    }
}

section! {
    /// `[scrub]`: deletes the input's plaintext once it is sealed.
    #[derive(Clone, Debug)]
    pub struct Scrub in "scrub." {
        /// Interval of the deletion. Zero = never.
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
    /// `[receipts]`: the log of receipts (`schemas/receipt-log.md`).
    #[derive(Clone, Debug)]
    pub struct Receipts in "receipts." {
        /// The key that signs checkpoints. `None` = this process signs none.
        pub signing_key_file: Option<PathBuf> = Optional(File),
    }
}

section! {
    /// `[process]`
    #[derive(Clone, Copy, Debug)]
    pub struct Process in "process." {
        /// Core dumps and debuggers are allowed. Use it only to debug a process that has no real keys.
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
