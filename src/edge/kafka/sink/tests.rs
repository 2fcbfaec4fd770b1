//! Faults of brokers that a producer meets, on librdkafka's mock cluster.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::edge::kafka::client::{ClientSettings, Properties};
use crate::model::Millis;
use crate::stream::TopicIndex;

const GROUP: &str = "lanes";
const INPUT: &str = "input";
const OFFSET: NextOffset = NextOffset { partition: 0, offset: 1 };

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = Cluster::new(1).expect("a broker in this process");
    cluster.create_topic(INPUT, 1, 1).expect("a topic");
    cluster
}

fn settings(cluster: &Cluster) -> ClientSettings {
    let times = [("transaction.timeout.ms", "2000"), ("socket.timeout.ms", "1000")];
    let producer = Properties::from(times.map(|(key, value)| (key.to_owned(), value.to_owned())));
    ClientSettings { bootstrap: cluster.bootstrap_servers(), producer, ..ClientSettings::default() }
}

fn identity(settings: &ClientSettings) -> LaneIdentity {
    LaneIdentity {
        settings: settings.clone(),
        group: GROUP.to_owned(),
        instance: "worker".to_owned(),
        lane: "0".to_owned(),
        input: INPUT.to_owned(),
        outputs: Vec::new(),
        max_message_bytes: vec![MaxMessageBytes::new(1 << 20)],
        placements: vec![Placement::new(4)],
        commit_metadata: String::new(),
        mirrors: Vec::new(),
    }
}

/// Joins the group, and leaves it.
fn membership(settings: &ClientSettings) -> GroupMembership {
    let consumer: BaseConsumer = settings.consumer(GROUP).create().expect("a consumer");
    consumer.subscribe(&[INPUT]).expect("the group is set");
    loop {
        drop(consumer.poll(Duration::from_millis(100)));
        if let Some(membership) = GroupMembership::of(&consumer) {
            return membership;
        }
    }
}

/// Makes librdkafka use up its questions for the coordinator.
fn coordinator_is_unknown(cluster: &Cluster) {
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[unknown; 3]);
}

fn until_dropped<T>(seen: &Weak<T>) {
    while seen.upgrade().is_some() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn offsets_that_librdkafka_never_answers_are_given_up_with_their_producer() {
    let cluster = cluster();
    let settings = settings(&cluster);
    let member = membership(&settings);
    let connect = || KafkaSink::connect(&identity(&settings), Outages::default(), &Stop::default());

    let mut sink = connect().expect("a producer");
    sink.begin().expect("a transaction");
    coordinator_is_unknown(&cluster);
    let error = sink.send_offsets(&[OFFSET], &member).expect_err("no coordinator");
    assert_eq!((error.stage, error.class), (Stage::Offsets, ErrorClass::Stuck), "{error}");
    assert!(sink.tainted());

    let seen = Arc::downgrade(&sink.producer);
    drop(sink);
    assert!(seen.upgrade().is_some(), "the call still holds its producer");
    let mut next = connect().expect("the next producer");
    next.begin().expect("a transaction");
    next.send_offsets(&[OFFSET], &member).expect("the coordinator is known again");
    next.commit().expect("a commit");
    assert!(!next.tainted());

    cluster.broker_down(1).expect("the broker closes its connections");
    cluster.broker_up(1).expect("the broker listens again");
    until_dropped(&seen);
}

#[test]
fn an_abort_doubts_the_limits_and_changes_outdate_the_sink() {
    let cluster = cluster();
    let identity = identity(&settings(&cluster));
    let connect = || KafkaSink::connect(&identity, Outages::default(), &Stop::default());
    let size = &identity.max_message_bytes[0];

    let mut sink = connect().expect("a producer");
    sink.begin().expect("a transaction");
    assert!(!size.take_doubt());
    sink.abort().expect("an abort");
    assert!(size.take_doubt());
    assert_eq!(sink.outdated(), None);
    size.set(20_000);
    let why = sink.outdated().expect("the batches are too large now");
    assert!(why.contains("20000"), "{why}");
    drop(sink);
    let next = connect().expect("the next producer");
    assert_eq!(next.outdated(), None);
    identity.placements[0].set(5);
    let why = next.outdated().expect("it may not know the fifth partition");
    assert!(why.contains("[4]") && why.contains("[5]"), "{why}");
    drop(next);
    assert_eq!(connect().expect("the next producer").outdated(), None);
}

#[test]
fn a_record_that_is_refused_while_others_are_sent_is_named() {
    let cluster = cluster();
    let settings = settings(&cluster);
    let member = membership(&settings);
    let identity = LaneIdentity { outputs: vec![INPUT.to_owned()], ..identity(&settings) };
    let mut sink = KafkaSink::connect(&identity, Outages::default(), &Stop::default()).expect("a producer");
    let record = Outgoing {
        topic: TopicIndex(0),
        partition: Some(0),
        timestamp: Millis(1),
        key: None,
        value: Some(b"x"),
        headers: &[],
    };

    sink.begin().expect("a transaction");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP]);
    sink.send(&record).expect("it is queued");
    while sink.producer.context().refused().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    sink.send(&record).expect("the transaction cannot be committed any more, which the offsets report");
    let error = sink.send_offsets(&[OFFSET], &member).expect_err("it must be aborted");
    assert_eq!((error.stage, error.class), (Stage::Offsets, ErrorClass::RecordRefused), "{error}");
    sink.abort().expect("an abort");
    assert_eq!(sink.refused(), [0]);
}
