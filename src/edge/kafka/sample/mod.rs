//! A producer of sample events, for trials and measurements.

mod generator;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::client::{ClientSettings, log_line};
use super::ffi::Held;
use super::listener::Heard;
use super::reach::NoBroker;
use crate::model::Clock;
use crate::stream::{PATIENCE, Stop};

pub use generator::{Generator, SampleEvent, Shape};

/// While events are produced without a pause: reports each time after so many.
const TELL: u64 = 64;

/// Why samples could not be produced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SampleError {
    #[error("cannot create the kafka client: {0}")]
    Client(String),
    #[error("topic `{0}` does not exist")]
    Missing(String),
    #[error("the right WRITE is denied for topic `{0}`")]
    Denied(String),
    #[error(transparent)]
    NoBroker(#[from] NoBroker),
    #[error("kafka did not accept the samples: {0}")]
    NotTaken(String),
}

/// Topic, rate and number of the events to produce.
#[derive(Clone, Debug)]
pub struct Run {
    pub topic: String,
    /// Events per second; 0 = as fast as possible.
    pub rate: u64,
    /// Number of events; `None` = until the stop.
    pub count: Option<u64>,
}

/// Produces events until `run.count` is reached, `stop` is requested or an error occurs. Reports and
/// returns the number of events that the broker acknowledged.
pub fn produce(
    settings: &ClientSettings,
    run: &Run,
    mut events: Generator,
    clock: &dyn Clock,
    stop: &Stop,
    report: &mut dyn FnMut(u64),
) -> Result<u64, SampleError> {
    match settings.await_broker() {
        Err(NoBroker::Stopped) => return Ok(0),
        reached => reached?,
    }
    let mut config = settings.base();
    config.set("enable.idempotence", "true").set("linger.ms", "5");
    // A missing topic is reported after 5 s. The default waits 30 s for it to appear.
    config.set("topic.metadata.propagation.max.ms", "5000");
    let producer = ThreadedProducer::from_config_and_context(&config, Acknowledgements::new(settings))
        .map_err(|error| SampleError::Client(error.to_string()))?;
    let producer = Held::new(&settings.login, producer);
    let deliveries = producer.context();
    let since = Instant::now();
    let mut sent = 0;
    while run.count.is_none_or(|count| sent < count)
        && !stop.requested()
        && deliveries.refusal.get().is_none()
    {
        if sent < allowed(run.rate, since.elapsed()) {
            send(&producer, &run.topic, &events.next(clock.now()), stop)
                .map_err(|error| not_taken(settings, &run.topic, &error))?;
            sent += 1;
            if sent % TELL == 0 {
                report(deliveries.delivered.load(Ordering::Relaxed));
            }
        } else {
            report(deliveries.delivered.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let flushed = producer.flush(PATIENCE);
    match deliveries.refusal.get() {
        Some(error) => Err(not_taken(settings, &run.topic, error)),
        None => flushed
            .map(|()| deliveries.delivered.load(Ordering::Relaxed))
            .map_err(|error| not_taken(settings, &run.topic, &error)),
    }
}

/// The broker's answers to the events so far. The producer's own thread writes them.
struct Acknowledgements {
    heard: Heard,
    delivered: AtomicU64,
    /// The first error; it ends the run.
    refusal: OnceLock<KafkaError>,
}

impl Acknowledgements {
    fn new(settings: &ClientSettings) -> Self {
        Self { heard: settings.reach.heard.clone(), delivered: AtomicU64::new(0), refusal: OnceLock::new() }
    }
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(&self.heard, level, facility, text);
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.delivered.fetch_add(1, Ordering::Relaxed)),
            Err((error, _)) => drop(self.refusal.set(error.clone())),
        }
    }
}

/// Number of events that the rate allows after `elapsed`.
fn allowed(rate: u64, elapsed: Duration) -> u64 {
    if rate == 0 { u64::MAX } else { (elapsed.as_secs_f64() * rate as f64) as u64 + 1 }
}

/// Queues one event; waits while the queue is full, but not after the stop.
fn send(
    producer: &ThreadedProducer<Acknowledgements>,
    topic: &str,
    event: &SampleEvent,
    stop: &Stop,
) -> Result<(), KafkaError> {
    let headers = OwnedHeaders::new()
        .insert(Header { key: "traceparent", value: Some(&event.traceparent) })
        .insert(Header { key: "content-type", value: Some("application/json") });
    let mut record = BaseRecord::to(topic).key(&event.key).payload(&event.value).headers(headers);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                if stop.requested() {
                    return Ok(());
                }
                record = back;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(error),
        }
    }
}

fn not_taken(settings: &ClientSettings, topic: &str, error: &KafkaError) -> SampleError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            SampleError::Missing(topic.to_owned())
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => SampleError::Denied(topic.to_owned()),
        _ => SampleError::NotTaken(settings.why(error)),
    }
}
