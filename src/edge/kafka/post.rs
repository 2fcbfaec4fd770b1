//! One record, as any producer writes it: a command on its way to the control topic.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message};

use super::client::{ClientSettings, is_outage};

/// How long a broker may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a record was not written, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("the Kafka client refuses its settings: {0}")]
    Client(String),
    #[error("topic `{0}` does not exist")]
    Missing(String),
    #[error("the broker did not take the record: {0}")]
    Refused(String),
    #[error("no broker took the record within {} s: it may be there all the same", ANSWER.as_secs())]
    Unknown,
}

/// Tells what became of the record.
struct Told(std::sync::mpsc::SyncSender<Result<i64, KafkaError>>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let told = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody listens any more after the answer's time.
        let _ = self.0.try_send(told);
    }
}

/// Writes a record and answers its offset.
///
/// # Errors
/// [`PostError`].
pub fn post(settings: &ClientSettings, topic: &str, value: &[u8]) -> Result<i64, PostError> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let mut config = settings.base();
    config.set("acks", "all").set("enable.idempotence", "true");
    config.set("message.timeout.ms", ANSWER.as_millis().to_string());
    let producer: ThreadedProducer<Told> =
        config.create_with_context(Told(tell)).map_err(|error| PostError::Client(error.to_string()))?;
    let record = BaseRecord::<(), [u8]>::to(topic).payload(value);
    producer.send(record).map_err(|(error, _)| judge(topic, &error))?;
    let _ = producer.flush(ANSWER);
    match told.recv_timeout(ANSWER) {
        Ok(Ok(offset)) => Ok(offset),
        Ok(Err(error)) => Err(judge(topic, &error)),
        Err(_) => Err(PostError::Unknown),
    }
}

fn judge(topic: &str, error: &KafkaError) -> PostError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            PostError::Missing(topic.to_owned())
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => PostError::Unknown,
        _ if is_outage(error) => PostError::Unknown,
        _ => PostError::Refused(error.to_string()),
    }
}
