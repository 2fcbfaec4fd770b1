//! Topics and records on the broker that the bench is given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hourseal::edge::kafka::ClientSettings;
use hourseal::model::Millis;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

pub const PARTITIONS: i32 = 4;
const CUSTOMERS: u64 = 200;

/// The shape of the records.
pub struct Shape {
    pub events: u64,
    pub size: usize,
    pub headers: bool,
}

pub struct Broker {
    pub settings: ClientSettings,
    run: u64,
}

impl Broker {
    pub fn new(bootstrap: &str) -> Self {
        let settings = ClientSettings { bootstrap: bootstrap.to_owned(), ..ClientSettings::default() };
        let run = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        Self { settings, run }
    }

    /// Returns a name that no other run uses.
    pub fn name(&self, what: &str) -> String {
        format!("bench-{}-{what}", self.run)
    }

    pub fn create(&self, topic: &str) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let topic = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let created = runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new()));
        created.expect("an answer").into_iter().for_each(|result| drop(result.expect("a topic")));
    }

    /// Creates a topic of job events of many parallel jobs, spread over the partitions.
    pub fn fill(&self, shape: &Shape) -> String {
        let topic = self.name("input");
        self.create(&topic);
        let producer = self.producer();
        let now = now();
        for number in 0..shape.events {
            let event = event(number, now, shape.size);
            send(&producer, &topic, &format!("job-{number:08}"), &event, shape.headers);
        }
        producer.flush(Duration::from_secs(60)).expect("a broker that takes them");
        topic
    }

    pub fn producer(&self) -> BaseProducer {
        let mut config = self.config();
        config.set("linger.ms", "20").set("batch.size", "200000");
        config.create().expect("a producer")
    }

    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.bootstrap);
        config
    }
}

pub fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64)
}

/// Returns a job event of `size` bytes. The distribution of customers is skewed: few customers
/// have many events.
pub fn event(number: u64, at: Millis, size: usize) -> String {
    let customer = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % CUSTOMERS;
    let customer = customer * customer / CUSTOMERS;
    let mut event = format!(
        r#"{{"customer_id":"customer-{customer:04}","occurred_at":"{at}","job_id":"job-{number:08}","type":"step.finished","payload":""#
    );
    let room = size.saturating_sub(event.len() + 2);
    event.extend(std::iter::repeat_n('x', room));
    event.push_str("\"}");
    event
}

pub fn send(producer: &BaseProducer, topic: &str, key: &str, event: &str, headers: bool) {
    let mut record = BaseRecord::to(topic).key(key).payload(event);
    if headers {
        let trace = Header {
            key: "traceparent",
            value: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        };
        let kind = Header { key: "content-type", value: Some("application/json") };
        record = record.headers(OwnedHeaders::new().insert(trace).insert(kind));
    }
    loop {
        match producer.send(record) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("the broker does not take the records: {error}"),
        }
    }
    producer.poll(Duration::ZERO);
}
