//! A lane's consumer: a static member of the group. The lane polls it on its own thread.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;

use super::client::{is_outage, log_line, stream_error};
use super::connector::LaneIdentity;
use super::ffi::{self, GroupMembership, MessageHeaders};
use super::outage::Outages;
use crate::model::Millis;
use crate::stream::{
    Change, Committed, ErrorClass, Fault, Halt, Input, NextOffset, Source, Stage, Start, StartLog,
    StreamError, Take, start_at,
};
use crate::telemetry::{codes, debug};

/// Longest wait for the group coordinator or a partition's leader; well below `max.poll.interval.ms`.
const ANSWER: Duration = Duration::from_secs(15);

/// State shared by the rebalance callback and the lane. The callback runs inside `poll`, on the lane's
/// thread.
struct GroupContext {
    identity: LaneIdentity,
    starts: Arc<dyn StartLog>,
    held: AtomicBool,
    /// The consumer is being closed. Closing it runs the callback once more, which then asks neither the
    /// broker nor the key store.
    closing: AtomicBool,
    news: Mutex<News>,
    outages: Outages,
}

#[derive(Default)]
struct News {
    changes: Vec<Change>,
    fault: Option<Fault>,
    complaint: Option<String>,
}

impl GroupContext {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let starts = match self.closing.load(Ordering::Acquire) {
            true => Err(rejoin("the consumer is being closed")),
            false => self.starts(consumer, list),
        };
        if let Ok(starts) = &starts {
            for (partition, start) in starts {
                // This fails only for a partition that is not in the list.
                let _ = list.set_partition_offset(
                    &self.identity.input,
                    *partition,
                    Offset::Offset(start.offset()),
                );
            }
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
        };
        // A partition that was paused when it was revoked is still paused when it is assigned again.
        let _ = match self.held.load(Ordering::Acquire) || starts.is_err() {
            true => consumer.pause(list),
            false => consumer.resume(list),
        };
        let mut news = self.news();
        match starts.and_then(|starts| assigned.map(|()| starts).map_err(group_fault)) {
            Ok(starts) => news.changes.push(Change::Assigned(starts)),
            Err(fault) => news.fault = Some(fault),
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let outcome = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        };
        let partitions: Vec<i32> = list.elements().iter().map(TopicPartitionListElem::partition).collect();
        let mut news = self.news();
        news.changes.push(Change::Revoked(partitions));
        if let Err(error) = outcome {
            news.fault = Some(group_fault(error));
        }
    }

    /// Decides the start offset of each partition of the list.
    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<Vec<(i32, Start)>, Fault> {
        let identity = &self.identity;
        let committed = committed(consumer, list).map_err(group_fault)?;
        let mut starts = Vec::with_capacity(list.count());
        for element in list.elements() {
            let partition = element.partition();
            let log = consumer.fetch_watermarks(&identity.input, partition, ANSWER).map_err(group_fault)?;
            let committed = committed.get(&partition);
            let before = committed.is_some() || self.started(partition)?;
            let start =
                start_at(partition, committed, log, before, &identity.commit_metadata, identity.accept_gap)?;
            starts.push((partition, start));
        }
        Ok(starts)
    }

    fn started(&self, partition: i32) -> Result<bool, Fault> {
        let unknown = |_| StreamError {
            stage: Stage::Group,
            class: ErrorClass::Retriable,
            name: "the key store did not answer whether the partition was started".to_owned(),
        };
        Ok(self.starts.started(partition).map_err(unknown)?)
    }
}

/// Explains why the broker does not let a lane join its group. librdkafka tries again until a person changes
/// the named setting or right.
fn complaint(code: RDKafkaErrorCode, identity: &LaneIdentity) -> Option<String> {
    let group = &identity.group;
    Some(match code {
        RDKafkaErrorCode::InconsistentGroupProtocol => format!(
            "the broker does not let this lane join group `{group}`: a member has another \
             `partition.assignment.strategy` than cooperative-sticky, or another `group.protocol`"
        ),
        RDKafkaErrorCode::InvalidSessionTimeout => format!(
            "the broker does not let this lane join group `{group}`: `session.timeout.ms` {} is outside its \
             `group.min.session.timeout.ms` and `group.max.session.timeout.ms`",
            identity.consumer_config().get("session.timeout.ms").unwrap_or("(default)")
        ),
        RDKafkaErrorCode::GroupMaxSizeReached => {
            format!("group `{group}` is full: the broker's `group.max.size` is reached")
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => format!("the right READ is denied for group `{group}`"),
        _ => return None,
    })
}

/// A fault that requires a new consumer, with its reason.
fn rejoin(name: &str) -> Fault {
    StreamError { stage: Stage::Group, class: ErrorClass::Fatal, name: name.to_owned() }.into()
}

fn group_fault(error: KafkaError) -> Fault {
    stream_error(Stage::Group, &error).into()
}

fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<HashMap<i32, Committed>> {
    let answer = consumer.committed_offsets(list.clone(), ANSWER)?;
    let mut committed = HashMap::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            let metadata = element.metadata().to_owned();
            committed.insert(element.partition(), Committed { offset, metadata });
        }
    }
    Ok(committed)
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.outages.logged(facility);
        log_line(level, facility, text);
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            _ => self.revoked(consumer, list),
        }
    }
}

