//! A lane's consumer: a static member of the group. The lane polls it on its own thread.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
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
use super::ffi::{self, GroupMembership, Held, MessageHeaders};
use super::inspector::{Flowing, Inspector, committed};
use super::outage::Outages;
use crate::model::Millis;
use crate::stream::{
    Answer, Change, ErrorClass, Fault, ForeignMember, Halt, Input, NextOffset, Source, Stage, StartLog,
    StreamError, Take,
};
use crate::telemetry::{codes, debug};

/// Longest wait for the client's own threads.
const SEEK: Duration = Duration::from_secs(15);

/// State shared by the rebalance callback and the lane. The callback runs inside `poll`, on the lane's
/// thread.
struct GroupContext {
    identity: LaneIdentity,
    /// The partitions that [`KafkaSource::start`] gave to the client. The group may have assigned more.
    flowing: Flowing,
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

    fn flowing(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.flowing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        partitions.into_iter().for_each(|partition| {
            list.add_partition(&self.identity.input, partition);
        });
        list
    }

    /// Accepts the assignment, but gives the client none of its partitions yet: no record flows before its
    /// start offset is known.
    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let nothing = self.list([]);
        let accepted = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&nothing),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(&nothing),
        };
        self.tell(Change::Assigned(partitions(list)), accepted);
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let revoked = partitions(list);
        let given: Vec<i32> = revoked.iter().copied().filter(|it| self.flowing().remove(it)).collect();
        let outcome = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(&self.list(given)),
            RebalanceProtocol::Eager | RebalanceProtocol::None => {
                self.flowing().clear();
                consumer.unassign()
            }
        };
        self.tell(Change::Revoked(revoked), outcome);
    }

    fn tell(&self, change: Change, outcome: KafkaResult<()>) {
        let mut news = self.news();
        news.changes.push(change);
        if let Err(error) = outcome {
            news.fault = Some(group_fault(error));
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
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

fn failed(error: KafkaError) -> StreamError {
    stream_error(Stage::Group, &error)
}

fn group_fault(error: KafkaError) -> Fault {
    failed(error).into()
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.outages.logged(facility);
        log_line(&self.identity.settings.reach.heard, level, facility, text);
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
    consumer: Held<BaseConsumer<GroupContext>>,
    inspector: Inspector,
    topic: CString,
    held: bool,
    /// Partitions whose end was reached since the last call of [`Source::passed`].
    ended: BTreeSet<i32>,
}

impl KafkaSource {
    pub(super) fn join(
        identity: &LaneIdentity,
        starts: Arc<dyn StartLog>,
        outages: Outages,
    ) -> Result<Self, Halt> {
        let setup = |error: KafkaError| Halt::Setup(error.to_string());
        let flowing = Flowing::default();
        let inspector = Inspector::start(identity, starts, Arc::clone(&flowing))?;
        let context = GroupContext { identity: identity.clone(), flowing, news: Mutex::default(), outages };
        let consumer = BaseConsumer::from_config_and_context(&identity.consumer_config(), context);
        let consumer = Held::new(&identity.settings.login, consumer.map_err(setup)?);
        consumer.subscribe(&[&identity.input]).map_err(setup)?;
        let topic = CString::new(identity.input.as_str())
            .map_err(|_| Halt::Setup("a topic name contains a NUL byte".to_owned()))?;
        Ok(Self { consumer, inspector, topic, held: false, ended: BTreeSet::new() })
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
                self.context().news().changes.push(Change::OutOfRange);
                Ok(())
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

    fn offsets(&self, offsets: &[NextOffset]) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for next in offsets {
            let offset = Offset::Offset(next.offset);
            list.add_partition_offset(&self.context().identity.input, next.partition, offset)?;
        }
        Ok(list)
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
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ended.insert(partition);
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
        let changes = std::mem::take(&mut self.context().news().changes);
        if !changes.is_empty() {
            self.inspector.look_at_members();
        }
        changes
    }

    fn complaint(&mut self) -> Option<String> {
        self.context().news().complaint.take()
    }

    fn look(&mut self, look: u64, partitions: &[i32]) {
        self.inspector.look(look, partitions);
    }

    fn answers(&mut self) -> Result<Vec<(u64, i32, Answer)>, Fault> {
        self.inspector.answers().ok_or_else(|| rejoin("the thread that looks at partitions has ended"))
    }

    fn foreign_members(&mut self) -> Option<Vec<ForeignMember>> {
        self.inspector.foreign_members()
    }

    fn start(&mut self, at: &[NextOffset]) -> Result<(), StreamError> {
        let list = self.offsets(at).map_err(failed)?;
        self.consumer.incremental_assign(&list).map_err(failed)?;
        self.context().flowing().extend(at.iter().map(|next| next.partition));
        // A partition that was paused when it was stopped is still paused.
        match self.held {
            true => self.consumer.pause(&list),
            false => self.consumer.resume(&list),
        }
        .map_err(failed)
    }

    fn stop(&mut self, partitions: &[i32]) -> Result<(), StreamError> {
        let context = self.context();
        let given: Vec<i32> = partitions.iter().copied().filter(|it| context.flowing().remove(it)).collect();
        match given.is_empty() {
            true => Ok(()),
            false => self.consumer.incremental_unassign(&context.list(given)).map_err(failed),
        }
    }

    fn hold(&mut self, held: bool) -> Result<(), StreamError> {
        self.held = held;
        let flowing = self.consumer.assignment().map_err(failed)?;
        match held {
            true => self.consumer.pause(&flowing),
            false => self.consumer.resume(&flowing),
        }
        .map_err(failed)
    }

    fn membership(&mut self) -> Option<GroupMembership> {
        GroupMembership::of(&self.consumer)
    }

    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, StreamError> {
        let found = committed(&self.consumer, &self.context().identity.input, partitions).map_err(failed)?;
        Ok(found.into_iter().map(|(partition, it)| (partition, it.map(|it| it.offset))).collect())
    }

    fn seek(&mut self, to: &[NextOffset]) -> Result<Vec<i32>, StreamError> {
        if to.is_empty() {
            return Ok(Vec::new());
        }
        let list = self.offsets(to).map_err(failed)?;
        let outcome = self.consumer.seek_partitions(list, SEEK).map_err(failed)?;
        let elements = outcome.elements();
        let refused = elements.iter().filter(|element| element.error().is_err());
        Ok(refused.map(TopicPartitionListElem::partition).collect())
    }

    fn passed(&mut self) -> Vec<NextOffset> {
        let ended = std::mem::take(&mut self.ended);
        if ended.is_empty() {
            return Vec::new();
        }
        // The end is reported behind the last record of a fetch, so this position is that of the same fetch.
        let Ok(positions) = self.consumer.position() else { return Vec::new() };
        let elements = positions.elements();
        let ended = elements.iter().filter(|element| ended.contains(&element.partition()));
        ended
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some(NextOffset { partition: element.partition(), offset }),
                _ => None,
            })
            .collect()
    }

    fn lag(&self, next: NextOffset) -> Option<u64> {
        let end = ffi::cached_end(&self.consumer, &self.topic, next.partition)?;
        u64::try_from(end - next.offset).ok()
    }
}
