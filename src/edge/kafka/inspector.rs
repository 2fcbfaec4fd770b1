//! Looks at partitions, and at the members of the group, on a thread of its own: no broker and no key store
//! delays a lane.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use super::client::ClientSettings;
use super::connector::LaneIdentity;
use super::ffi::{OffsetSpec, TopicDescription, describe_topics, group_members, list_offsets};
use super::listener::{AskingClient, serve};
use crate::model::{Started, TopicId};
use crate::stream::{Answer, Committed, Facts, ForeignMember, Halt, Park, StartLog, Wait, Waiting};

/// Longest wait for the group coordinator.
const COORDINATOR: Duration = Duration::from_secs(15);
/// Longest wait for the leaders of partitions, for the description of topics, and for the list of members.
const LEADER: Duration = Duration::from_secs(5);
/// Time between two looks at the topic of the flowing partitions.
const WATCH: Duration = Duration::from_secs(5);
/// Time between two looks at the members of the group.
const MEMBERS: Duration = Duration::from_secs(60);
/// The same while one of them is not Hourseal.
const FOREIGN_MEMBERS: Duration = Duration::from_secs(5);
/// Time from a rebalance to the look at the members. The look at the partitions goes first.
const REBALANCE: Duration = Duration::from_secs(1);

/// Partitions whose records flow. The lane changes it.
pub(super) type Flowing = Arc<Mutex<BTreeSet<i32>>>;
/// Number of the look, partition, what was found.
type Found = (u64, i32, Answer);

/// A request of the lane.
enum Ask {
    Partitions(u64, Vec<i32>),
    Members,
}

/// The lane's end of the inspector. The thread ends soon after this is dropped.
pub(super) struct Inspector {
    asks: Sender<Ask>,
    found: Receiver<Vec<Found>>,
    members: Receiver<Vec<ForeignMember>>,
}

impl Inspector {
    /// # Errors
    /// The client cannot be set up, or the system cannot start a thread.
    pub(super) fn start(
        identity: &LaneIdentity,
        starts: Arc<dyn StartLog>,
        flowing: Flowing,
    ) -> Result<Self, Halt> {
        let setup = |error: &dyn std::fmt::Display| Halt::Setup(error.to_string());
        let settings = &identity.settings;
        let client = settings.listener().reader(&settings.consumer(&identity.group));
        let client = client.map_err(|error| setup(&error))?;
        let (asks, asked) = mpsc::channel();
        let (report, found) = mpsc::channel();
        let (report_members, members) = mpsc::channel();
        let name = format!("inspector {}", identity.lane);
        let identity = identity.clone();
        let work = Work {
            identity,
            starts,
            client,
            flowing,
            stopped: BTreeSet::new(),
            id: None,
            report,
            report_members,
        };
        let thread = std::thread::Builder::new().name(name).spawn(move || work.run(&asked));
        thread.map_err(|error| setup(&error))?;
        Ok(Self { asks, found, members })
    }

    /// Asks for a look at these partitions.
    pub(super) fn look(&self, look: u64, partitions: &[i32]) {
        // If the thread is gone, `answers` reports it.
        let _ = self.asks.send(Ask::Partitions(look, partitions.to_vec()));
    }

    /// Asks for a look at the members of the group, after a rebalance.
    pub(super) fn look_at_members(&self) {
        let _ = self.asks.send(Ask::Members);
    }

    /// Takes the newest list of members that are not Hourseal since the last call, if there is one.
    pub(super) fn foreign_members(&self) -> Option<Vec<ForeignMember>> {
        self.members.try_iter().last()
    }

