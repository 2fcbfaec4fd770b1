//! A plain reader of one topic, for commands that people run. It uses `assign` and read_committed, and
//! commits no offset.

mod json_line;
mod many;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::client::ClientSettings;
use super::ffi::MessageHeaders;
use super::listener::{AskingClient, serve};
use super::reach::NoBroker;
use crate::envelope::frame::EventHeader;
use crate::model::Millis;
use crate::reader::Record;
use crate::stream::{Headers as _, PATIENCE};

pub use many::Scans;

/// A header's name and value; a null value is `None`.
pub type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

/// An owned record. It has no `Debug`: its content may be personal.
pub struct Scanned {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<Millis>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<OwnedHeader>,
}

impl Scanned {
    /// The headers, borrowed.
    pub fn event_headers(&self) -> Vec<EventHeader<'_>> {
        self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect()
    }

    /// The record as a reader takes it. `headers` come from [`Scanned::event_headers`].
    pub fn record<'a>(&'a self, headers: &'a [EventHeader<'a>]) -> Record<'a> {
        Record { key: self.key.as_deref(), value: self.value.as_deref(), headers }
    }
}

/// The records to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    /// From the log's start to its end at the time when the scan begins.
    Existing,
    /// From the log's start, then new records without end.
    ExistingAndNew,
    /// Only new records.
    New,
    /// The first record of each partition.
    First,
    /// About so many of the newest records at the time when the scan begins: an equal share of each
    /// partition.
    Last(u32),
}

impl Range {
    /// Whether the range ends by itself.
    fn ends(self) -> bool {
        matches!(self, Self::Existing | Self::First | Self::Last(_))
    }
}

/// The result of one call of [`Scan::next`].
pub enum Next {
    Record(Scanned),
    /// No record within the wait. Only ranges that wait for new records return this.
    Idle,
    /// Every record of the range has been read.
    End,
}

/// Why a topic cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScanError {
    #[error("the kafka client failed: {0}")]
    Client(String),
    #[error("the right READ is denied for topic `{0}`")]
    Denied(String),
    #[error("topic `{0}` does not exist")]
    Missing(String),
    #[error(transparent)]
    NoBroker(#[from] NoBroker),
}

/// A reader of one topic.
pub struct Scan {
    consumer: AskingClient,
    settings: ClientSettings,
    topic: String,
    range: Range,
    /// The ends of the partitions that are not yet read to their end: the offset after the last record.
    open: BTreeMap<i32, i64>,
}

impl Scan {
    /// Looks up the topic's partitions and their ends, and begins to read.
    pub fn begin(settings: &ClientSettings, topic: &str, range: Range) -> Result<Self, ScanError> {
        settings.await_broker()?;
        let consumer = consumer(settings, range)?;
        let settings = settings.clone();
        let mut scan = Self { consumer, settings, topic: topic.to_owned(), range, open: BTreeMap::new() };
        let mut start = TopicPartitionList::new();
        let partitions = scan.partitions()?;
        let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
        for partition in partitions {
            let (low, end) = scan
                .consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .map_err(|error| scan.explain(&error))?;
            let from = match range {
                Range::New => end,
                Range::Last(records) => low.max(end - i64::from(records.div_ceil(count))),
                Range::Existing | Range::ExistingAndNew | Range::First => low,
            };
            start
                .add_partition_offset(topic, partition, Offset::Offset(from))
                .map_err(|error| scan.explain(&error))?;
            if !range.ends() || low < end {
                scan.open.insert(partition, end);
            }
        }
        scan.consumer.assign(&start).map_err(|error| scan.explain(&error))?;
        Ok(scan)
    }

