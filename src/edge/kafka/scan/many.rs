//! A plain reader of several topics as if they were one topic.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Next, Range, Scan, ScanError, Scanned};
use crate::edge::kafka::client::ClientSettings;

/// Readers of several topics. If the range ends, they read one after the other, otherwise in turns.
pub struct Scans {
    scans: VecDeque<Scan>,
    range: Range,
}

impl Scans {
    /// As [`Scan::begin`], for each topic.
    pub fn begin(settings: &ClientSettings, topics: &[String], range: Range) -> Result<Self, ScanError> {
        let scans = topics.iter().map(|topic| Scan::begin(settings, topic, range));
        Ok(Self { scans: scans.collect::<Result<_, _>>()?, range })
    }

    /// As [`Scan::next`]. Returns [`Next::End`] after all topics have ended.
    pub fn next(&mut self, wait: Duration) -> Result<Next, ScanError> {
        if self.range.ends() {
            while let Some(scan) = self.scans.front_mut() {
                match scan.next(wait)? {
                    Next::End => drop(self.scans.pop_front()),
                    next => return Ok(next),
                }
            }
            return Ok(Next::End);
        }
        for _ in 0..self.scans.len() {
            self.scans.rotate_left(1);
            let share = wait / u32::try_from(self.scans.len()).unwrap_or(1);
            if let Some(Next::Record(record)) = self.scans.front_mut().map(|it| it.next(share)).transpose()? {
                return Ok(Next::Record(record));
            }
        }
        Ok(Next::Idle)
    }

    /// Stops reading the partition of this record.
    pub fn leave(&mut self, record: &Scanned) -> Result<(), ScanError> {
        let scan = self.scans.iter_mut().find(|scan| scan.topic == record.topic);
        scan.map_or(Ok(()), |scan| scan.leave(record.partition))
    }
}
