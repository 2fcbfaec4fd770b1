//! The requests of `describe.rs`, `group.rs` and `offsets.rs`, on librdkafka's mock cluster.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{ClientConfig, bindings as rd};

use super::describe::{PartitionDescription, TopicDescription, describe_topics};
use super::group::group_members;
use super::offsets::{OffsetSpec, list_offsets};

const WAIT: Duration = Duration::from_secs(20);
/// For requests that are not answered.
const SHORT: Duration = Duration::from_secs(2);

/// Three brokers with the topic `jobs`. Partition `p` is on broker `p + 1` and has `10 * p` records.
struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    fn start() -> Self {
        let cluster = Self(MockCluster::new(3).expect("a cluster"));
        cluster.0.create_topic("jobs", 3, 1).expect("a topic");
        for partition in 0..3 {
            cluster.lead(partition, Some(partition + 1));
        }
        let producer: BaseProducer = cluster.config().create().expect("a producer");
        for partition in [1, 2, 2] {
            for _ in 0..10 {
                let record = BaseRecord::<(), str>::to("jobs").partition(partition).payload("x");
                producer.send(record).expect("room in the queue");
            }
        }
        producer.flush(WAIT).expect("the broker has them");
        cluster
    }

    fn lead(&self, partition: i32, broker: Option<i32>) {
        self.0.partition_leader("jobs", partition, broker).expect("the partition exists");
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers()).set("group.id", "test");
        config
    }

    fn consumer(&self) -> BaseConsumer<DefaultConsumerContext> {
        self.config().create().expect("a consumer")
    }
}

fn leaders(topic: &TopicDescription) -> Vec<(i32, bool)> {
    topic
        .partitions
        .iter()
        .map(|PartitionDescription { partition, has_leader }| (*partition, *has_leader))
        .collect()
}

#[test]
fn each_topic_is_described_with_its_id_and_its_leaders_or_its_error() {
    let cluster = Cluster::start();
    cluster.0.create_topic("other", 1, 1).expect("a topic");
    cluster.0.create_topic("secret", 1, 1).expect("a topic");
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.0.topic_error("secret", denied).expect("the topic exists");
    cluster.lead(1, None);
    let consumer = cluster.consumer();
    let names = ["secret", "jobs", "no-such-topic", "other"];
    let described = describe_topics(&consumer, &names, WAIT).expect("it answers");
    let [secret, jobs, missing, other] = &described[..] else { panic!("{described:?}") };
    assert_eq!(secret, &Err(Code::TopicAuthorizationFailed));
    assert_eq!(missing, &Err(Code::UnknownTopicOrPartition));
    let (jobs, other) = (jobs.as_ref().expect("it exists"), other.as_ref().expect("it exists"));
    assert_eq!(leaders(jobs), [(0, true), (1, false), (2, true)]);
    assert_eq!(leaders(other), [(0, true)]);
    assert!(jobs.id.is_some() && other.id.is_some() && jobs.id != other.id, "{jobs:?} {other:?}");
    let again = describe_topics(&consumer, &["jobs"], WAIT).expect("it answers");
    assert_eq!(again, [Ok(jobs.clone())]);
}

#[test]
fn names_that_are_no_topics_are_refused_as_a_whole() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    let long = "j".repeat(250);
    for names in [&["jobs", ""][..], &["jobs", "jobs"], &["jo\0bs"], &[&long]] {
        assert_eq!(describe_topics(&consumer, names, WAIT), Err(Code::InvalidArgument), "{names:?}");
    }
    assert_eq!(describe_topics(&consumer, &[], WAIT), Ok(Vec::new()));
    for (topic, partitions) in [("", &[0][..]), ("jobs", &[1, 1]), ("jobs", &[-1]), ("jo\0bs", &[0])] {
        let listed = list_offsets(&consumer, topic, partitions, OffsetSpec::Latest, WAIT);
        assert_eq!(listed, Err(Code::InvalidArgument), "{topic:?} {partitions:?}");
    }
    assert_eq!(list_offsets(&consumer, "jobs", &[], OffsetSpec::Latest, WAIT), Ok(Vec::new()));
}

#[test]
fn both_ends_of_all_partitions_are_listed_in_the_order_asked() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    let listed = list_offsets(&consumer, "jobs", &[2, 0, 1], OffsetSpec::Latest, WAIT);
    assert_eq!(listed, Ok(vec![Ok(20), Ok(0), Ok(10)]));
    let listed = list_offsets(&consumer, "jobs", &[2, 0, 1], OffsetSpec::Earliest, WAIT);
    assert_eq!(listed, Ok(vec![Ok(0), Ok(0), Ok(0)]));
}

