//! Topics: are they as they must be, and create those that are missing.
//!
//! Promise: what exists is never changed; what is refused is named with setting, value and reason.
//! Start at [`TopicAdmin::inspect`]; the rules stand in `rules.rs`.

mod brokers;
mod error;
mod finding;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use super::client::ClientSettings;

pub use brokers::Verification;
pub use error::AdminError;
pub use finding::{Finding, Subject};
pub use rules::{PlaintextWindow, Role, TopicFacts, TopicPlan};

/// How long the cluster may take to answer one request.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a new topic may take to be seen by the broker that is asked.
const UNTIL_SEEN: Duration = Duration::from_secs(30);

/// Partitions of the input, output and quarantine topics where nothing else says how many.
pub const DEFAULT_PARTITIONS: usize = 8;

/// What the cluster has of a plan.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The topics that exist.
    pub facts: BTreeMap<Role, TopicFacts>,
    /// The topics that do not.
    pub missing: Vec<Role>,
    /// The rules that existing topics break.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Refuses a plan with a missing or a wrong topic.
    pub fn accept(self, plan: &TopicPlan) -> Result<BTreeMap<Role, TopicFacts>, AdminError> {
        if !self.missing.is_empty() {
            return Err(AdminError::Missing(names(plan, &self.missing)));
        }
        if self.findings.is_empty() { Ok(self.facts) } else { Err(AdminError::Refused(self.findings)) }
    }
}

/// A client for topics.
pub struct TopicAdmin {
    client: Arc<AdminClient<DefaultClientContext>>,
    settings: ClientSettings,
}

impl TopicAdmin {
    /// # Errors
    /// When librdkafka refuses a setting; the cluster is not asked yet.
    pub fn new(settings: &ClientSettings) -> Result<Self, AdminError> {
        let client = settings.base().create().map_err(|error| AdminError::Client(error.to_string()))?;
        Ok(Self { client: Arc::new(client), settings: settings.clone() })
    }

    /// Looks at every topic of the plan.
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
                // The broker that was asked has not heard of the topic yet.
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

    /// Creates the missing topics with the right settings, and answers their names and what there is then. `partitions` is
    /// for input, output and quarantine; `None` = as many as the input has, or [`DEFAULT_PARTITIONS`].
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
        // The input first: how large its records may be decides the sizes of the others.
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

    /// Has the broker delete the records of each partition before an offset.
    ///
    /// # Errors
    /// [`AdminError::Denied`] without the right DELETE; where a partition fails the others may be done.
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

    /// What each group has committed of a topic: the next offset of each partition of which it has committed any.
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
        // It joins no group: it asks as its member would.
        let consumer: BaseConsumer =
            self.settings.base().set("group.id", group).create().map_err(|error| self.unreachable(&error))?;
        let answer = tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, PATIENCE)).await;
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

    /// One request for all of them, so that either a right is missing for all or the rest is not half done.
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
        // Another process may have created it meanwhile: then it is inspected like any other.
        let failed: Vec<_> =
            failed.into_iter().filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists).collect();
        let Some((_, code)) = failed.first().cloned() else { return Ok(()) };
        let topics = failed.into_iter().map(|(name, _)| name).collect();
        if is_denied(code) {
            return Err(AdminError::Denied { right: "CREATE", topics });
        }
        Err(AdminError::NotCreated { topics, why: format!("{code:?}") })
    }

    /// Waits until the broker that is asked knows these topics: each of several brokers hears of a new one in its own time.
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
                let why = format!("not seen {} s after they were created", UNTIL_SEEN.as_secs());
                return Err(AdminError::NotCreated { topics: names(plan, &unseen), why });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Partitions of every topic that may be seen. Asking for all never creates one, which asking by name may do.
    async fn partition_counts(&self) -> Result<HashMap<String, usize>, AdminError> {
        let metadata = self.metadata().await?;
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(there.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    async fn metadata(&self) -> Result<Metadata, AdminError> {
        let client = Arc::clone(&self.client);
        let asked = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, PATIENCE)).await;
        let metadata = asked.map_err(|error| AdminError::Client(error.to_string()))?;
        metadata.map_err(|error| self.unreachable(&error))
    }

    /// Effective settings of one topic; `None` where the right to see them is missing.
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
            Some(Err(code)) => Err(AdminError::Unreachable {
                bootstrap: self.settings.bootstrap.clone(),
                why: format!("{code:?}"),
            }),
            None => Err(AdminError::Client("an empty answer to describe_configs".to_owned())),
        }
    }

    fn unreachable(&self, error: &rdkafka::error::KafkaError) -> AdminError {
        let why = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"));
        AdminError::Unreachable { bootstrap: self.settings.bootstrap.clone(), why }
    }
}

fn new_topic<'a>(
    plan: &'a TopicPlan,
    role: Role,
    settings: &'a [(&'static str, String)],
    partitions: usize,
) -> NewTopic<'a> {
    let partitions = if role.is_single() { 1 } else { i32::try_from(partitions).unwrap_or(i32::MAX) };
    // -1: as many replicas as the broker's default says.
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
