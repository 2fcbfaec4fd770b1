//! Gives quarantined records to the lane again. They are opened, and admitted as if they came from the input.
//! Then they are sealed or quarantined again, in one transaction with a mark of the progress.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::time::Instant;

use super::quarantine::{GIVEN_UP, HEADER_ORIGIN, HEADER_REASON, HEADER_TIMESTAMP, Reason, origin, place_in};
use super::sealed::Sealed;
use super::step::{SealingLane, Tally};
use crate::envelope::Opened;
use crate::envelope::frame::EventHeader;
use crate::model::Millis;
use crate::reader::{Outcome, Record, WaitingOpener};
use crate::stream::{
    Event, Filling, Headers, Input, Park, Ready, Sink, Step, StreamError, Take, Txn, Wait, Waiting,
};

/// Reason of a mark: a record that tells how far the quarantine has been redriven.
const REDRIVEN: &str = "redriven";

/// Kind of a record in the quarantine topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quarantined {
    /// It has its content, and came from this place of the input.
    Kept { reason: Reason, partition: i32, offset: i64 },
    /// It has no content: there is nothing to seal.
    Bare,
    /// Every record of this partition of the quarantine before this offset has been redriven.
    Mark { partition: i32, before: i64 },
    /// Not written by Hourseal, or from another input.
    Foreign,
}

impl Quarantined {
    /// Reads the kind from the labels of a record in the topic `quarantine`; its content came from `input`.
    pub fn read(input: &str, quarantine: &str, has_content: bool, headers: &dyn Headers) -> Self {
        let (Some(reason), Some(place)) = (label(headers, HEADER_REASON), label(headers, HEADER_ORIGIN))
        else {
            return Self::Foreign;
        };
        if reason == REDRIVEN {
            let mark = place_in(quarantine, place).filter(|_| !has_content);
            return mark.map_or(Self::Foreign, |(partition, last)| Self::Mark {
                partition,
                before: last.saturating_add(1),
            });
        }
        if reason == GIVEN_UP && !has_content && place_in(input, place).is_some() {
            return Self::Bare;
        }
        match (Reason::of(reason), has_content, place_in(input, place)) {
            (Some(_), false, _) => Self::Bare,
            (Some(reason), true, Some((partition, offset))) => Self::Kept { reason, partition, offset },
            _ => Self::Foreign,
        }
    }
}

/// The text of a label. `None` if it is missing, is repeated, or is not UTF-8.
fn label<'h>(headers: &'h dyn Headers, name: &CStr) -> Option<&'h str> {
    let mut named = super::batch::each(headers).filter(|(found, _)| *found == name.to_bytes());
    match (named.next(), named.next()) {
        (Some((_, value)), None) => str::from_utf8(value?).ok(),
        _ => None,
    }
}

/// Number of records that were left as they are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Left {
    /// Already redriven.
    pub before: u64,
    /// Forgotten in the meantime, with their customers' hours.
    pub forgotten: u64,
    /// They have no content.
    pub bare: u64,
    /// They do not open, or are foreign.
    pub unreadable: u64,
}

/// Receives the events of a redrive, with the counts of the batch.
pub trait RedriveObserver: Send {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally, left: &Left);
}

/// Dependencies of a redrive.
pub struct RedriveParts {
    /// Seals the opened records. Its observer receives the same events as for the input, but without offsets.
    pub lane: SealingLane,
    /// Opens records of the quarantine.
    pub opener: WaitingOpener,
    /// Name of the quarantine topic.
    pub quarantine: String,
    /// By partition, the offset before which every record was redriven.
    pub done: BTreeMap<i32, i64>,
    /// A batch is closed when the sealed contents in it reach this many bytes.
    pub batch_bytes: usize,
    pub observer: Box<dyn RedriveObserver>,
}

/// A step over the quarantine topic.
pub struct Redrive {
    parts: RedriveParts,
    batch: Vec<Taken>,
    bytes: usize,
    /// Whether the lane has the opened records.
    given: bool,
}

/// A record of the batch.
struct Taken {
    partition: i32,
    offset: i64,
    fate: Fate,
}

enum Fate {
    /// Not opened yet.
    Closed(Content),
    Opened(Origin, Opened),
    Before,
    Forgotten,
    Bare,
    Mark,
    Unreadable,
}

/// A record's place in the input, and its timestamp there.
#[derive(Clone, Copy)]
struct Origin {
    partition: i32,
    offset: i64,
    timestamp: Option<Millis>,
}

/// A sealed record, owned.
struct Content {
    origin: Origin,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

impl Redrive {
    pub fn new(mut parts: RedriveParts) -> Self {
        // An operator asked for these records.
        parts.lane.lift_bounds();
        Self { parts, batch: Vec::new(), bytes: 0, given: false }
    }

