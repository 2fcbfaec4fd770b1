//! Checks topics and creates missing ones.
//!
//! Promise: an existing topic is never changed. A refusal names the setting, its value and the reason.
//! Start at [`TopicAdmin::inspect`]; the rules are in `rules.rs`.

mod brokers;
mod error;
mod finding;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use super::client::ClientSettings;
use super::ffi::{Events, Held};
use super::listener::{Listener, serve};
use super::reach::NoBroker;
use crate::stream::PATIENCE;

pub use brokers::BrokerReport;
pub use error::AdminError;
pub use finding::{Finding, Subject};
pub use rules::{PlaintextWindow, Role, TopicFacts, TopicPlan};

/// Longest time until the broker that we ask sees a new topic.
const UNTIL_SEEN: Duration = Duration::from_secs(30);

/// Partitions of a new input, output or quarantine topic, if neither the caller nor the input gives a number.
pub const DEFAULT_PARTITIONS: usize = 8;

/// The state of a plan's topics in the cluster.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Existing topics.
    pub facts: BTreeMap<Role, TopicFacts>,
    /// Missing topics.
    pub missing: Vec<Role>,
    /// Rules that existing topics break.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Refuses a plan if a topic is missing or breaks a rule.
    pub fn accept(self, plan: &TopicPlan) -> Result<BTreeMap<Role, TopicFacts>, AdminError> {
        if !self.missing.is_empty() {
            return Err(AdminError::Missing(names(plan, &self.missing)));
        }
        if self.findings.is_empty() { Ok(self.facts) } else { Err(AdminError::Refused(self.findings)) }
    }
}

/// A client for topics.
pub struct TopicAdmin {
    /// Dropped first: its thread uses the client's queue.
    _events: Events,
    client: Arc<Held<AdminClient<Listener>>>,
    settings: ClientSettings,
}

impl TopicAdmin {
    /// # Errors
    /// librdkafka refuses a setting. The cluster is not contacted yet.
    pub fn new(settings: &ClientSettings) -> Result<Self, AdminError> {
        let client = AdminClient::from_config_and_context(&settings.base(), settings.listener());
        let client = client.map_err(|error| AdminError::Client(error.to_string()))?;
        let events = Events::serve(client.inner());
        Ok(Self {
            _events: events,
            client: Arc::new(Held::new(&settings.login, client)),
            settings: settings.clone(),
        })
    }

    /// Checks every topic of the plan.
    pub async fn inspect(&self, plan: &TopicPlan) -> Result<Inspection, AdminError> {
        let counts = self.partition_counts().await?;
        let mut inspection = Inspection { facts: BTreeMap::new(), missing: Vec::new(), findings: Vec::new() };
        let mut denied = Vec::new();
        for role in plan.roles() {
            let name = plan.name(role);
            let Some(&partitions) = counts.get(name) else {
                inspection.missing.push(role);
                continue;
            };
            match self.settings_of(name).await? {
                // The broker that answered does not know the topic yet.
                Some(settings) if settings.is_empty() => inspection.missing.push(role),
                Some(settings) => drop(inspection.facts.insert(role, TopicFacts { partitions, settings })),
                None => denied.push(name.to_owned()),
            }
        }
        if !denied.is_empty() {
            return Err(AdminError::Denied { right: "DESCRIBE_CONFIGS", topics: denied });
        }
        inspection.findings = rules::findings(plan, &inspection.facts);
        Ok(inspection)
    }

    /// Creates the missing topics with the right settings. Returns their names and the state afterwards.
    /// `partitions` is for input, output and quarantine; `None` = as many as the input has, or
    /// [`DEFAULT_PARTITIONS`].
    pub async fn create(
        &self,
        plan: &TopicPlan,
        partitions: Option<usize>,
    ) -> Result<(Vec<String>, Inspection), AdminError> {
        let before = self.inspect(plan).await?;
        if before.missing.is_empty() {
            return Ok((Vec::new(), before));
        }
        let of_input = before.facts.get(&Role::Input).map(|facts| facts.partitions);
        let partitions = partitions.or(of_input).unwrap_or(DEFAULT_PARTITIONS);
        // The input comes first: its largest record size determines the sizes of the others.
        let (input, others): (Vec<Role>, Vec<Role>) =
            before.missing.iter().partition(|role| **role == Role::Input);
        let mut facts = before.facts;
        if !input.is_empty() {
            self.create_topics(plan, &input, partitions, 0).await?;
            facts = self.until_seen(plan, &input).await?.facts;
        }
        let largest = facts.get(&Role::Input).map_or(0, TopicFacts::max_message_bytes);
        self.create_topics(plan, &others, partitions, largest).await?;
        let after = self.until_seen(plan, &plan.roles().collect::<Vec<_>>()).await?;
        Ok((names(plan, &before.missing), after))
    }

