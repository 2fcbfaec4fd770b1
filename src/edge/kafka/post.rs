//! Writes one record, as any producer does: for example, a command to the control topic.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message};

use super::client::{ClientSettings, is_outage, log_line};
use super::ffi::Held;
use super::listener::Heard;
use super::reach::NoBroker;
use crate::model::Millis;
use crate::stream::PATIENCE;

/// Why a record was not written, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("the Kafka client refuses its settings: {0}")]
    Client(String),
    #[error("topic `{0}` does not exist")]
    Missing(String),
    #[error("the broker refused the record: {0}")]
    Refused(String),
    #[error("the right WRITE is denied for topic `{0}`")]
    Denied(String),
    #[error(transparent)]
    NoBroker(#[from] NoBroker),
    #[error(
        "no broker acknowledged the record within {} s: it may be written anyway{}",
        PATIENCE.as_secs(),
        .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    )]
    Unknown(Option<String>),
}

/// Passes on the record's delivery report.
struct Deliveries(std::sync::mpsc::SyncSender<Result<i64, KafkaError>>, Heard);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(&self.1, level, facility, text);
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let delivery = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // After `PATIENCE` the receiver is gone.
        let _ = self.0.try_send(delivery);
    }
}

/// A record as a producer of the input or of commands writes it, in plaintext.
#[derive(Clone, Copy, Default)]
pub struct Record<'a> {
    pub key: Option<&'a [u8]>,
    pub headers: &'a [(String, Vec<u8>)],
    pub value: &'a [u8],
    /// `None` = the time at which it is written.
    pub timestamp: Option<Millis>,
}

/// Writes a record and returns its offset.
///
/// # Errors
/// [`PostError`].
pub fn post(settings: &ClientSettings, topic: &str, record: &Record<'_>) -> Result<i64, PostError> {
    settings.await_broker()?;
    let (tell, delivery) = std::sync::mpsc::sync_channel(1);
    let mut config = settings.base();
    config.set("acks", "all").set("enable.idempotence", "true");
    config.set("message.timeout.ms", PATIENCE.as_millis().to_string());
    let producer: ThreadedProducer<Deliveries> = config
        .create_with_context(Deliveries(tell, settings.reach.heard.clone()))
        .map_err(|error| PostError::Client(error.to_string()))?;
    let producer = Held::new(&settings.login, producer);
    let header = |headers: OwnedHeaders, (key, value): &(String, Vec<u8>)| {
        headers.insert(Header { key, value: Some(value) })
    };
    let headers = record.headers.iter().fold(OwnedHeaders::new(), header);
    let mut sent = BaseRecord::<[u8], [u8]>::to(topic).payload(record.value).headers(headers);
    if let Some(key) = record.key {
        sent = sent.key(key);
    }
    if let Some(time) = record.timestamp {
        sent = sent.timestamp(time.0);
    }
    let judge = |error| judge(settings, topic, &error);
    producer.send(sent).map_err(|(error, _)| judge(error))?;
    let _ = producer.flush(PATIENCE);
    match delivery.recv_timeout(PATIENCE) {
        Ok(delivered) => delivered.map_err(judge),
        Err(_) => Err(PostError::Unknown(settings.last_failure())),
    }
}

fn judge(settings: &ClientSettings, topic: &str, error: &KafkaError) -> PostError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => PostError::Denied(topic.to_owned()),
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            PostError::Missing(topic.to_owned())
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => PostError::Unknown(settings.last_failure()),
        _ if is_outage(error) => PostError::Unknown(settings.last_failure()),
        _ => PostError::Refused(error.to_string()),
    }
}
