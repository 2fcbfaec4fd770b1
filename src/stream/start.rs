//! Decides at which offset a partition starts.

use super::Halt;

/// A list of the started partitions, stored outside of Kafka.
pub trait StartLog: Send + Sync {
    /// Whether this partition of the input was ever started by this group.
    ///
    /// # Errors
    /// The reason, if it is not known.
    fn started(&self, partition: i32) -> Result<bool, String>;

    fn mark_started(&self, partitions: &[i32]) -> Result<(), String>;
}

/// A committed offset and its metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    pub offset: i64,
    pub metadata: String,
}

/// Offset at which to start, and whether it must be committed first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Committed(i64),
    /// Log start: a first run, a new partition, or a gap that the operator accepted. After a gap, `committed`
    /// is the unusable offset that the broker holds, if any.
    Fresh {
        at: i64,
        committed: Option<i64>,
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

/// Without a committed offset, a first run or a new partition starts at the log start. In any other partition
/// without one, or with one outside the log, records may be missing: the operator must accept the gap
/// (`--accept-gap`). An offset whose metadata names another store is refused.
///
/// # Errors
/// [`Halt::InputGap`], [`Halt::OtherStore`].
pub fn start_at(
    partition: i32,
    committed: Option<&Committed>,
    log: (i64, i64),
    started_before: bool,
    store: &str,
    accept_gap: bool,
) -> Result<Start, Halt> {
    let (log_start, log_end) = log;
    let gap = |wanted: Option<i64>| {
        if accept_gap {
            Ok(Start::Fresh { at: log_start, committed: wanted })
        } else {
            Err(Halt::InputGap { partition, wanted, log_start, log_end })
        }
    };
    match committed {
        Some(c) if !c.metadata.is_empty() && c.metadata != store => {
            Err(Halt::OtherStore { partition, ours: store.to_owned(), theirs: c.metadata.clone() })
        }
        Some(c) if c.offset < log_start || c.offset > log_end => gap(Some(c.offset)),
        Some(c) => Ok(Start::Committed(c.offset)),
        None if started_before => gap(None),
        None => Ok(Start::Fresh { at: log_start, committed: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "hourseal/1 store=aa";

    fn at(offset: i64, metadata: &str) -> Committed {
        Committed { offset, metadata: metadata.to_owned() }
    }

    #[test]
    fn a_first_run_starts_at_the_log_start() {
        let start = start_at(0, None, (7, 9), false, US, false);
        assert_eq!(start.ok(), Some(Start::Fresh { at: 7, committed: None }));
    }

    #[test]
    fn a_committed_offset_within_the_log_is_obeyed() {
        for offset in [7, 8, 9] {
            let start = start_at(0, Some(&at(offset, US)), (7, 9), true, US, false);
            assert_eq!(start.ok(), Some(Start::Committed(offset)));
        }
    }

    #[test]
    fn missing_or_unreachable_offsets_halt_until_the_gap_is_accepted() {
        for committed in [None, Some(at(6, US)), Some(at(10, US))] {
            let halted = start_at(3, committed.as_ref(), (7, 9), true, US, false);
            assert!(matches!(halted, Err(Halt::InputGap { partition: 3, .. })), "{committed:?}");
            let accepted = start_at(3, committed.as_ref(), (7, 9), true, US, true);
            let committed = committed.map(|c| c.offset);
            assert_eq!(accepted.ok(), Some(Start::Fresh { at: 7, committed }));
        }
    }

    #[test]
    fn an_offset_of_another_store_is_refused_even_with_accept_gap() {
        let theirs = at(8, "hourseal/1 store=bb");
        assert!(matches!(start_at(0, Some(&theirs), (7, 9), true, US, true), Err(Halt::OtherStore { .. })));
    }
}
