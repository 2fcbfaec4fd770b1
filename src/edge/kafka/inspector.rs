//! Looks at partitions on a thread of its own, so that no broker and no key store delays a lane.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connector::LaneIdentity;
use crate::stream::{Answer, Committed, Facts, Halt, Park, StartLog, Started, Wait, Waiting};

/// Longest wait for the group coordinator.
const COORDINATOR: Duration = Duration::from_secs(15);
/// Longest wait for the leader of a partition, and for metadata.
const LEADER: Duration = Duration::from_secs(5);
/// Time between two looks at the leaders of the flowing partitions.
const WATCH: Duration = Duration::from_secs(5);

/// Partitions whose records flow. The lane changes it.
pub(super) type Flowing = Arc<Mutex<BTreeSet<i32>>>;
/// Number of the look, partition, what was found.
type Found = (u64, i32, Answer);

/// The lane's end of the inspector. The thread ends soon after this is dropped.
pub(super) struct Inspector {
    looks: Sender<(u64, Vec<i32>)>,
    found: Receiver<Vec<Found>>,
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
        let client = identity.settings.consumer(&identity.group).create();
        let client: BaseConsumer = client.map_err(|error| setup(&error))?;
        let (looks, asked) = mpsc::channel();
        let (report, found) = mpsc::channel();
        let name = format!("inspector {}", identity.lane);
        let identity = identity.clone();
        let work = Work { identity, starts, client, flowing, leaderless: BTreeSet::new(), report };
        let thread = std::thread::Builder::new().name(name).spawn(move || work.run(&asked));
        thread.map_err(|error| setup(&error))?;
        Ok(Self { looks, found })
    }

    /// Asks for a look at these partitions.
    pub(super) fn look(&self, look: u64, partitions: &[i32]) {
        // If the thread is gone, `answers` reports it.
        let _ = self.looks.send((look, partitions.to_vec()));
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
    client: BaseConsumer,
    flowing: Flowing,
    /// Flowing partitions that had no leader at the last look.
    leaderless: BTreeSet<i32>,
    report: Sender<Vec<Found>>,
}

impl Work {
    fn run(mut self, asked: &Receiver<(u64, Vec<i32>)>) {
        let mut watch_at = Instant::now() + WATCH;
        loop {
            let found = match asked.recv_timeout(watch_at.saturating_duration_since(Instant::now())) {
                Ok((look, partitions)) => {
                    let answers = self.look(&partitions);
                    answers.into_iter().map(|(partition, answer)| (look, partition, answer)).collect()
                }
                Err(RecvTimeoutError::Timeout) => {
                    watch_at = Instant::now() + WATCH;
                    self.watch()
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.report.send(found).is_err() {
                return;
            }
        }
    }

    /// Finds the flowing partitions that had no leader at this look and at the one before.
    fn watch(&mut self) -> Vec<Found> {
        let flowing = self.flowing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(topic) = self.topic(&self.identity.input) else { return Vec::new() };
        let now: BTreeMap<i32, Park> =
            flowing.into_iter().filter_map(|it| Some((it, topic.park(it)?))).collect();
        let before = std::mem::replace(&mut self.leaderless, now.keys().copied().collect());
        now.into_iter()
            .filter(|(partition, _)| before.contains(partition))
            .map(|(partition, why)| (0, partition, Answer::Park(why)))
            .collect()
    }

    /// Finds out where each partition may start.
    fn look(&self, partitions: &[i32]) -> Vec<(i32, Answer)> {
        let all =
            |waiting: Waiting| partitions.iter().map(|it| (*it, Answer::Unknown(waiting.clone()))).collect();
        let broker = |error: &KafkaError| Waiting::new(Wait::Broker, unknown(error));
        let (topic, mirrors) = match self.topics() {
            Ok(topics) => topics,
            Err(error) => return all(broker(&error)),
        };
        let committed = match committed(&self.client, &self.identity.input, partitions) {
            Ok(committed) => committed,
            Err(error) => return all(broker(&error)),
        };
        let started = match self.starts.started() {
            Ok(started) => started,
            Err(why) => return all(Waiting::new(Wait::Store, why)),
        };
        let mut silent = HashSet::new();
        let mut answer = |partition: i32| {
            let Some(committed) = committed.get(&partition) else {
                let why = "the group coordinator reports an error for this partition";
                return Answer::Unknown(Waiting::new(Wait::Broker, why));
            };
            if let Some(why) = topic.park(partition).or_else(|| no_output(&mirrors, partition)) {
                return Answer::Park(why);
            }
            let started = started.iter().find(|started| started.partition == partition);
            self.bounds(&topic, partition, &mut silent)
                .map_or_else(Answer::Park, |log| Answer::Facts(facts(committed.clone(), log, started)))
        };
        partitions.iter().map(|partition| (*partition, answer(*partition))).collect()
    }

    fn topics(&self) -> KafkaResult<(Topic, Vec<(String, Topic)>)> {
        let mirrors = self.identity.mirrors.iter();
        let mirrors =
            mirrors.map(|name| Ok((name.clone(), self.topic(name)?))).collect::<KafkaResult<_>>()?;
        Ok((self.topic(&self.identity.input)?, mirrors))
    }

    fn topic(&self, name: &str) -> KafkaResult<Topic> {
        let metadata = self.client.fetch_metadata(Some(name), LEADER)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let leaders = found.map(|topic| topic.partitions().iter().map(|it| (it.id(), it.leader())).collect());
        Ok(Topic { leaders: leaders.unwrap_or_default() })
    }

    /// The bounds of the partition's log. A leader that does not answer is asked once per look.
    fn bounds(&self, topic: &Topic, partition: i32, silent: &mut HashSet<i32>) -> Result<(i64, i64), Park> {
        let leader = topic.leaders.get(&partition).copied().unwrap_or(-1);
        let no_answer = |error: &str| Park::NoLeader { why: format!("its leader does not answer: {error}") };
        if silent.contains(&leader) {
            return Err(no_answer("timed out"));
        }
        self.client.fetch_watermarks(&self.identity.input, partition, LEADER).map_err(|error| {
            silent.insert(leader);
            no_answer(&unknown(&error))
        })
    }
}

/// The partitions of a topic, and their leaders.
struct Topic {
    leaders: HashMap<i32, i32>,
}

impl Topic {
    /// The reason to park a partition that does not exist or has no leader.
    fn park(&self, partition: i32) -> Option<Park> {
        match self.leaders.get(&partition) {
            None => Some(Park::NoTopic),
            Some(leader) if *leader < 0 => Some(Park::NoLeader { why: "it has no leader".to_owned() }),
            Some(_) => None,
        }
    }
}

/// The reason to park a partition whose records have no partition in an output.
fn no_output(mirrors: &[(String, Topic)], partition: i32) -> Option<Park> {
    let lacks = mirrors.iter().find(|(_, topic)| !topic.leaders.contains_key(&partition));
    lacks.map(|(name, _)| Park::NoOutput { topic: name.clone() })
}

fn facts(committed: Option<Committed>, log: (i64, i64), started: Option<&Started>) -> Facts {
    Facts { committed, log, topic: None, started: started.copied() }
}

fn unknown(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"))
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