/// A member of the consumer group.
pub struct KafkaSource {
    consumer: BaseConsumer<GroupContext>,
    topic: CString,
}

impl KafkaSource {
    pub(super) fn join(
        identity: &LaneIdentity,
        starts: Arc<dyn StartLog>,
        outages: Outages,
    ) -> Result<Self, Halt> {
        let setup = |error: KafkaError| Halt::Setup(error.to_string());
        let context = GroupContext {
            identity: identity.clone(),
            starts,
            held: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            news: Mutex::default(),
            outages,
        };
        let consumer = BaseConsumer::from_config_and_context(&identity.consumer_config(), context);
        let consumer = consumer.map_err(setup)?;
        consumer.subscribe(&[&identity.input]).map_err(setup)?;
        let topic = CString::new(identity.input.as_str())
            .map_err(|_| Halt::Setup("a topic name contains a NUL byte".to_owned()))?;
        Ok(Self { consumer, topic })
    }

    fn context(&self) -> &GroupContext {
        self.consumer.context()
    }

    /// Decides whether an error event is a fault for the lane. librdkafka itself recovers from most
    /// errors.
    fn judge(&self, error: &KafkaError) -> Result<(), Fault> {
        if is_outage(error) {
            self.context().outages.seen(Instant::now());
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::FencedInstanceId) => Err(stream_error(Stage::Group, error).into()),
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                // The offset is no longer in the log. Joining again finds and reports the gap.
                Err(rejoin("OFFSET_OUT_OF_RANGE"))
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(stream_error(Stage::Group, error).into())
            }
            code => {
                debug!(codes::KAFKA_CONSUMER, "consumer: {error}");
                if let Some(why) = code.and_then(|code| complaint(code, &self.context().identity)) {
                    self.context().news().complaint = Some(why);
                }
                Ok(())
            }
        }
    }

    /// Whether the callback left changes that the lane must handle before the next record. If it left a
    /// fault, returns that.
    fn has_news(&self) -> Result<bool, Fault> {
        let mut news = self.context().news();
        match news.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(!news.changes.is_empty()),
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.context().closing.store(true, Ordering::Release);
    }
}

impl Source for KafkaSource {
    type Membership = GroupMembership;

    fn poll(&mut self, wait: Duration, take: &mut dyn FnMut(Input<'_>) -> Take) -> Result<(), Fault> {
        let until = Instant::now() + wait;
        let mut patience = wait;
        loop {
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    let headers = MessageHeaders::of(&message);
                    let input = Input {
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp: message.timestamp().to_millis().filter(|ms| *ms >= 0).map(Millis),
                        key: message.key(),
                        value: message.payload(),
                        headers: &headers,
                    };
                    if take(input) == Take::Enough {
                        return Ok(());
                    }
                    patience = Duration::ZERO;
                }
                Some(Err(error)) => self.judge(&error)?,
                None if patience.is_zero() => {
                    self.has_news()?;
                    return Ok(());
                }
                None => {
                    if self.has_news()? {
                        return Ok(());
                    }
                    patience = until.saturating_duration_since(Instant::now());
                }
            }
        }
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.context().news().changes)
    }

    fn complaint(&mut self) -> Option<String> {
        self.context().news().complaint.take()
    }

    fn hold(&mut self, held: bool) -> Result<(), StreamError> {
        self.context().held.store(held, Ordering::Release);
        let failed = |error: KafkaError| stream_error(Stage::Group, &error);
        let assignment = self.consumer.assignment().map_err(failed)?;
        match held {
            true => self.consumer.pause(&assignment),
            false => self.consumer.resume(&assignment),
        }
        .map_err(failed)
    }

    fn membership(&mut self) -> Option<GroupMembership> {
        GroupMembership::of(&self.consumer)
    }

    fn committed(&mut self) -> Result<Vec<(i32, Option<i64>)>, StreamError> {
        let failed = |error: KafkaError| stream_error(Stage::Group, &error);
        let list = self.consumer.assignment().map_err(failed)?;
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let committed = committed(&self.consumer, &list).map_err(failed)?;
        let offset = |partition| committed.get(&partition).map(|committed| committed.offset);
        Ok(list.elements().iter().map(|e| (e.partition(), offset(e.partition()))).collect())
    }

    fn seek(&mut self, to: &[NextOffset]) -> Result<(), StreamError> {
        let failed = |error: KafkaError| stream_error(Stage::Group, &error);
        if to.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(to.len());
        for next in to {
            let offset = Offset::Offset(next.offset);
            list.add_partition_offset(&self.context().identity.input, next.partition, offset)
                .map_err(failed)?;
        }
        let outcome = self.consumer.seek_partitions(list, ANSWER).map_err(failed)?;
        outcome.elements().iter().try_for_each(|element| element.error().map_err(failed))
    }

    fn lag(&self, next: NextOffset) -> Option<u64> {
        let end = ffi::cached_end(&self.consumer, &self.topic, next.partition)?;
        u64::try_from(end - next.offset).ok()
    }
}