#[test]
fn a_partition_without_leader_costs_the_others_nothing() {
    let cluster = Cluster::start();
    cluster.lead(1, None);
    let listed = list_offsets(&cluster.consumer(), "jobs", &[0, 1, 2, 7], OffsetSpec::Latest, WAIT);
    let wanted = vec![Ok(0), Err(Code::LeaderNotAvailable), Ok(20), Err(Code::UnknownPartition)];
    assert_eq!(listed, Ok(wanted));
}

#[test]
fn without_any_leader_no_partition_has_an_offset() {
    let cluster = Cluster::start();
    (0..3).for_each(|partition| cluster.lead(partition, None));
    let consumer = cluster.consumer();
    let listed = list_offsets(&consumer, "jobs", &[0, 1], OffsetSpec::Latest, WAIT);
    assert_eq!(listed, Ok(vec![Err(Code::NoEnt), Err(Code::NoEnt)]));
    // The cache remembers it until the topic is described.
    cluster.lead(0, Some(1));
    describe_topics(&consumer, &["jobs"], WAIT).expect("it answers")[0].as_ref().expect("it exists");
    let listed = list_offsets(&consumer, "jobs", &[0, 1], OffsetSpec::Latest, WAIT);
    assert_eq!(listed, Ok(vec![Ok(0), Err(Code::LeaderNotAvailable)]));
}

#[test]
fn a_leader_that_does_not_answer_costs_the_other_partitions_no_offset() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    let all = list_offsets(&consumer, "jobs", &[0, 1, 2], OffsetSpec::Latest, WAIT);
    assert_eq!(all, Ok(vec![Ok(0), Ok(10), Ok(20)]));
    cluster.0.broker_down(2).expect("the broker exists");
    let listed = list_offsets(&consumer, "jobs", &[0, 1, 2], OffsetSpec::Latest, SHORT);
    assert_eq!(listed, Ok(vec![Ok(0), Err(Code::OperationTimedOut), Ok(20)]));
}

#[test]
fn without_a_broker_both_requests_time_out() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    (1..=3).for_each(|broker| cluster.0.broker_down(broker).expect("the broker exists"));
    let described = describe_topics(&consumer, &["jobs"], SHORT);
    let timed_out = [Err(Code::OperationTimedOut), Err(Code::BrokerTransportFailure)].contains(&described);
    assert!(timed_out, "{described:?}");
    let listed = list_offsets(&consumer, "jobs", &[0], OffsetSpec::Latest, SHORT);
    assert_eq!(listed, Err(Code::OperationTimedOut));
}

/// The members themselves are in `cluster/start/test_strangers`.
#[test]
fn brokers_that_are_down_are_an_error_and_no_empty_group() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    for group in ["", "te\0st"] {
        assert_eq!(group_members(&consumer, group, WAIT), Err(Code::InvalidArgument), "{group:?}");
    }
    (1..=3).for_each(|broker| cluster.0.broker_down(broker).expect("the broker exists"));
    assert!(group_members(&consumer, "test", SHORT).is_err());
}

/// At a rebalance, librdkafka pauses the partitions on a thread of its own. It notes the position after the
/// last record that the caller has taken. If the caller is just taking the next one, that record is delivered
/// again after the pause. This is why `stream::Member` takes no record twice. Here, the pause comes between
/// the two calls with which a record is taken.
#[test]
fn a_pause_while_a_record_is_taken_delivers_that_record_again() {
    let cluster = Cluster::start();
    let consumer = cluster.consumer();
    let mut jobs = TopicPartitionList::new();
    jobs.add_partition_offset("jobs", 2, Offset::Offset(0)).expect("an offset");
    consumer.assign(&jobs).expect("it is assigned");
    let next = || consumer.poll(WAIT).expect("a record").expect("no error").offset();
    assert_eq!((0..5).map(|_| next()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    // SAFETY: the client and its queue are alive. The event is destroyed once, after the use of its message.
    let taken = unsafe {
        let queue = rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        let event = rd::rd_kafka_queue_poll(queue, 20_000);
        assert_eq!(rd::rd_kafka_event_type(event), rd::RD_KAFKA_EVENT_FETCH);
        consumer.pause(&jobs).expect("it is paused");
        let taken = (*rd::rd_kafka_event_message_next(event)).offset;
        rd::rd_kafka_event_destroy(event);
        rd::rd_kafka_queue_destroy(queue);
        taken
    };
    consumer.resume(&jobs).expect("it flows again");
    assert_eq!((taken, next(), next()), (5, 5, 6));
}
