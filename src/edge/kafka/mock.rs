//! A Kafka within the process, for the demo: librdkafka's mock cluster. It acknowledges transactions but
//! isolates nothing, so it cannot prove exactly-once.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::client::ClientSettings;
use crate::model::Millis;

/// One broker on a free port of the loopback interface. It stops when this value is dropped.
pub struct DemoCluster {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

/// The demo's broker failed.
#[derive(Debug, thiserror::Error)]
#[error("the demo's broker failed: {0}")]
pub struct DemoClusterError(#[from] KafkaError);

impl DemoCluster {
    /// Starts the broker and creates the topics, each with its number of partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, DemoClusterError> {
        let cluster = MockCluster::new(1)?;
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1)?;
        }
        Ok(Self { cluster })
    }

    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

/// A record as the demo's users would write it.
pub struct DemoRecord {
    pub topic: String,
    pub timestamp: Millis,
    pub key: String,
    pub value: String,
}

/// Writes records as any producer does, and waits until the broker has them.
pub fn write(settings: &ClientSettings, records: &[DemoRecord]) -> Result<(), DemoClusterError> {
    let producer: BaseProducer = settings.base().create()?;
    for record in records {
        let outgoing = BaseRecord::to(&record.topic)
            .key(&record.key)
            .payload(&record.value)
            .timestamp(record.timestamp.0);
        producer.send(outgoing).map_err(|(error, _)| error)?;
        producer.poll(std::time::Duration::ZERO);
    }
    Ok(producer.flush(std::time::Duration::from_secs(20))?)
}