    /// Takes what was found since the last call. `None`: the thread is gone.
    pub(super) fn answers(&self) -> Option<Vec<Found>> {
        let mut answers = Vec::new();
        loop {
            match self.found.try_recv() {
                Ok(found) => answers.extend(found),
                Err(TryRecvError::Empty) => return Some(answers),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }
}

struct Work {
    identity: LaneIdentity,
    starts: Arc<dyn StartLog>,
    client: AskingClient,
    flowing: Flowing,
    /// Flowing partitions that should have stopped at the last look.
    stopped: BTreeSet<i32>,
    /// Id of the input at the last look.
    id: Option<TopicId>,
    report: Sender<Vec<Found>>,
    report_members: Sender<Vec<ForeignMember>>,
}

impl Work {
    fn run(mut self, asked: &Receiver<Ask>) {
        let mut watch_at = Instant::now() + WATCH;
        let mut members_at = Instant::now() + REBALANCE;
        loop {
            let wait = watch_at.min(members_at).saturating_duration_since(Instant::now());
            let reported = match asked.recv_timeout(wait) {
                Ok(Ask::Partitions(look, partitions)) => {
                    let answers = self.look(&partitions).into_iter();
                    self.report.send(answers.map(|(partition, answer)| (look, partition, answer)).collect())
                }
                Ok(Ask::Members) => {
                    members_at = members_at.min(Instant::now() + REBALANCE);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= watch_at => {
                    watch_at = Instant::now() + WATCH;
                    let found = self.watch();
                    self.report.send(found)
                }
                Err(RecvTimeoutError::Timeout) => {
                    members_at = Instant::now() + self.look_at_members();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            serve(&self.client);
            if reported.is_err() {
                return;
            }
        }
    }

    /// Reports the members of the group that are not Hourseal. Reports nothing if the broker does not list
    /// the members. Returns the time until the next look.
    fn look_at_members(&self) -> Duration {
        let Ok(members) = group_members(&self.client, &self.identity.group, LEADER) else { return MEMBERS };
        let foreign = members.iter().filter_map(|it| ForeignMember::of(&it.client_id, &it.host));
        let foreign: Vec<ForeignMember> = foreign.collect();
        let next = if foreign.is_empty() { MEMBERS } else { FOREIGN_MEMBERS };
        // An error means that the lane has ended, as the next report of partitions shows.
        let _ = self.report_members.send(foreign);
        next
    }

    /// Finds the flowing partitions that must stop: those of a topic that was replaced, and those that had no
    /// leader at this look and at the one before.
    fn watch(&mut self) -> Vec<Found> {
        let flowing = self.flowing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if flowing.is_empty() {
            return Vec::new();
        }
        let Ok(topic) = self.describe(&[&self.identity.input]).map(|mut topics| topics.remove(0)) else {
            return Vec::new();
        };
        if replaced(&mut self.id, topic.id) {
            return flowing.into_iter().map(|partition| (0, partition, Answer::Doubt)).collect();
        }
        let found: Vec<(i32, Park)> =
            flowing.into_iter().filter_map(|partition| Some((partition, topic.park(partition)?))).collect();
        let before = std::mem::replace(&mut self.stopped, found.iter().map(|(it, _)| *it).collect());
        let again = found.into_iter().filter(|(partition, _)| before.contains(partition));
        again.map(|(partition, why)| (0, partition, Answer::Park(why))).collect()
    }

    /// Finds out where each partition may start.
    fn look(&mut self, partitions: &[i32]) -> Vec<(i32, Answer)> {
        self.facts(partitions).unwrap_or_else(|waiting| {
            partitions.iter().map(|partition| (*partition, Answer::Unknown(waiting.clone()))).collect()
        })
    }

    /// # Errors
    /// The missing answer concerns all partitions.
    fn facts(&mut self, partitions: &[i32]) -> Result<Vec<(i32, Answer)>, Waiting> {
        let input = &self.identity.input;
        let names: Vec<&str> =
            [input].into_iter().chain(&self.identity.mirrors).map(String::as_str).collect();
        let topics = self.describe(&names);
        let topics = topics.map_err(|code| broker(&self.heard(|it| it.why_code(code))))?;
        let committed = committed(&self.client, input, partitions);
        let committed = committed.map_err(|error| broker(&self.heard(|it| it.why(&error))))?;
        let started = self.starts.started().map_err(|why| Waiting::new(Wait::Store, why))?;
        let started: BTreeMap<i32, Started> = started.into_iter().map(|it| (it.partition, it)).collect();
        let bounds = self.bounds(partitions);
        replaced(&mut self.id, topics[0].id);
        let answer = |(&partition, log): (&i32, Result<(i64, i64), RDKafkaErrorCode>)| {
            let Some(committed) = committed.get(&partition) else {
                return Answer::Unknown(broker("the group coordinator reports an error for a partition"));
            };
            if let Some(why) = park(&topics, &self.identity.mirrors, partition) {
                return Answer::Park(why);
            }
            match log {
                Ok(log) => Answer::Facts(Facts {
                    committed: committed.clone(),
                    log,
                    topic: topics[0].id,
                    started: started.get(&partition).copied(),
                }),
                Err(code) => {
                    Answer::Park(Park::NoLeader { why: format!("its leader does not answer: {code:?}") })
                }
            }
        };
        Ok(partitions.iter().copied().zip(partitions.iter().zip(bounds).map(answer)).collect())
    }

    /// Explains an error, after the client's log has been read.
    fn heard(&self, explain: impl FnOnce(&ClientSettings) -> String) -> String {
        serve(&self.client);
        explain(&self.identity.settings)
    }

    /// Describes topics, in this order.
    fn describe(&self, names: &[&str]) -> Result<Vec<Topic>, RDKafkaErrorCode> {
        let described = describe_topics(&self.client, names, LEADER)?;
        described.into_iter().map(Topic::new).collect()
    }

    /// The first offset of each partition, and the offset after its last committed record.
    fn bounds(&self, partitions: &[i32]) -> Vec<Result<(i64, i64), RDKafkaErrorCode>> {
        let list = |spec| {
            list_offsets(&self.client, &self.identity.input, partitions, spec, LEADER)
                .unwrap_or_else(|code| vec![Err(code); partitions.len()])
        };
        let (first, end) = (list(OffsetSpec::Earliest), list(OffsetSpec::Latest));
        first.into_iter().zip(end).map(|(first, end)| Ok((first?, end?))).collect()
    }
}

/// Remembers the id of the input. Returns whether it was another one before.
fn replaced(id: &mut Option<TopicId>, now: Option<TopicId>) -> bool {
    let before = *id;
    *id = now.or(before);
    before.is_some() && *id != before
}

/// A topic that a broker described.
struct Topic {
    id: Option<TopicId>,
    /// Whether each partition has a leader. Empty if the topic does not exist.
    leaders: HashMap<i32, bool>,
}

impl Topic {
    fn new(described: Result<TopicDescription, RDKafkaErrorCode>) -> Result<Self, RDKafkaErrorCode> {
        match described {
            Ok(topic) => {
                let leaders = topic.partitions.iter().map(|it| (it.partition, it.has_leader)).collect();
                Ok(Self { id: topic.id, leaders })
            }
            Err(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Self { id: None, leaders: HashMap::new() }),
            Err(code) => Err(code),
        }
    }

    /// The reason to park a partition that does not exist or has no leader.
    fn park(&self, partition: i32) -> Option<Park> {
        match self.leaders.get(&partition) {
            None => Some(Park::NoTopic),
            Some(false) => Some(Park::NoLeader { why: "it has no leader".to_owned() }),
            Some(true) => None,
        }
    }
}

/// The reason to park a partition of the first topic that cannot flow into the others, its mirrors.
fn park(topics: &[Topic], mirrors: &[String], partition: i32) -> Option<Park> {
    topics[0].park(partition).or_else(|| {
        let mut mirrors = mirrors.iter().zip(&topics[1..]);
        let lacks = mirrors.find(|(_, topic)| !topic.leaders.contains_key(&partition));
        lacks.map(|(name, _)| Park::NoOutput { topic: name.clone() })
    })
}

fn broker(why: &str) -> Waiting {
    Waiting::new(Wait::Broker, format!("the start offsets are not known: {why}"))
}

/// The committed offsets of these partitions. `None`: the broker holds none. A partition with an error of its
/// own is left out.
pub(super) fn committed<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<HashMap<i32, Option<Committed>>> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let answer = consumer.committed_offsets(list, COORDINATOR)?;
    let elements = answer.elements();
    let committed = elements.iter().filter(|element| element.error().is_ok()).map(|element| {
        let committed = match element.offset() {
            Offset::Offset(offset) => Some(Committed { offset, metadata: element.metadata().to_owned() }),
            _ => None,
        };
        (element.partition(), committed)
    });
    Ok(committed.collect())
}
