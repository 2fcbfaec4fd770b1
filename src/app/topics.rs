//! The topics that a process needs: their names, their required settings, and the sizes of their records.

use super::Failure;
use super::placement::{self, Placed};
use super::sizes::TopicSizes;
use crate::config::Config;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::{AdminError, Role, TopicAdmin, TopicPlan};
use crate::keys::{Meta, SealStore};
use crate::lane::Partitioner;
use crate::model::{ClassId, Retention};
use crate::telemetry::{codes, info, warn};

/// Returns the topics that a process needs. `longest` is the longest retention of any customer.
pub fn topic_plan(config: &Config, longest: Retention) -> TopicPlan {
    let topics = &config.topics;
    let names = [
        (Role::Input, &topics.input),
        (Role::Output, &topics.output),
        (Role::Quarantine, &topics.quarantine),
        (Role::Control, &topics.control),
        (Role::Receipts, &topics.receipts),
    ];
    let checkpoints =
        config.receipts.signing_key_file.as_ref().map(|_| (Role::Checkpoints, &topics.checkpoints));
    let classes = topics.class.values().enumerate().map(|(class, name)| (Role::Class(ClassId(class)), name));
    let names = names.into_iter().chain(checkpoints).chain(classes);
    TopicPlan {
        names: names.map(|(role, name)| (role, name.clone())).collect(),
        longest,
        partition_as_input: config.seal.partitioner == Partitioner::Input,
        scrub: Some(config.scrub.every).filter(|every| !every.is_zero()),
    }
}

/// Creates missing topics if `topics.create` is set, and refuses topics that break a promise. Stores the
/// placement of each output topic if there is none.
pub(super) async fn ready_topics(
    config: &Config,
    client: &ClientSettings,
    store: &dyn SealStore,
    meta: &Meta,
) -> Result<TopicSizes, Failure> {
    let plan = topic_plan(config, meta.default_retention.max(config.retention.quarantine));
    let admin = TopicAdmin::new(client)?;
    let inspection = match config.topics.create {
        true => {
            let (created, inspection) = admin.create(&plan, None).await?;
            if !created.is_empty() {
                info!(codes::TOPICS_CREATED, topics = created.join(" "), "topics created");
            }
            inspection
        }
        false => admin.inspect(&plan).await?,
    };
    let facts = inspection.accept(&plan)?;
    check_brokers(&admin).await?;
    if let Some(input) = facts.get(&Role::Input) {
        let window = input.plaintext_window(plan.scrub);
        info!(codes::PLAINTEXT_WINDOW, %window, "the input keeps plaintext for this time after it is sealed");
    }
    let placed = placement::agreed(store, &plan, &facts, |it| it.found).await?;
    refuse_missing_partitions(&placed)?;
    let sizes = TopicSizes::new(placement::outputs(&config.topics.class, &facts, &placed), 0);
    sizes.follow(&plan, &facts);
    Ok(sizes)
}

/// Refuses output topics that lack partitions of their placement.
fn refuse_missing_partitions(placed: &[Placed]) -> Result<(), Failure> {
    let findings: Vec<_> = placed.iter().filter_map(Placed::finding).collect();
    if findings.is_empty() {
        return Ok(());
    }
    let hint = "add the missing partitions, or run `hourseal topics adopt`: then all workers use fewer";
    Err(Failure::from(AdminError::Refused(findings)).hint(hint))
}

/// Refuses brokers whose settings break a promise. Warns of brokers that do not report whether they verify
/// transactions.
async fn check_brokers(admin: &TopicAdmin) -> Result<(), Failure> {
    let report = admin.brokers().await?;
    if !report.findings.is_empty() {
        return Err(AdminError::Refused(report.findings).into());
    }
    if !report.untold.is_empty() {
        let brokers = report.untold.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        warn!(codes::BROKER_UNTOLD, brokers, "brokers do not say whether they verify transactions");
    }
    Ok(())
}
