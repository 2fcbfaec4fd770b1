//! Decides at which offset a partition starts.

use super::{Park, Waiting};
use crate::model::{Started, TopicId};

/// A list of the started partitions, stored outside of Kafka.
pub trait StartLog: Send + Sync {
    /// The partitions of the input that this group has started.
    ///
    /// # Errors
    /// The reason, if they are not known.
    fn started(&self) -> Result<Vec<Started>, String>;

    /// Stores these partitions, and replaces what was stored about them.
    fn mark_started(&self, partitions: &[Started]) -> Result<(), String>;
}

/// A committed offset and its metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    pub offset: i64,
    pub metadata: String,
}

/// The facts that a look at a partition found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The offset that the broker holds for the group.
    pub committed: Option<Committed>,
    /// Offset of the first record, and the offset after the last one.
    pub log: (i64, i64),
    /// `None`: the broker does not report it.
    pub topic: Option<TopicId>,
    pub started: Option<Started>,
}

/// The answer to a look at a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Facts(Facts),
    Park(Park),
    /// A flowing partition must stop until it was looked at again, because its topic has another id.
    Doubt,
    /// Nothing was found out, for a reason that does not lie with the partition.
    Unknown(Waiting),
}

/// Offset at which to start, and whether it must be committed first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Committed(i64),
    /// A first run, a new partition, or a gap that the operator accepted. After a gap, `committed` is the
    /// unusable offset that the broker holds, if any.
    Fresh {
        at: i64,
        committed: Option<i64>,
        accepted: bool,
    },
}

impl Start {
    pub fn offset(self) -> i64 {
        match self {
            Self::Committed(offset) | Self::Fresh { at: offset, .. } => offset,
        }
    }

    /// The committed offset that the broker holds for the partition.
    pub fn committed(self) -> Option<i64> {
        match self {
            Self::Committed(offset) => Some(offset),
            Self::Fresh { committed, .. } => committed,
        }
    }
}

/// A gap that the operator accepts: `--accept-gap TOPIC:PARTITION@OFFSET`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcceptedGap {
    pub topic: String,
    pub partition: i32,
    /// The committed offset that the broker holds. `None`: it holds none.
    pub offset: Option<i64>,
}

impl std::str::FromStr for AcceptedGap {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "the form is TOPIC:PARTITION@OFFSET, such as jobs:3@4711 or jobs:3@none";
        let (place, offset) = text.rsplit_once('@').ok_or(form)?;
        let (topic, partition) = place.rsplit_once(':').ok_or(form)?;
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(form);
        let partition = i32::try_from(number(partition)?).map_err(|_| form)?;
        let offset = if offset == "none" { None } else { Some(number(offset)?) };
        if topic.is_empty() { Err(form) } else { Ok(Self { topic: topic.to_owned(), partition, offset }) }
    }
}

/// The gaps that a lane accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gaps {
    /// Every gap: the step itself knows what was done.
    Any,
    These(Vec<AcceptedGap>),
}

/// The requirements for the offsets at which a lane's partitions start.
#[derive(Clone, Debug)]
pub struct StartRules {
    pub input: String,
    /// The text that names the key store in each committed offset.
    pub store: String,
    pub gaps: Gaps,
}

impl StartRules {
    /// Whether the metadata names this process's key store. Later versions may add text after a space.
    fn is_ours(&self, metadata: &str) -> bool {
        metadata.strip_prefix(&self.store).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    /// Whether the operator accepts a gap at this committed offset. A gap is accepted once: `started` tells
    /// which one was accepted last.
    fn accepts(&self, partition: i32, committed: Option<i64>, started: Option<Started>) -> bool {
        match &self.gaps {
            Gaps::Any => true,
            Gaps::These(gaps) => {
                let used = started.and_then(|started| started.accepted);
                used != Some(committed.unwrap_or(-1))
                    && gaps.iter().any(|gap| {
                        (&gap.topic, gap.partition, gap.offset) == (&self.input, partition, committed)
                    })
            }
        }
    }
}

/// Without a committed offset, a first run or a new partition starts at the log start. In any other partition
/// without one, or with one outside the log, records may be missing. The same holds if the topic has another
/// id than at the start, and if somebody else committed the offset. Then the operator must accept the gap.
/// An offset whose metadata names another store is refused.
///
/// # Errors
/// The reason for which the partition must not start.
pub fn start_at(partition: i32, facts: &Facts, rules: &StartRules) -> Result<Start, Park> {
    let (log_start, log_end) = facts.log;
    let committed = facts.committed.as_ref().map(|committed| committed.offset);
    let metadata = facts.committed.as_ref().map_or("", |committed| &committed.metadata);
    if !metadata.is_empty() && !rules.is_ours(metadata) {
        return Err(Park::OtherStore { ours: rules.store.clone(), theirs: metadata.to_owned() });
    }
    let unless_accepted = |at: i64, park: Park| match rules.accepts(partition, committed, facts.started) {
        true => Ok(Start::Fresh { at, committed, accepted: true }),
        false => Err(park),
    };
    let input = || rules.input.clone();
    if let Some((was, is)) = replaced(facts) {
        return unless_accepted(log_start, Park::TopicReplaced { input: input(), committed, was, is });
    }
    match committed {
        None if facts.started.is_none() => {
            Ok(Start::Fresh { at: log_start, committed: None, accepted: false })
        }
        Some(at) if (log_start..=log_end).contains(&at) => match metadata.is_empty() {
            true if facts.started.is_some() => {
                unless_accepted(at, Park::ForeignOffset { input: input(), offset: at })
            }
            _ => Ok(Start::Committed(at)),
        },
        wanted => unless_accepted(log_start, Park::InputGap { input: input(), wanted, log_start, log_end }),
    }
}

/// The id that the topic had when the partition was started, and the id that it has now, if they differ.
pub(super) fn replaced(facts: &Facts) -> Option<(TopicId, TopicId)> {
    let was = facts.started?.topic?;
    facts.topic.filter(|is| *is != was).map(|is| (was, is))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "hourseal/1 store=aa";
    const STARTED: Started = Started { partition: 3, topic: None, accepted: None };

    fn at(offset: i64, metadata: &str) -> Option<Committed> {
        Some(Committed { offset, metadata: metadata.to_owned() })
    }

    fn facts(committed: Option<Committed>, started: Option<Started>) -> Facts {
        Facts { committed, log: (7, 9), topic: None, started }
    }

    fn rules(gaps: &[&str]) -> StartRules {
        let gaps = gaps.iter().map(|gap| gap.parse().expect("a gap")).collect();
        StartRules { input: "jobs".to_owned(), store: US.to_owned(), gaps: Gaps::These(gaps) }
    }

    fn start(facts: &Facts, gaps: &[&str]) -> Result<Start, &'static str> {
        start_at(3, facts, &rules(gaps)).map_err(|park| park.code())
    }

