//! Measures the latency from a producer's send to a `read_committed` reader, at a steady rate.

use std::path::Path;
use std::time::{Duration, Instant};

use hourseal::stream::Stop;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, PARTITIONS, event, now, send};
use crate::measure::Round;
use crate::seal;

const RATE: u64 = 5_000;
const SECONDS: u64 = 10;
/// The first part does not count: there the worker joins the group and mints keys.
const WARM_UP: u64 = 4;

pub fn measure(broker: &Broker, folder: &Path) {
    let input = broker.name("latency-input");
    broker.create(&input);
    let round = Round::new(broker, &input, "latency");
    let keyring = seal::Keyring::open(folder);
    let stop = Stop::default();
    let lane = round.start(seal::step(&round, &keyring), stop.clone());
    let feeder = {
        let (producer, input) = (broker.producer(), input.clone());
        std::thread::spawn(move || feed(&producer, &input))
    };
    let mut latencies = read(broker, round.output(), RATE * SECONDS);
    feeder.join().expect("a producer that ends");
    stop.request();
    lane.join().expect("a lane that ends");
    latencies.drain(..(latencies.len() as u64 * WARM_UP / SECONDS) as usize);
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!("latency at {RATE} events/s: p50 {} ms, p99 {} ms, max {} ms", at(0.5), at(0.99), at(1.0));
}

/// Sends events. The time of an event is its send time, which becomes the timestamp of the sealed record.
fn feed(producer: &rdkafka::producer::BaseProducer, topic: &str) {
    let since = Instant::now();
    for number in 0..RATE * SECONDS {
        let due = Duration::from_micros(number * 1_000_000 / RATE);
        if let Some(wait) = due.checked_sub(since.elapsed()) {
            std::thread::sleep(wait);
        }
        send(producer, topic, &format!("job-{number}"), &event(number, now(), 1_024), false);
    }
    rdkafka::producer::Producer::flush(producer, Duration::from_secs(30)).expect("a broker that takes them");
}

/// Returns the milliseconds from event time to arrival, in order of arrival.
fn read(broker: &Broker, topic: &str, events: u64) -> Vec<i64> {
    let mut config = broker.config();
    config.set("group.id", broker.name("reader")).set("isolation.level", "read_committed");
    config.set("fetch.wait.max.ms", "10");
    let reader: BaseConsumer = config.create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    reader.assign(&partitions).expect("an assignment");
    let mut latencies = Vec::new();
    let until = Instant::now() + Duration::from_secs(SECONDS + 60);
    while (latencies.len() as u64) < events && Instant::now() < until {
        if let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) {
            latencies.push(now().0 - message.timestamp().to_millis().expect("a timestamp"));
        }
    }
    latencies
}
