//! The transactional producer of a lane.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};

use super::bounded;
use super::client::{is_outage, log_line, stream_error};
use super::connector::LaneIdentity;
use super::ffi::{self, Deliveries, GroupMembership, Queued, TopicHandle, TransactionalProducer};
use super::listener::Heard;
use super::outage::Outages;
use super::requests::Requests;
use super::sizes::ProducerSizes;
use crate::lane::{MaxMessageBytes, Placement};
use crate::stream::{ErrorClass, NextOffset, Outgoing, Sink, Stage, Stop, StreamError};

/// Longest time of a call to a coordinator.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest time that the lane waits for such a call to return.
const GIVE_UP: Duration = Duration::from_secs(35);
/// The error of a record that is sent in a transaction which must be aborted.
const MUST_ABORT: &str = "_STATE";
/// Interval at which a new producer, while it waits for the coordinator, checks for the stop.
const LOOK: Duration = Duration::from_millis(500);

/// Notes outages and refused records that librdkafka reports.
pub(super) struct SinkContext {
    outages: Outages,
    heard: Heard,
    /// Places of refused records in the transaction.
    refused: Mutex<Vec<usize>>,
}

impl SinkContext {
    fn new(outages: Outages, heard: Heard) -> Self {
        Self { outages, heard, refused: Mutex::default() }
    }

    fn refused(&self) -> MutexGuard<'_, Vec<usize>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries for SinkContext {
    fn refused(&self, place: usize) {
        self.refused().push(place);
    }
}

impl ClientContext for SinkContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(&self.heard, level, facility, text);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        if is_outage(&error) {
            self.outages.seen(Instant::now());
        }
    }
}

/// One incarnation of a lane's producer.
pub struct KafkaSink {
    /// Dropped before the producer, whose client they belong to.
    topics: Vec<TopicHandle>,
    /// A call that does not return holds it, too: the client must not be destroyed before the call's end.
    producer: Arc<TransactionalProducer<SinkContext>>,
    /// Whether a call does not return.
    is_stuck: bool,
    /// The sizes that the producer was created with.
    sizes: ProducerSizes,
    max_message_bytes: Vec<MaxMessageBytes>,
    /// The placements when the producer was created. It may not know partitions that were added later.
    placed: Vec<i32>,
    placements: Vec<Placement>,
    input: String,
    metadata: String,
    /// Time after which the lane gives up offsets, a commit or an abort. By then the broker has timed the
    /// transaction out. After an outage, librdkafka can wait without end for a coordinator to which it does
    /// not reconnect.
    patience: Duration,
    began: Instant,
    /// Number of records of the transaction.
    sent: usize,
    /// librdkafka takes no further record, because it must abort the transaction: a broker has refused an
    /// earlier one. It must not be committed. [`Sink::send_offsets`] returns the cause.
    is_incomplete: bool,
}

impl KafkaSink {
    /// Creates a producer and fences its predecessors.
    pub(super) fn connect(
        identity: &LaneIdentity,
        outages: Outages,
        stop: &Stop,
    ) -> Result<Self, StreamError> {
        let requests = Arc::new(Requests::new(outages.clone()));
        let sizes = ProducerSizes::of(&identity.max_message_bytes);
        let placed = partitions(&identity.placements);
        let config = identity.producer_config(sizes);
        let heard = identity.settings.reach.heard.clone();
        let producer = TransactionalProducer::new(
            &config,
            SinkContext::new(outages, heard),
            requests,
            &identity.settings.login,
        )
        .map_err(|error| stream_error(Stage::Init, &error))?;
        let topics = identity.outputs.iter().map(|name| {
            TopicHandle::open(&producer, name).ok_or_else(|| StreamError {
                stage: Stage::Init,
                class: ErrorClass::Fatal,
                name: "INVALID_TOPIC".to_owned(),
            })
        });
        let topics = topics.collect::<Result<_, _>>()?;
        init(&producer, stop)?;
        if !producer.requests().are_reported() {
            let name = "librdkafka does not report its requests".to_owned();
            return Err(StreamError { stage: Stage::Init, class: ErrorClass::Fatal, name });
        }
        Ok(Self {
            topics,
            producer: Arc::new(producer),
            is_stuck: false,
            sizes,
            max_message_bytes: identity.max_message_bytes.clone(),
            placed,
            placements: identity.placements.clone(),
            input: identity.input.clone(),
            metadata: identity.commit_metadata.clone(),
            patience: identity.transaction_timeout() + identity.socket_timeout(),
            began: Instant::now(),
            sent: 0,
            is_incomplete: false,
        })
    }

    /// Makes a producer, and drops it.
    pub(super) fn check(config: &ClientConfig, identity: &LaneIdentity) -> KafkaResult<()> {
        let requests = Arc::new(Requests::new(Outages::default()));
        let context = SinkContext::new(Outages::default(), identity.settings.reach.heard.clone());
        TransactionalProducer::new(config, context, requests, &identity.settings.login).map(drop)
    }

