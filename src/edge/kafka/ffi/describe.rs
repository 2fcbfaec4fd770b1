//! Asks a broker for the ids of topics and for the leaders of their partitions, which rdkafka's metadata
//! call does not return.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataBroker;
use rdkafka::types::RDKafkaErrorCode;

use super::request::{Answer, Options, ask};
use crate::model::TopicId;

/// A topic as a broker describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::edge::kafka) struct TopicDescription {
    /// `None` if the broker is older than Kafka 2.8: its topics have no ids.
    pub(in crate::edge::kafka) id: Option<TopicId>,
    /// In ascending order.
    pub(in crate::edge::kafka) partitions: Vec<PartitionDescription>,
}

/// A partition as a broker describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::edge::kafka) struct PartitionDescription {
    pub(in crate::edge::kafka) partition: i32,
    pub(in crate::edge::kafka) has_leader: bool,
}

/// Describes topics, as one broker that is up knows them. It creates no topic. Each topic has its own
/// outcome, in the order asked. It waits at most for `wait` and half a second. It may be called in a
/// rebalance callback.
///
/// The answer also refreshes librdkafka's own knowledge of the topics, such as their leaders.
///
/// # Errors
/// The request failed as a whole: [`RDKafkaErrorCode::OperationTimedOut`] or
/// [`RDKafkaErrorCode::BrokerTransportFailure`] if no broker answered in time,
/// [`RDKafkaErrorCode::InvalidArgument`] for a name that is empty, too long, asked twice or has a NUL.
/// For one topic: the broker's code, such as [`RDKafkaErrorCode::UnknownTopicOrPartition`] or
/// [`RDKafkaErrorCode::TopicAuthorizationFailed`]. [`RDKafkaErrorCode::UnknownTopic`] if the answer lacks it.
pub(in crate::edge::kafka) fn describe_topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
    wait: Duration,
) -> Result<Vec<Result<TopicDescription, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let names = Names::new(topics)?;
    let Some(first) = topics.first() else { return Ok(Vec::new()) };
    let begun = Instant::now();
    let broker = broker_that_is_up(consumer, first, wait)?;
    let left = wait.saturating_sub(begun.elapsed());
    let options = Options::new(consumer, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, left)?;
    options.to_broker(broker)?;
    // SAFETY: `names` is alive until the call returns, and librdkafka copies it.
    let answer = unsafe {
        ask(consumer, &options, left, |client, options, queue| {
            rd::rd_kafka_DescribeTopics(client, names.0.as_ptr(), options, queue);
        })
    }?;
    let mut described = described(&answer);
    let outcome = |name: &&str| described.remove(*name).unwrap_or(Err(RDKafkaErrorCode::UnknownTopic));
    Ok(topics.iter().map(outcome).collect())
}

/// Returns the id of a broker that has just answered.
fn broker_that_is_up<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    wait: Duration,
) -> Result<i32, RDKafkaErrorCode> {
    let failed = |error: KafkaError| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
    let metadata = consumer.fetch_metadata(Some(topic), wait).map_err(failed)?;
    // The connection to a bootstrap address has no id before its first answer.
    let answered = Some(metadata.orig_broker_id()).filter(|id| *id >= 0);
    let known = || metadata.brokers().first().map(MetadataBroker::id);
    answered.or_else(known).ok_or(RDKafkaErrorCode::BrokerNotAvailable)
}

/// Longest name of a topic, in bytes. A longer one makes rdkafka panic, as does an empty one.
const LONGEST_NAME: usize = 249;

/// Names of topics, in librdkafka's own memory.
struct Names(NonNull<rd::rd_kafka_TopicCollection_t>);

impl Names {
    fn new(topics: &[&str]) -> Result<Self, RDKafkaErrorCode> {
        if topics.iter().any(|name| name.is_empty() || name.len() > LONGEST_NAME) {
            return Err(RDKafkaErrorCode::InvalidArgument);
        }
        let invalid = |_| RDKafkaErrorCode::InvalidArgument;
        let names: Vec<CString> =
            topics.iter().map(|name| CString::new(*name).map_err(invalid)).collect::<Result<_, _>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the array has the given length. Its texts are NUL-terminated and alive until the call
        // returns; librdkafka copies them. The returned collection is ours until `drop` destroys it, once.
        let names =
            unsafe { rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
        NonNull::new(names).map(Self).ok_or(RDKafkaErrorCode::InvalidArgument)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // SAFETY: the collection came from librdkafka and is destroyed once.
        unsafe { rd::rd_kafka_TopicCollection_destroy(self.0.as_ptr()) };
    }
}

/// The topics of an answer, by name.
fn described(answer: &Answer) -> HashMap<String, Result<TopicDescription, RDKafkaErrorCode>> {
    let mut described = HashMap::new();
    // SAFETY: the event is alive. Its result is null for another kind of event. The array of topics has
    // `count` entries and lives as long as the event.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(answer.as_ptr());
        if result.is_null() {
            return described;
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for at in 0..count {
            // An entry is null if the broker did not answer for that topic.
            if let Some(topic) = NonNull::new((*topics.add(at)).cast_mut()) {
                let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic.as_ptr()));
                described.insert(name.to_string_lossy().into_owned(), description(topic.as_ptr()));
            }
        }
    }
    described
}

/// # Safety
/// `topic` is alive.
unsafe fn description(
    topic: *const rd::rd_kafka_TopicDescription_t,
) -> Result<TopicDescription, RDKafkaErrorCode> {
    // SAFETY: the topic is alive. Its error is null or lives as long.
    let code = unsafe {
        let error = rd::rd_kafka_TopicDescription_error(topic);
        (!error.is_null()).then(|| rd::rd_kafka_error_code(error))
    };
    match code {
        Some(code) => Err(code.into()),
        // SAFETY: the topic is alive.
        None => Ok(unsafe { TopicDescription { id: id_of(topic), partitions: partitions_of(topic) } }),
    }
}

/// # Safety
/// `topic` is alive.
unsafe fn id_of(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<TopicId> {
    // SAFETY: the topic is alive, and its id is a part of it.
    let (most, least) = unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id))
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&most.to_be_bytes());
    bytes[8..].copy_from_slice(&least.to_be_bytes());
    // Kafka gives this id to no topic.
    (bytes != [0; 16]).then_some(TopicId(bytes))
}

/// # Safety
/// `topic` is alive.
unsafe fn partitions_of(topic: *const rd::rd_kafka_TopicDescription_t) -> Vec<PartitionDescription> {
    let mut count = 0;
    // SAFETY: the topic is alive. The array has `count` entries, none of which is null, and lives as long.
    let mut partitions: Vec<_> = unsafe {
        let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let description = |at| {
            let partition = *partitions.add(at);
            let leader = rd::rd_kafka_TopicPartitionInfo_leader(partition);
            PartitionDescription {
                partition: rd::rd_kafka_TopicPartitionInfo_partition(partition),
                has_leader: !leader.is_null() && rd::rd_kafka_Node_id(leader) >= 0,
            }
        };
        (0..count).map(description).collect()
    };
    partitions.sort_by_key(|it| it.partition);
    partitions
}