    /// Returns the next record of any partition, in each partition's order. If the range waits for new
    /// records, the call waits for `wait` at most. Otherwise it waits for a record or the end, and gives up
    /// after 30 s without either.
    pub fn next(&mut self, wait: Duration) -> Result<Next, ScanError> {
        let since = Instant::now();
        loop {
            if self.open.is_empty() {
                return Ok(Next::End);
            }
            match self.consumer.poll(wait.min(Duration::from_millis(500))) {
                Some(Ok(message)) => {
                    if let Some(record) = take(&self.topic, self.range, &mut self.open, &message) {
                        if self.range == Range::First {
                            self.leave(record.partition)?;
                        }
                        return Ok(Next::Record(record));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.at_end(partition),
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(self.explain(&error)),
                None => {}
            }
            let waited = since.elapsed();
            if !self.range.ends() && waited >= wait {
                return Ok(Next::Idle);
            }
            if self.range.ends() && waited > PATIENCE * 2 {
                let why = format!("no record for {} s", waited.as_secs());
                let why = self.settings.last_failure().unwrap_or(why);
                return Err(NoBroker::silent(&self.settings, why).into());
            }
        }
    }

    /// Stops reading a partition.
    pub fn leave(&mut self, partition: i32) -> Result<(), ScanError> {
        self.open.remove(&partition);
        let mut left = TopicPartitionList::new();
        left.add_partition(&self.topic, partition);
        self.consumer.pause(&left).map_err(|error| self.explain(&error))
    }

    /// Finishes a partition, if the range ends. Transaction markers have offsets but are not records, so only
    /// the client knows that no record comes after the last one.
    fn at_end(&mut self, partition: i32) {
        if self.range.ends() {
            self.open.remove(&partition);
        }
    }

    fn partitions(&self) -> Result<Vec<i32>, ScanError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), PATIENCE)
            .map_err(|error| self.explain(&error))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        match topic.filter(|topic| topic.error().is_none() && !topic.partitions().is_empty()) {
            Some(topic) => {
                Ok(topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
            }
            None => Err(ScanError::Missing(self.topic.clone())),
        }
    }

    fn explain(&self, error: &KafkaError) -> ScanError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => ScanError::Denied(self.topic.clone()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                ScanError::Missing(self.topic.clone())
            }
            Some(code) => {
                serve(&self.consumer);
                NoBroker::silent(&self.settings, self.settings.why_code(code)).into()
            }
            None => ScanError::Client(error.to_string()),
        }
    }
}

/// A consumer that joins no group. librdkafka requires a group name anyway.
fn consumer(settings: &ClientSettings, range: Range) -> Result<AskingClient, ScanError> {
    let mut config = settings.base();
    for (key, value) in [
        ("group.id", "hourseal.scan"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
        // If the start of the log is deleted during the scan, reading continues at the new start: deleted
        // records cannot be shown.
        ("auto.offset.reset", "earliest"),
        ("check.crcs", "true"),
    ] {
        config.set(key, value);
    }
    if range == Range::First {
        // One batch of each partition. The broker sends at least one whole batch, whatever its size.
        config.set("queued.min.messages", "1").set("fetch.message.max.bytes", "1");
    }
    settings.listener().reader(&config).map_err(|error| ScanError::Client(error.to_string()))
}

/// Whether the client recovers from this error by itself, or does not need what is refused: the scan commits
/// nothing, so it needs no right to a group.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// The record, unless it is after the end at which the range stops.
fn take(
    topic: &str,
    range: Range,
    open: &mut BTreeMap<i32, i64>,
    message: &BorrowedMessage<'_>,
) -> Option<Scanned> {
    let (partition, offset) = (message.partition(), message.offset());
    if range.ends() {
        let end = *open.get(&partition)?;
        if offset + 1 >= end {
            open.remove(&partition);
        }
        if offset >= end {
            return None;
        }
    }
    let headers = MessageHeaders::of(message);
    let header = |index| {
        let (name, value) = headers.at(index);
        (name.to_vec(), value.map(<[u8]>::to_vec))
    };
    Some(Scanned {
        topic: topic.to_owned(),
        partition,
        offset,
        timestamp: message.timestamp().to_millis().map(Millis),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: (0..headers.count()).map(header).collect(),
    })
}
