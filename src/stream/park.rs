//! Reasons for which one partition stops while all others continue.

use std::fmt;
use std::time::Duration;

use crate::model::TopicId;

/// Time between two looks at a parked partition.
const LOOK: Duration = Duration::from_secs(5);
/// The same after a refused record. Each look costs an aborted transaction if the record is still refused.
const LOOK_AT_REFUSED: Duration = Duration::from_secs(15);

/// Reason for which a partition is parked: its records do not flow, and nothing of it is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Park {
    /// The committed offset is outside of the log, or missing although the group has started the partition.
    InputGap { input: String, wanted: Option<i64>, log_start: i64, log_end: i64 },
    /// The broker holds another committed offset than the lane committed last.
    OffsetMoved { known: Option<i64>, found: Option<i64> },
    /// A client that is not Hourseal committed the offset.
    ForeignOffset { input: String, offset: i64 },
    /// The offset was committed with another key store.
    OtherStore { ours: String, theirs: String },
    /// The topic was deleted and created again since the group started the partition.
    TopicReplaced { input: String, committed: Option<i64>, was: TopicId, is: TopicId },
    /// The topic, or this partition of it, does not exist.
    NoTopic,
    /// The partition has no leader, or its leader does not answer.
    NoLeader { why: String },
    /// The broker or the key store does not tell where the partition starts, while others flow.
    Unanswered { why: String },
    /// The output topic has no partition of this number (`seal.partitioner = "input"`).
    NoOutput { topic: String },
    /// The broker refuses even the smallest record that can be made of a record.
    RecordRefused { offset: i64, name: String },
    /// It has brought as many new slots as `lane.new_slots_per_minute` allows. `rest`: time until it may
    /// bring more.
    SlotBudget { limit: u64, rest: Duration },
}

/// The code of each reason, in the order of [`Park`].
pub const PARK_CODES: [&str; 11] = [
    "input-gap",
    "offset-moved",
    "foreign-offset",
    "other-store",
    "topic-replaced",
    "no-topic",
    "no-leader",
    "unanswered",
    "no-output",
    "record-refused",
    "slot-budget",
];

impl Park {
    /// The word in metrics and logs.
    pub fn code(&self) -> &'static str {
        PARK_CODES[match self {
            Self::InputGap { .. } => 0,
            Self::OffsetMoved { .. } => 1,
            Self::ForeignOffset { .. } => 2,
            Self::OtherStore { .. } => 3,
            Self::TopicReplaced { .. } => 4,
            Self::NoTopic => 5,
            Self::NoLeader { .. } => 6,
            Self::Unanswered { .. } => 7,
            Self::NoOutput { .. } => 8,
            Self::RecordRefused { .. } => 9,
            Self::SlotBudget { .. } => 10,
        }]
    }

    /// Whether both are one reason. The bounds of the log, and the text about a leader, may differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.code(), self.offset()) == (other.code(), other.offset())
    }

    /// The offset that the reason is about, if it is about one.
    fn offset(&self) -> Option<i64> {
        match self {
            Self::InputGap { wanted, .. } => *wanted,
            Self::OffsetMoved { found, .. } => *found,
            Self::ForeignOffset { offset, .. } | Self::RecordRefused { offset, .. } => Some(*offset),
            Self::TopicReplaced { committed, .. } => *committed,
            Self::OtherStore { .. }
            | Self::NoTopic
            | Self::NoLeader { .. }
            | Self::Unanswered { .. }
            | Self::NoOutput { .. }
            | Self::SlotBudget { .. } => None,
        }
    }

    /// Whether the reason usually ends without an action of the operator.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::NoLeader { .. } | Self::Unanswered { .. } | Self::SlotBudget { .. })
    }

    /// Time until the next look at the partition.
    pub(super) fn look_after(&self) -> Duration {
        match self {
            Self::RecordRefused { .. } => LOOK_AT_REFUSED,
            Self::SlotBudget { rest, .. } => *rest,
            _ => LOOK,
        }
    }

    /// The text for people. `partition` is the number of the parked partition.
    pub fn text(&self, partition: i32) -> String {
        let flag = |input: &str, offset: Option<i64>| {
            format!("continue with `--accept-gap {input}:{partition}@{}`", committed_text(offset))
        };
        match self {
            Self::InputGap { input, wanted, log_start, log_end } => format!(
                "it cannot continue at {} (log start {log_start}, log end {log_end}); records may be \
                 missing; find out why, then {}",
                wanted.map_or("its committed offset, which is missing".to_owned(), |o| format!("offset {o}")),
                flag(input, *wanted)
            ),
            Self::OffsetMoved { known, found } => format!(
                "the broker reports {} as committed, this lane expects {}; continuing could lose or \
                 duplicate records; find the client that commits offsets for the group",
                place(*found),
                place(*known)
            ),
            Self::ForeignOffset { input, offset } => format!(
                "another program committed offset {offset} for this group; records may be missing; find out \
                 which one, then {}",
                flag(input, Some(*offset))
            ),
            Self::OtherStore { ours, theirs } => {
                format!("it was committed with another key store ({theirs}, this process: {ours})")
            }
            Self::TopicReplaced { input, committed, was, is } => format!(
                "the topic was deleted and created again (id {was}, now {is}); records may be missing; find \
                 out why, then {}: it continues at the log start",
                flag(input, *committed)
            ),
            Self::NoTopic => "the topic, or this partition of it, does not exist".to_owned(),
            Self::NoLeader { why } | Self::Unanswered { why } => why.clone(),
            Self::NoOutput { topic } => {
                format!("`{topic}` has no partition {partition}: add partitions to it")
            }
            Self::RecordRefused { offset, name } => {
                format!("the broker refuses even the smallest record made of offset {offset}: {name}")
            }
            Self::SlotBudget { limit, .. } => format!(
                "it brought more than {limit} new slots within a minute, and continues by itself in the next \
                 one; if this repeats, find the producer that sends ever new customers, or raise \
                 lane.new_slots_per_minute"
            ),
        }
    }
}

impl fmt::Display for Park {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A committed offset as [`super::AcceptedGap`] reads it: `none` if the broker holds none.
pub fn committed_text(offset: Option<i64>) -> String {
    offset.map_or("none".to_owned(), |offset| offset.to_string())
}

fn place(offset: Option<i64>) -> String {
    offset.map_or("no offset".to_owned(), |offset| format!("offset {offset}"))
}