    fn fate(&self, input: &Input<'_>) -> Fate {
        if self.parts.done.get(&input.partition).is_some_and(|before| input.offset < *before) {
            return Fate::Before;
        }
        let (lane, quarantine) = (&self.parts.lane, &self.parts.quarantine);
        match Quarantined::read(lane.input(), quarantine, input.value.is_some(), input.headers) {
            Quarantined::Kept { partition, offset, .. } => {
                let timestamp =
                    label(input.headers, HEADER_TIMESTAMP).and_then(|ms| ms.parse().ok()).map(Millis);
                let value = input.value.unwrap_or_default().to_vec();
                let origin = Origin { partition, offset, timestamp };
                Fate::Closed(Content { origin, key: input.key.map(<[u8]>::to_vec), value })
            }
            Quarantined::Bare => Fate::Bare,
            Quarantined::Mark { .. } => Fate::Mark,
            Quarantined::Foreign => Fate::Unreadable,
        }
    }

    /// Opens the closed records. A record stays closed if the key store did not answer for it.
    fn open(&mut self) -> Result<(), Waiting> {
        let records: Vec<Record<'_>> = self.batch.iter().filter_map(Taken::closed).collect();
        if records.is_empty() {
            return Ok(());
        }
        let away = || Waiting::new(Wait::Store, "the key store does not answer");
        let mut readings = self.parts.opener.open_batch(&records).ok_or_else(away)?.into_iter();
        let mut unanswered = false;
        for taken in &mut self.batch {
            let Fate::Closed(content) = &taken.fate else { continue };
            let origin = content.origin;
            match readings.next().map_or(Outcome::Unavailable, |reading| reading.outcome) {
                Outcome::Opened(opened) => taken.fate = Fate::Opened(origin, opened),
                Outcome::Erased { .. } | Outcome::ErasedByTtl | Outcome::Gone => taken.fate = Fate::Forgotten,
                Outcome::Unavailable => unanswered = true,
                Outcome::NoSuchKey
                | Outcome::WrongKey
                | Outcome::Tampered
                | Outcome::UnknownSuite
                | Outcome::NotAnEnvelope => taken.fate = Fate::Unreadable,
            }
        }
        if unanswered { Err(away()) } else { Ok(()) }
    }

    /// Gives the opened records to the lane, as if they came from the input.
    fn give(&mut self) {
        if std::mem::replace(&mut self.given, true) {
            return;
        }
        for taken in &self.batch {
            let Fate::Opened(origin, opened) = &taken.fate else { continue };
            let frame = opened.frame();
            let headers = FrameHeaders(frame.headers().collect());
            // The label may be missing: older versions did not write it. Then the time of the frame is used.
            let timestamp = origin.timestamp.unwrap_or_else(|| opened.event_time());
            let input = Input {
                partition: origin.partition,
                offset: origin.offset,
                timestamp: Some(timestamp),
                key: frame.key(),
                value: frame.payload(),
                headers: &headers,
            };
            self.parts.lane.admit(&input).expect("a lane without bounds takes every record");
        }
    }

    /// By partition, the last offset of the batch, without records that were already redriven.
    fn lasts(&self) -> BTreeMap<i32, i64> {
        let mut lasts = BTreeMap::new();
        for Taken { partition, offset, .. } in self.batch.iter().filter(|it| !matches!(it.fate, Fate::Before))
        {
            let last = lasts.entry(*partition).or_insert(*offset);
            *last = (*last).max(*offset);
        }
        lasts
    }

    fn left(&self) -> Left {
        let mut left = Left::default();
        for taken in &self.batch {
            match taken.fate {
                Fate::Before => left.before += 1,
                Fate::Forgotten => left.forgotten += 1,
                Fate::Bare => left.bare += 1,
                Fate::Unreadable => left.unreadable += 1,
                Fate::Closed(_) | Fate::Opened(..) | Fate::Mark => {}
            }
        }
        left
    }
}

impl Taken {
    fn closed(&self) -> Option<Record<'_>> {
        let Fate::Closed(Content { key, value, .. }) = &self.fate else { return None };
        Some(Record { key: key.as_deref(), value: Some(value), headers: &[] })
    }
}

/// The headers that were sealed.
struct FrameHeaders<'a>(Vec<EventHeader<'a>>);

impl Headers for FrameHeaders<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> (&[u8], Option<&[u8]>) {
        self.0[index]
    }
}

impl Step for Redrive {
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park> {
        let fate = self.fate(input);
        if let Fate::Closed(content) = &fate {
            self.bytes += content.value.len();
        }
        self.batch.push(Taken { partition: input.partition, offset: input.offset, fate });
        Ok(if self.bytes >= self.parts.batch_bytes { Take::Enough } else { Take::More })
    }

