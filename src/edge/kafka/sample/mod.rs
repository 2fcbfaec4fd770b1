//! A producer of sample events, for trying things out and for measuring.

mod generator;

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::client::ClientSettings;
use crate::model::Clock;
use crate::stream::Stop;

pub use generator::{Generator, SampleEvent, Shape};

/// How long the end of a run waits for the broker's acknowledgements.
const FLUSH: Duration = Duration::from_secs(30);

/// Why samples could not be produced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SampleError {
    #[error("the kafka client cannot be made: {0}")]
    Client(String),
    #[error("kafka did not take the samples: {0}")]
    NotTaken(String),
}

/// How many, how fast, until when.
#[derive(Clone, Debug)]
pub struct Run {
    pub topic: String,
    /// Events per second; 0 = as fast as it goes.
    pub rate: u64,
    /// `None` = until stopped.
    pub count: Option<u64>,
}

/// Produces events until there are enough or `stop` is requested; answers how many the broker has acknowledged.
pub fn produce(
    settings: &ClientSettings,
    run: &Run,
    mut events: Generator,
    clock: &dyn Clock,
    stop: &Stop,
) -> Result<u64, SampleError> {
    let mut config = settings.base();
    config.set("enable.idempotence", "true").set("linger.ms", "5");
    let producer: ThreadedProducer<DefaultProducerContext> =
        config.create().map_err(|error| SampleError::Client(error.to_string()))?;
    let since = Instant::now();
    let mut sent = 0;
    while run.count.is_none_or(|count| sent < count) && !stop.requested() {
        if sent < allowed(run.rate, since.elapsed()) {
            send(&producer, &run.topic, &events.next(clock.now()), stop)?;
            sent += 1;
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(FLUSH).map_err(|error| not_taken(&error))?;
    Ok(sent)
}

/// Events that the rate allows by now.
fn allowed(rate: u64, elapsed: Duration) -> u64 {
    if rate == 0 { u64::MAX } else { (elapsed.as_secs_f64() * rate as f64) as u64 + 1 }
}

/// Queues one event; waits while the queue is full.
fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    event: &SampleEvent,
    stop: &Stop,
) -> Result<(), SampleError> {
    let headers = OwnedHeaders::new()
        .insert(Header { key: "traceparent", value: Some(&event.traceparent) })
        .insert(Header { key: "content-type", value: Some("application/json") });
    let mut record = BaseRecord::to(topic).key(&event.key).payload(&event.value).headers(headers);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if !stop.requested() => {
                record = back;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(not_taken(&error)),
        }
    }
}

fn not_taken(error: &KafkaError) -> SampleError {
    SampleError::NotTaken(
        error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}")),
    )
}