    /// Requests that the broker deletes each partition's records before an offset.
    ///
    /// # Errors
    /// [`AdminError::Denied`] without the right DELETE. If one partition fails, the broker may
    /// have deleted the records of others.
    pub async fn delete_before(&self, topic: &str, ends: &BTreeMap<i32, i64>) -> Result<(), AdminError> {
        let mut asked = TopicPartitionList::new();
        for (partition, end) in ends {
            asked
                .add_partition_offset(topic, *partition, Offset::Offset(*end))
                .map_err(|error| self.unreachable(&error))?;
        }
        let answer = self.client.delete_records(&asked, &options()).await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        for element in answer.elements() {
            match element.error() {
                Ok(()) => {}
                Err(error) if error.rdkafka_error_code().is_some_and(is_denied) => {
                    return Err(AdminError::Denied { right: "DELETE", topics: vec![topic.to_owned()] });
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
        Ok(())
    }

    /// Each group's committed offsets of a topic: the next offset by partition. A partition without a commit
    /// is absent.
    ///
    /// # Errors
    /// [`AdminError::GroupDenied`] without the right DESCRIBE on a group.
    pub async fn committed(
        &self,
        topic: &str,
        groups: &[String],
    ) -> Result<Vec<BTreeMap<i32, i64>>, AdminError> {
        let partitions = self.partition_counts().await?.get(topic).copied().unwrap_or(0);
        let mut asked = TopicPartitionList::new();
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            asked.add_partition(topic, partition);
        }
        let mut committed = Vec::new();
        for group in groups {
            committed.push(self.committed_by(group, asked.clone()).await?);
        }
        Ok(committed)
    }

    async fn committed_by(
        &self,
        group: &str,
        asked: TopicPartitionList,
    ) -> Result<BTreeMap<i32, i64>, AdminError> {
        // The consumer does not join the group. It only asks in the group's name.
        let consumer = self.settings.listener().reader(self.settings.base().set("group.id", group));
        let consumer = consumer.map_err(|error| self.unreachable(&error))?;
        let ask = move || {
            let answer = consumer.committed_offsets(asked, PATIENCE);
            serve(&consumer);
            answer
        };
        let answer = tokio::task::spawn_blocking(ask).await;
        let answer = answer.map_err(|error| AdminError::Client(error.to_string()))?;
        let committed = answer.map_err(|error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => AdminError::GroupDenied(group.to_owned()),
            _ => self.unreachable(&error),
        })?;
        let offsets = committed.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some((element.partition(), next)),
            _ => None,
        });
        Ok(offsets.collect())
    }

    /// Sends one request for all topics, so that a missing right does not stop the creation half way.
    async fn create_topics(
        &self,
        plan: &TopicPlan,
        roles: &[Role],
        partitions: usize,
        largest: u64,
    ) -> Result<(), AdminError> {
        let settings: Vec<_> =
            roles.iter().map(|role| (*role, rules::settings_for(*role, largest))).collect();
        let topics: Vec<_> =
            settings.iter().map(|(role, settings)| new_topic(plan, *role, settings, partitions)).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let results =
            self.client.create_topics(&topics, &options()).await.map_err(|error| self.unreachable(&error))?;
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        // Another process may have created a topic in the meantime. It is then checked like any other.
        let failed: Vec<_> =
            failed.into_iter().filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists).collect();
        let Some((_, code)) = failed.first().cloned() else { return Ok(()) };
        let topics = failed.into_iter().map(|(name, _)| name).collect();
        if is_denied(code) {
            return Err(AdminError::Denied { right: "CREATE", topics });
        }
        Err(AdminError::NotCreated { topics, why: format!("{code:?}") })
    }

    /// Waits until the broker that we ask knows these topics. Each broker of a cluster learns of a new topic
    /// at its own time.
    async fn until_seen(&self, plan: &TopicPlan, roles: &[Role]) -> Result<Inspection, AdminError> {
        let since = Instant::now();
        loop {
            let inspection = self.inspect(plan).await?;
            let unseen: Vec<Role> =
                roles.iter().copied().filter(|role| inspection.missing.contains(role)).collect();
            if unseen.is_empty() {
                return Ok(inspection);
            }
            if since.elapsed() > UNTIL_SEEN {
                let why = format!("the broker does not list them after {} s", UNTIL_SEEN.as_secs());
                return Err(AdminError::NotCreated { topics: names(plan, &unseen), why });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Number of partitions of every visible topic. A request for all topics never creates one; a request by
    /// name may.
    async fn partition_counts(&self) -> Result<HashMap<String, usize>, AdminError> {
        let metadata = self.metadata().await?;
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(there.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    async fn metadata(&self) -> Result<Metadata, AdminError> {
        let (client, settings) = (Arc::clone(&self.client), self.settings.clone());
        let ask = move || settings.await_broker().map(|()| client.inner().fetch_metadata(None, PATIENCE));
        let asked = tokio::task::spawn_blocking(ask).await;
        let metadata = asked.map_err(|error| AdminError::Client(error.to_string()))??;
        metadata.map_err(|error| self.unreachable(&error))
    }

    /// Effective settings of one topic; `None` if the right to see them is missing.
    async fn settings_of(&self, name: &str) -> Result<Option<HashMap<String, String>>, AdminError> {
        let topic = [ResourceSpecifier::Topic(name)];
        let answer = self
            .client
            .describe_configs(&topic, &options())
            .await
            .map_err(|error| self.unreachable(&error))?;
        match answer.into_iter().next() {
            Some(Ok(resource)) => {
                let entries = resource.entries.into_iter();
                Ok(Some(entries.filter_map(|entry| entry.value.map(|value| (entry.name, value))).collect()))
            }
            Some(Err(code)) if is_denied(code) => Ok(None),
            Some(Err(code)) => Err(NoBroker::silent(&self.settings, self.settings.why_code(code)).into()),
            None => Err(AdminError::Client("an empty answer to describe_configs".to_owned())),
        }
    }

    fn unreachable(&self, error: &rdkafka::error::KafkaError) -> AdminError {
        NoBroker::silent(&self.settings, self.settings.why(error)).into()
    }
}

fn new_topic<'a>(
    plan: &'a TopicPlan,
    role: Role,
    settings: &'a [(&'static str, String)],
    partitions: usize,
) -> NewTopic<'a> {
    let partitions = if role.is_single() { 1 } else { i32::try_from(partitions).unwrap_or(i32::MAX) };
    // -1: the broker's default number of replicas.
    let topic = NewTopic::new(plan.name(role), partitions, TopicReplication::Fixed(-1));
    settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn is_denied(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
}

fn names(plan: &TopicPlan, roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| plan.name(*role).to_owned()).collect()
}