    fn fresh(at: i64, committed: Option<i64>, accepted: bool) -> Result<Start, &'static str> {
        Ok(Start::Fresh { at, committed, accepted })
    }

    #[test]
    fn a_first_run_starts_at_the_log_start() {
        assert_eq!(start(&facts(None, None), &[]), fresh(7, None, false));
    }

    #[test]
    fn a_committed_offset_within_the_log_is_obeyed() {
        for offset in [7, 8, 9] {
            for metadata in [US, "hourseal/1 store=aa later=text"] {
                let facts = facts(at(offset, metadata), Some(STARTED));
                assert_eq!(start(&facts, &[]), Ok(Start::Committed(offset)));
            }
        }
        assert_eq!(start(&facts(at(8, ""), None), &[]), Ok(Start::Committed(8)), "set before the first run");
    }

    #[test]
    fn missing_or_unreachable_offsets_park_until_that_gap_is_accepted() {
        for (committed, flag, other) in [
            (None, "jobs:3@none", "jobs:3@7"),
            (at(6, US), "jobs:3@6", "jobs:3@7"),
            (at(10, US), "jobs:3@10", "jobs:4@10"),
        ] {
            let facts = facts(committed.clone(), Some(STARTED));
            assert_eq!(start(&facts, &[other]), Err("input-gap"), "{committed:?}");
            assert_eq!(start(&facts, &[flag]), fresh(7, committed.map(|c| c.offset), true));
        }
    }

    #[test]
    fn a_gap_is_accepted_once() {
        let again = Started { accepted: Some(6), ..STARTED };
        assert_eq!(start(&facts(at(6, US), Some(again)), &["jobs:3@6"]), Err("input-gap"));
        let none = Started { accepted: Some(-1), ..STARTED };
        assert_eq!(start(&facts(None, Some(none)), &["jobs:3@none"]), Err("input-gap"));
    }

    #[test]
    fn an_offset_without_our_metadata_parks_a_partition_that_had_one() {
        let facts = facts(at(8, ""), Some(STARTED));
        assert_eq!(start(&facts, &[]), Err("foreign-offset"));
        assert_eq!(start(&facts, &["jobs:3@8"]), fresh(8, Some(8), true));
    }

    #[test]
    fn a_topic_with_another_id_parks_even_with_an_offset_within_the_log() {
        let (old, new) = (TopicId([1; 16]), TopicId([2; 16]));
        let was = Started { topic: Some(old), ..STARTED };
        let facts = Facts { topic: Some(new), ..facts(at(8, US), Some(was)) };
        assert_eq!(start(&facts, &[]), Err("topic-replaced"));
        assert_eq!(start(&facts, &["jobs:3@8"]), fresh(7, Some(8), true));
        assert_eq!(start(&Facts { topic: Some(old), ..facts.clone() }, &[]), Ok(Start::Committed(8)));
        assert_eq!(start(&Facts { topic: None, ..facts }, &[]), Ok(Start::Committed(8)));
    }

    #[test]
    fn an_offset_of_another_store_is_refused_even_if_a_gap_is_accepted() {
        for theirs in ["hourseal/1 store=bb", "hourseal/1 store=aaa"] {
            assert_eq!(start(&facts(at(8, theirs), None), &["jobs:3@8"]), Err("other-store"));
        }
    }

    #[test]
    fn a_gap_is_read_as_it_is_written() {
        let gap: AcceptedGap = "my:jobs:3@47".parse().expect("a gap");
        assert_eq!((gap.topic.as_str(), gap.partition, gap.offset), ("my:jobs", 3, Some(47)));
        for wrong in ["", "jobs", "jobs:3", "jobs@4", "jobs:3@", "jobs:3@-1", ":3@4", "jobs:x@4"] {
            assert!(wrong.parse::<AcceptedGap>().is_err(), "{wrong}");
        }
    }
}