    fn offsets(&self, offsets: &[NextOffset]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for next in offsets {
            let mut element = list.add_partition(&self.input, next.partition);
            element.set_offset(Offset::Offset(next.offset))?;
            element.set_metadata(&self.metadata);
        }
        Ok(list)
    }

    /// If the rule is off: commits the outputs in a transaction of their own. The oracle's negative control
    /// shows with it what is lost without the rule.
    fn split_transaction(&self) -> Result<(), StreamError> {
        if is_off!("transactions") {
            self.producer.commit(self.patience)?;
            std::thread::sleep(Duration::from_millis(100));
            self.producer.begin()?;
        }
        Ok(())
    }
}

fn partitions(placements: &[Placement]) -> Vec<i32> {
    placements.iter().map(Placement::now).collect()
}

/// Waits for the transaction coordinator, in short steps so that the stop can end the wait.
fn init(producer: &TransactionalProducer<SinkContext>, stop: &Stop) -> Result<(), StreamError> {
    let until = Instant::now() + ANSWER;
    loop {
        match producer.init_transactions(LOOK) {
            Err(error)
                if error.class == ErrorClass::Retriable && Instant::now() < until && !stop.requested() => {}
            outcome => return outcome,
        }
    }
}

impl Sink for KafkaSink {
    type Membership = GroupMembership;

    fn begin(&mut self) -> Result<(), StreamError> {
        self.producer.begin()?;
        self.began = Instant::now();
        (self.sent, self.is_incomplete) = (0, false);
        self.producer.context().refused().clear();
        Ok(())
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError> {
        let topic = &self.topics[record.topic.0];
        if self.is_incomplete {
            return Ok(());
        }
        loop {
            match ffi::produce(&self.producer, topic, record, self.sent) {
                Queued::Yes => {
                    self.sent += 1;
                    return Ok(());
                }
                Queued::Failed(error) if error.name == MUST_ABORT => {
                    self.is_incomplete = true;
                    return Ok(());
                }
                Queued::Failed(error) => {
                    if error.class == ErrorClass::RecordRefused {
                        self.producer.context().refused().push(self.sent);
                    }
                    return Err(error);
                }
                Queued::Full if self.began.elapsed() > Duration::from_secs(60) => {
                    let name = "_QUEUE_FULL".to_owned();
                    return Err(StreamError { stage: Stage::Send, class: ErrorClass::Abortable, name });
                }
                Queued::Full => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn send_offsets(&mut self, offsets: &[NextOffset], member: &GroupMembership) -> Result<(), StreamError> {
        self.split_transaction()?;
        let list = self.offsets(offsets).map_err(|error| stream_error(Stage::Offsets, &error))?;
        let (producer, member) = (Arc::clone(&self.producer), member.clone());
        let call = move || producer.send_offsets(&list, &member, ANSWER);
        let sent = bounded::within(self.patience.min(GIVE_UP), call).unwrap_or_else(|| {
            self.is_stuck = true;
            let name = "the call does not return".to_owned();
            Err(StreamError { stage: Stage::Offsets, class: ErrorClass::Stuck, name })
        });
        // librdkafka itself refuses the offsets of a transaction that must be aborted. Its error tells why.
        match sent {
            Ok(()) if self.is_incomplete => {
                let name = "a record could not be sent".to_owned();
                Err(StreamError { stage: Stage::Offsets, class: ErrorClass::Abortable, name })
            }
            sent => sent,
        }
    }

    fn commit(&mut self) -> Result<(), StreamError> {
        self.producer.commit(self.patience)
    }

    fn abort(&mut self) -> Result<(), StreamError> {
        // The reason may be a limit of an output that has changed.
        self.max_message_bytes.iter().for_each(MaxMessageBytes::doubt);
        self.producer.abort(self.patience)
    }

    fn refused(&mut self) -> Vec<usize> {
        std::mem::take(&mut *self.producer.context().refused())
    }

    fn outdated(&self) -> Option<String> {
        let sizes = ProducerSizes::of(&self.max_message_bytes);
        if sizes != self.sizes {
            let now = self.sizes;
            return Some(format!(
                "`max.message.bytes` of an output changed: the producer is for {now}, not {sizes}"
            ));
        }
        let (was, now) = (&self.placed, partitions(&self.placements));
        (*was != now).then(|| {
            format!("the placement of an output changed: the producer is for {was:?} partitions, not {now:?}")
        })
    }

    fn tainted(&self) -> bool {
        self.is_stuck || (!is_off!("late-requests") && self.producer.requests().has_unanswered())
    }
}

#[cfg(test)]
mod tests;
