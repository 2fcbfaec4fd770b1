//! The transactional producer of a lane.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{is_outage, log_line, stream_error};
use super::connector::LaneIdentity;
use super::ffi::{self, Queued, TopicHandle};
use super::outage::Outages;
use crate::stream::{ErrorClass, NextOffset, Outgoing, Sink, Stage, StreamError};

/// How long the first call to the transaction coordinator may take.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Hears of outages while a transaction is open.
pub(super) struct SinkContext {
    open: AtomicBool,
    tainted: AtomicBool,
    outages: Outages,
}

impl ClientContext for SinkContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.outages.hear(facility);
        log_line(level, facility, text);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        if is_outage(&error) {
            self.outages.seen(Instant::now());
            self.tainted.fetch_or(self.open.load(Ordering::Acquire), Ordering::AcqRel);
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for SinkContext {
    type DeliveryOpaque = ();

    /// Failed deliveries make the transaction abortable; the commit reports them.
    fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: ()) {}
}

/// One incarnation of a lane's producer.
pub struct KafkaSink {
    /// Dropped before the producer, whose client they belong to.
    topics: Vec<TopicHandle>,
    producer: ThreadedProducer<SinkContext>,
    input: String,
    metadata: String,
    /// An answer that takes longer taints this incarnation.
    late: Duration,
    /// When a commit or an abort is given up: the broker has timed the transaction out by then. librdkafka can wait for
    /// ever for a coordinator that it does not connect to again after an outage.
    patience: Duration,
    began: Instant,
}

impl KafkaSink {
    /// A producer that has fenced its predecessors.
    pub(super) fn connect(identity: &LaneIdentity, outages: Outages) -> Result<Self, StreamError> {
        let config = identity.producer_config();
        let failed = |error: KafkaError| stream_error(Stage::Init, &error);
        let context = SinkContext { open: AtomicBool::new(false), tainted: AtomicBool::new(false), outages };
        let producer = ThreadedProducer::from_config_and_context(&config, context).map_err(failed)?;
        let topics = identity.outputs.iter().map(|name| {
            TopicHandle::open(&producer, name).ok_or_else(|| StreamError {
                stage: Stage::Init,
                class: ErrorClass::Fatal,
                name: "INVALID_TOPIC".to_owned(),
            })
        });
        let topics = topics.collect::<Result<_, _>>()?;
        producer.init_transactions(INIT_TIMEOUT).map_err(failed)?;
        Ok(Self {
            topics,
            producer,
            input: identity.input.clone(),
            metadata: identity.commit_metadata.clone(),
            late: identity.socket_timeout(),
            patience: identity.transaction_timeout() + identity.socket_timeout(),
            began: Instant::now(),
        })
    }

    fn context(&self) -> &SinkContext {
        self.producer.client().context()
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

    /// Takes outputs and offsets apart, so that the oracle's negative control can show what is lost without the rule.
    fn split_transaction(&self) -> Result<(), StreamError> {
        if is_off!("transactions") {
            ffi::commit(&self.producer, self.patience)?;
            std::thread::sleep(Duration::from_millis(100));
            self.producer.begin_transaction().map_err(|error| stream_error(Stage::Begin, &error))?;
        }
        Ok(())
    }
}

impl Sink for KafkaSink {
    type Membership = ConsumerGroupMetadata;

    fn begin(&mut self) -> Result<(), StreamError> {
        self.producer.begin_transaction().map_err(|error| stream_error(Stage::Begin, &error))?;
        self.began = Instant::now();
        self.context().open.store(true, Ordering::Release);
        Ok(())
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), StreamError> {
        let topic = &self.topics[record.topic.0];
        loop {
            match ffi::produce(&self.producer, topic, record) {
                Queued::Yes => return Ok(()),
                Queued::Failed(error) => return Err(error),
                Queued::Full if self.began.elapsed() > Duration::from_secs(60) => {
                    let name = "_QUEUE_FULL".to_owned();
                    return Err(StreamError { stage: Stage::Send, class: ErrorClass::Abortable, name });
                }
                Queued::Full => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn send_offsets(
        &mut self,
        offsets: &[NextOffset],
        member: &ConsumerGroupMetadata,
    ) -> Result<(), StreamError> {
        self.split_transaction()?;
        let failed = |error: KafkaError| stream_error(Stage::Offsets, &error);
        let list = self.offsets(offsets).map_err(failed)?;
        self.producer.send_offsets_to_transaction(&list, member, INIT_TIMEOUT).map_err(failed)
    }

    fn commit(&mut self) -> Result<(), StreamError> {
        let outcome = ffi::commit(&self.producer, self.patience);
        self.context().open.store(false, Ordering::Release);
        outcome
    }

    fn abort(&mut self) -> Result<(), StreamError> {
        let outcome = self
            .producer
            .abort_transaction(self.patience)
            .map_err(|error| stream_error(Stage::Abort, &error));
        self.context().open.store(false, Ordering::Release);
        outcome
    }

    fn tainted(&self) -> bool {
        self.context().tainted.load(Ordering::Acquire) || self.began.elapsed() >= self.late
    }
}
