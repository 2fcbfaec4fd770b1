//! The identities of a lane, and the clients made from them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::client::ClientSettings;
use super::ffi::GroupMembership;
use super::outage::Outages;
use super::reach::NoBroker;
use super::reason::harmless;
use super::sink::KafkaSink;
use super::sizes::ProducerSizes;
use super::source::KafkaSource;
use crate::lane::{MaxMessageBytes, Placement};
use crate::stream::{Connector, Halt, StartLog, Stop, StreamError};

/// The identity of a lane. `group.instance.id` = `<instance>.<lane>`, and
/// `transactional.id` = `<group>.<instance>.<lane>`.
#[derive(Clone)]
pub struct LaneIdentity {
    pub settings: ClientSettings,
    pub group: String,
    pub instance: String,
    pub lane: String,
    pub input: String,
    /// The topics that the sink writes to, in the order of [`crate::stream::TopicIndex`].
    pub outputs: Vec<String>,
    /// `max.message.bytes` of the outputs. No producer batch may be larger than the smallest one: the broker
    /// would refuse the whole batch.
    pub max_message_bytes: Vec<MaxMessageBytes>,
    /// Placements of the outputs. A producer is replaced when one changes, because librdkafka asks for the
    /// partitions of a topic only every few minutes.
    pub placements: Vec<Placement>,
    /// Metadata of every committed offset; it names the key store.
    pub commit_metadata: String,
    /// Topics that must have each partition of the input (`seal.partitioner = "input"`).
    pub mirrors: Vec<String>,
}

impl LaneIdentity {
    pub(super) fn instance_id(&self) -> String {
        format!("{}.{}", self.instance, self.lane)
    }

    pub(super) fn transactional_id(&self) -> String {
        format!("{}.{}", self.group, self.instance_id())
    }

    /// Makes the clients of a lane: librdkafka then checks their settings and opens their files. They have no
    /// address, so they connect to nothing.
    ///
    /// # Errors
    /// [`NoBroker::Settings`] with the refused setting.
    pub fn check(&self) -> Result<(), NoBroker> {
        let offline = |mut config: ClientConfig| {
            config.remove("bootstrap.servers");
            config
        };
        let refused = |error: KafkaError| NoBroker::Settings(harmless(&error.to_string()));
        let settings = &self.settings;
        for config in [settings.base(), self.consumer_config()] {
            settings.listener().reader(&offline(config)).map_err(refused)?;
        }
        let config = offline(self.producer_config(ProducerSizes::of(&self.max_message_bytes)));
        KafkaSink::check(&config, self).map_err(refused)
    }

    pub(super) fn consumer_config(&self) -> ClientConfig {
        let mut config = self.settings.consumer(&self.group);
        config.set("group.instance.id", self.instance_id());
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("enable.partition.eof", "true");
        config
    }

    pub(super) fn producer_config(&self, sizes: ProducerSizes) -> ClientConfig {
        let mut config = self.settings.producer();
        config.set("transactional.id", self.transactional_id());
        config.set("transaction.timeout.ms", self.transaction_timeout().as_millis().to_string());
        config.set("socket.timeout.ms", self.socket_timeout().as_millis().to_string());
        config.set("partitioner", "murmur2_random");
        config.set("queue.buffering.max.messages", "500000");
        sizes.configure(&mut config);
        config
    }

    /// After this time the broker aborts the transaction itself.
    pub(super) fn transaction_timeout(&self) -> Duration {
        self.settings.transaction_timeout()
    }

    /// After this time the client no longer waits for an answer.
    pub(super) fn socket_timeout(&self) -> Duration {
        self.settings.producer_time("socket.timeout.ms", 10_000)
    }
}

/// Names the missing right in place of the broker's word for it.
fn named(error: StreamError, id: &str) -> StreamError {
    match error.name.as_str() {
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" => {
            let name = format!("the right WRITE is denied for transactional id `{id}`");
            StreamError { name, ..error }
        }
        _ => error,
    }
}

/// Makes the clients of one lane.
pub struct LaneConnector {
    identity: LaneIdentity,
    starts: Arc<dyn StartLog>,
    outages: Outages,
}

impl LaneConnector {
    pub fn new(identity: LaneIdentity, starts: Arc<dyn StartLog>) -> Self {
        Self { identity, starts, outages: Outages::default() }
    }
}

impl Connector for LaneConnector {
    type Membership = GroupMembership;
    type Source = KafkaSource;
    type Sink = KafkaSink;

    fn source(&self) -> Result<KafkaSource, Halt> {
        KafkaSource::join(&self.identity, Arc::clone(&self.starts), self.outages.clone())
    }

    fn sink(&self, stop: &Stop) -> Result<KafkaSink, StreamError> {
        let sink = KafkaSink::connect(&self.identity, self.outages.clone(), stop);
        sink.map_err(|error| named(error, &self.identity.transactional_id()))
    }

    fn identity(&self) -> String {
        self.identity.transactional_id()
    }

    fn transaction_timeout(&self) -> Duration {
        self.identity.transaction_timeout()
    }

    fn outage(&self) -> bool {
        self.outages.explain(Instant::now())
    }

    fn take_unanswered_init(&self) -> bool {
        self.outages.take_unanswered_init(Instant::now())
    }
}
