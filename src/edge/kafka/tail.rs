//! A reader of the receipts topic and of the checkpoints topic. It uses `assign` and read_committed, commits
//! no offset and joins no group.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{ClientSettings, is_outage};
use super::ffi::MessageHeaders;
use super::listener::AskingClient;
use crate::forget::{SWEPT_HEADER, Tail, TailError, TailRecord};
use crate::model::Millis;
use crate::stream::Headers as _;

/// librdkafka requires a group name, even if the client joins no group.
const GROUP: &str = "hourseal.receipts";
/// The receipts topic has one partition (DESIGN §5.9).
const PARTITION: i32 = 0;
/// Longest wait for the broker to report the end of the log; a lease is longer.
const ANSWER: Duration = Duration::from_secs(5);

/// A reader of one topic's first partition.
pub struct ReceiptTail {
    reader: AskingClient,
    /// Asks for the high watermark. librdkafka asks with the client's isolation level, and a read_committed
    /// client gets the last stable offset instead. An open transaction keeps that offset below receipts that
    /// are already committed.
    ends: AskingClient,
    settings: ClientSettings,
    topic: String,
    began: i64,
}

impl ReceiptTail {
    /// # Errors
    /// librdkafka refuses a setting. The broker is not contacted yet.
    pub fn connect(settings: &ClientSettings, topic: &str) -> Result<Self, TailError> {
        let mut config = settings.consumer(GROUP);
        // This event wakes the poll at the end of the log. It carries no offset, so the caller then asks for
        // the position.
        config.set("enable.partition.eof", "true");
        let reader = settings.listener().reader(&config).map_err(broken)?;
        config.set("isolation.level", "read_uncommitted");
        let ends = settings.listener().reader(&config).map_err(broken)?;
        Ok(Self { reader, ends, settings: settings.clone(), topic: topic.to_owned(), began: 0 })
    }
}

impl Tail for ReceiptTail {
    fn log(&mut self) -> Result<(i64, i64), TailError> {
        // Removes error events from the queue, so that they do not accumulate.
        while self.ends.poll(Duration::ZERO).is_some() {}
        match self.ends.fetch_watermarks(&self.topic, PARTITION, ANSWER) {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition)) if self.is_hidden() => {
                Err(TailError::Denied(self.topic.clone()))
            }
            answer => answer.map_err(|error| self.judge(error)),
        }
    }

    fn begin(&mut self, offset: i64) -> Result<(), TailError> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&self.topic, PARTITION, Offset::Offset(offset)).map_err(broken)?;
        self.began = offset;
        self.reader.assign(&assignment).map_err(broken)
    }

    fn poll(&mut self, wait: Duration) -> Result<Option<TailRecord>, TailError> {
        match self.reader.poll(wait) {
            Some(Ok(message)) => {
                let value = message.payload().map(<[u8]>::to_vec);
                let at = message.timestamp().to_millis().map(Millis);
                let swept = header(&message, SWEPT_HEADER);
                Ok(Some(TailRecord { offset: message.offset(), at, value, swept }))
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(None),
            // The reader commits nothing, so it needs no right to the group.
            Some(Err(error))
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) =>
            {
                Ok(None)
            }
            Some(Err(error)) => Err(self.judge(error)),
        }
    }

    /// The next offset to read. librdkafka moves it past transaction markers when it reaches them in its
    /// queue (`rd_kafka_op_handle_std`).
    fn position(&self) -> Result<i64, TailError> {
        let positions = self.reader.position().map_err(broken)?;
        let position = positions.find_partition(&self.topic, PARTITION).map(|element| element.offset());
        Ok(match position {
            Some(Offset::Offset(offset)) => offset.max(self.began),
            _ => self.began,
        })
    }
}

impl ReceiptTail {
    /// Whether the broker hides the topic from this user. librdkafka then reports an unknown partition.
    fn is_hidden(&self) -> bool {
        let metadata = self.ends.fetch_metadata(Some(&self.topic), ANSWER);
        let denied = RDKafkaErrorCode::TopicAuthorizationFailed;
        metadata.is_ok_and(|metadata| {
            metadata.topics().iter().any(|it| it.error().map(RDKafkaErrorCode::from) == Some(denied))
        })
    }

    /// Outages and changes of the partition's leader are temporary. Any other error ends the reading.
    fn judge(&self, error: KafkaError) -> TailError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => TailError::Denied(self.topic.clone()),
            Some(
                RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::Resolve,
            ) => TailError::Passing(self.settings.why(&error)),
            _ if is_outage(&error) => TailError::Passing(self.settings.why(&error)),
            _ => broken(error),
        }
    }
}

/// The value of the first header of that name.
fn header(message: &BorrowedMessage<'_>, name: &CStr) -> Option<Vec<u8>> {
    let headers = MessageHeaders::of(message);
    let mut all = (0..headers.count()).map(|index| headers.at(index));
    all.find(|(found, _)| *found == name.to_bytes())?.1.map(<[u8]>::to_vec)
}

fn broken(error: KafkaError) -> TailError {
    TailError::Broken(name(&error))
}

fn name(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}
