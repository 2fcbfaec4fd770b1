//! The writer of the checkpoints topic. It writes one record at a time, outside any transaction.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use super::client::{ClientSettings, log_line};
use super::ffi::Held;
use super::listener::Heard;
use crate::forget::log::{Checkpoint, NotPosted, Post};
use crate::stream::PATIENCE;

/// Passes on the outcome of each delivery.
struct Deliveries(Heard);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(&self.0, level, facility, text);
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<SyncSender<Result<(), KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, tell: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // After `PATIENCE` the receiver is gone.
        let _ = tell.send(outcome);
    }
}

/// Publishes checkpoints.
pub struct CheckpointPost {
    producer: Held<ThreadedProducer<Deliveries>>,
    topic: String,
}

impl CheckpointPost {
    /// # Errors
    /// librdkafka refuses a setting. The broker is not contacted yet.
    pub fn connect(settings: &ClientSettings, topic: &str) -> Result<Self, NotPosted> {
        let mut config = settings.producer();
        config.set("delivery.report.only.error", "false").set("message.timeout.ms", "10000");
        let producer =
            ThreadedProducer::from_config_and_context(&config, Deliveries(settings.reach.heard.clone()))
                .map_err(not_posted)?;
        Ok(Self { producer: Held::new(&settings.login, producer), topic: topic.to_owned() })
    }
}

impl Post for CheckpointPost {
    /// librdkafka gives up before [`PATIENCE`].
    fn post(&mut self, checkpoint: &Checkpoint) -> Result<(), NotPosted> {
        let (tell, outcome): (_, Receiver<Result<(), KafkaError>>) = sync_channel(1);
        let text = checkpoint.to_string();
        let record = BaseRecord::with_opaque_to(&self.topic, Box::new(tell));
        let record = record.partition(0).key(checkpoint.origin()).payload(&text);
        self.producer.send(record).map_err(|(error, _)| not_posted(error))?;
        match outcome.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome.map_err(not_posted),
            Err(_) => Err(NotPosted(format!("no answer for {} s", PATIENCE.as_secs()))),
        }
    }
}

fn not_posted(error: KafkaError) -> NotPosted {
    NotPosted(error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}")))
}
