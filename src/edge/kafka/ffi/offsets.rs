//! Asks the leaders for the first or the last offsets of many partitions at once. rdkafka's own call asks for
//! one partition at a time.

use std::collections::HashMap;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::request::{Answer, OK, Options, ask};

/// The end of a partition's log that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::edge::kafka) enum OffsetSpec {
    /// The log start: the first offset that the broker still has.
    Earliest,
    /// The last stable offset: the end of the log for a consumer that reads committed records only.
    Latest,
}

impl OffsetSpec {
    /// librdkafka uses the same numbers as for the ends of an assignment.
    fn offset(self) -> Offset {
        match self {
            Self::Earliest => Offset::Beginning,
            Self::Latest => Offset::End,
        }
    }
}

/// Lists an offset for each partition, with one request to each leader. Each partition has its own outcome,
/// in the order asked. It waits at most for `wait` and half a second. It may be called in a rebalance
/// callback.
///
/// Leaders come from librdkafka's cache, and are asked for only if the topic is not in it. A leader that is
/// down costs half of `wait`; the other partitions still have their offsets. A leader that holds back an
/// answer to this consumer's fetch answers after that, up to `fetch.wait.max.ms` later.
///
/// # Errors
/// The request failed as a whole: [`RDKafkaErrorCode::OperationTimedOut`] if no broker answered in time,
/// [`RDKafkaErrorCode::InvalidArgument`] for a partition that is negative or is asked twice, and for a name
/// that is empty or has a NUL.
/// For one partition: [`RDKafkaErrorCode::LeaderNotAvailable`] if it has no leader,
/// [`RDKafkaErrorCode::UnknownPartition`] if the topic does not have it,
/// [`RDKafkaErrorCode::OperationTimedOut`] if its leader did not answer, or the leader's own code.
/// [`RDKafkaErrorCode::NoEnt`] for each of them if not one has a leader, for example because the topic does
/// not exist.
pub(in crate::edge::kafka) fn list_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    spec: OffsetSpec,
    wait: Duration,
) -> Result<Vec<Result<i64, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let wanted = wanted(topic, partitions, spec)?;
    // librdkafka waits so long for the leaders' names, and then so long for their answers.
    let each = wait / 2;
    let options = Options::new(consumer, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, each)?;
    options.read_committed()?;
    // SAFETY: the list is alive until the call returns, and librdkafka copies it.
    let answer = unsafe {
        ask(consumer, &options, wait, |client, options, queue| {
            rd::rd_kafka_ListOffsets(client, wanted.ptr(), options, queue);
        })
    };
    match answer {
        Ok(answer) => {
            let listed = listed(&answer);
            let outcome = |partition| listed.get(partition).copied().unwrap_or(Err(NO_ANSWER));
            Ok(partitions.iter().map(outcome).collect())
        }
        Err(RDKafkaErrorCode::NoEnt) => Ok(vec![Err(RDKafkaErrorCode::NoEnt); partitions.len()]),
        Err(code) => Err(code),
    }
}

const NO_ANSWER: RDKafkaErrorCode = RDKafkaErrorCode::OperationTimedOut;

fn wanted(topic: &str, partitions: &[i32], spec: OffsetSpec) -> Result<TopicPartitionList, RDKafkaErrorCode> {
    // rdkafka panics on such a name.
    if topic.contains('\0') {
        return Err(RDKafkaErrorCode::InvalidArgument);
    }
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let added = wanted.add_partition(topic, *partition).set_offset(spec.offset());
        added.map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    }
    Ok(wanted)
}

/// The outcomes of an answer, by partition.
fn listed(answer: &Answer) -> HashMap<i32, Result<i64, RDKafkaErrorCode>> {
    let mut listed = HashMap::new();
    // SAFETY: the event is alive. Its result is null for another kind of event. The array has `count`
    // entries, none of which is null, and lives as long as the event, as does the partition of each entry.
    unsafe {
        let result = rd::rd_kafka_event_ListOffsets_result(answer.as_ptr());
        if result.is_null() {
            return listed;
        }
        let mut count = 0;
        let infos = rd::rd_kafka_ListOffsets_result_infos(result, &mut count);
        for at in 0..count {
            let entry = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(at));
            // A number that is not in the enumeration must not be read as one: it comes from the broker.
            let code = ptr::addr_of!((*entry).err).cast::<i32>().read();
            listed.insert((*entry).partition, outcome(code, (*entry).offset));
        }
    }
    listed
}

/// If a leader does not answer, librdkafka reports its partitions without an error, with an invalid offset.
fn outcome(code: i32, offset: i64) -> Result<i64, RDKafkaErrorCode> {
    match RDKafkaRespErr::try_from(code) {
        Ok(OK) if offset >= 0 => Ok(offset),
        Ok(OK) => Err(NO_ANSWER),
        Ok(code) => Err(code.into()),
        Err(_) => Err(RDKafkaErrorCode::Unknown),
    }
}