    fn prepare(&mut self, deadline: Instant) -> Ready {
        if let Err(waiting) = self.open() {
            return Ready::Wait(waiting);
        }
        self.give();
        self.parts.lane.prepare(deadline)
    }

    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError> {
        self.parts.lane.emit(txn)?;
        let now = self.parts.lane.clock_now();
        for (partition, last) in self.lasts() {
            let place = origin(&self.parts.quarantine, partition, last);
            let headers = [(HEADER_REASON, REDRIVEN.as_bytes()), (HEADER_ORIGIN, place.as_bytes())];
            txn.send(&Sealed::redriven(partition, now, &headers))?;
        }
        Ok(())
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.batch.retain(|taken| !partitions.contains(&taken.partition));
        // The lane knows records by their places in the input: it gets those that remain again.
        self.parts.lane.clear();
        self.given = false;
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.bytes = 0;
        self.given = false;
        self.parts.lane.clear();
    }

    /// The marks are sent after the lane's records. They have no origin.
    fn origin(&self, place: usize) -> Option<(i32, i64)> {
        let given = self.parts.lane.origin(place)?;
        let is_given =
            |fate: &Fate| matches!(fate, Fate::Opened(it, _) if (it.partition, it.offset) == given);
        self.batch.iter().find(|taken| is_given(&taken.fate)).map(|taken| (taken.partition, taken.offset))
    }

    fn condemn(&mut self, partition: i32, offset: i64, why: &StreamError) -> Result<(), Park> {
        let refused = self.batch.iter().find(|taken| (taken.partition, taken.offset) == (partition, offset));
        match refused.map(|taken| &taken.fate) {
            Some(Fate::Opened(origin, _)) => self.parts.lane.condemn(origin.partition, origin.offset, why),
            _ => Err(Park::RecordRefused { offset, name: why.name.clone() }),
        }
    }

    fn observe(&mut self, event: Event<'_>) {
        self.parts.observer.observe(&event, self.parts.lane.tally(), &self.left());
        // These offsets belong to the quarantine. The lane would take them for offsets of its input.
        match event {
            Event::Committed { took, lag, .. } => {
                self.parts.lane.observe(Event::Committed { offsets: &[], took, lag });
            }
            Event::GapAccepted { .. } => {}
            other => self.parts.lane.observe(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (Vec<u8>, Option<Vec<u8>>);

    fn labels(reason: &str, origin: &str) -> Vec<Pair> {
        let pair = |name: &CStr, value: &str| (name.to_bytes().to_vec(), Some(value.as_bytes().to_vec()));
        vec![pair(HEADER_REASON, reason), pair(HEADER_ORIGIN, origin)]
    }

    fn read(has_content: bool, headers: &[Pair]) -> Quarantined {
        Quarantined::read("jobs", "jobs.quarantine", has_content, &headers)
    }

    #[test]
    fn a_record_is_what_its_labels_say() {
        let kept = Quarantined::Kept { reason: Reason::TooLarge, partition: 3, offset: 17 };
        assert_eq!(read(true, &labels("too-large", "jobs/3/17")), kept);
        assert_eq!(read(false, &labels("erased", "jobs/3/17")), Quarantined::Bare);
        assert_eq!(read(false, &labels("given-up", "jobs/3/17")), Quarantined::Bare);
        let far = format!("jobs.quarantine/0/{}", i64::MAX);
        assert_eq!(
            read(false, &labels("redriven", &far)),
            Quarantined::Mark { partition: 0, before: i64::MAX }
        );
        let mark = Quarantined::Mark { partition: 3, before: 18 };
        assert_eq!(read(false, &labels("redriven", "jobs.quarantine/3/17")), mark);
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone() {
        for (reason, origin) in [
            ("too-large", "other/3/17"),
            ("too-large", "jobs.quarantine/3/17"),
            ("too-large", "jobs/3"),
            ("too-large", "jobs/3/17/9"),
            ("no-reason-of-ours", "jobs/3/17"),
            ("redriven", "jobs.quarantine/3/17"),
        ] {
            assert_eq!(read(true, &labels(reason, origin)), Quarantined::Foreign, "{reason} {origin}");
        }
        assert_eq!(read(false, &labels("redriven", "jobs/3/17")), Quarantined::Foreign);
        let twice = [labels("too-large", "jobs/3/17"), labels("no-time", "jobs/3/17")].concat();
        assert_eq!(read(true, &twice), Quarantined::Foreign);
        assert_eq!(read(true, &[]), Quarantined::Foreign);
    }

    #[test]
    fn an_origin_is_read_as_it_is_written() {
        for topic in ["jobs", "jobs.7", "a-b_c"] {
            assert_eq!(place_in(topic, &origin(topic, 7, 1 << 40)), Some((7, 1 << 40)));
        }
        assert_eq!(place_in("jobs", &origin("jobs7", 1, 2)), None);
    }
}
