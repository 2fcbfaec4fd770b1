//! `hourseal topics`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::adopt::{self, Adopt};
use super::{Failure, Settings, cluster, keystore, output, runtime};
use crate::app::{Placed, placed, topic_plan};
use crate::config::Config;
use crate::edge::kafka::admin::{
    AdminError, Inspection, PlaintextWindow, Role, Subject, TopicAdmin, TopicFacts, TopicPlan,
};

#[derive(Subcommand)]
pub enum Topics {
    /// Check that the topics exist and have the required settings; exit code 78 if not
    Check(Check),
    /// Create missing topics with the required settings; existing topics are never changed
    Create(Create),
    /// Let all workers use the number of partitions that an output topic has now
    Adopt(Adopt),
}

#[derive(Args)]
pub struct Check {
    /// One JSON object per topic and per finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Create {
    /// Partitions of input, output and quarantine [default: as many as the input has, else 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    partitions: Option<u16>,
    #[command(flatten)]
    settings: Settings,
}

/// Returns the plan of this configuration, for the retention that a new store would have.
pub(super) fn plan(config: &Config) -> TopicPlan {
    topic_plan(config, config.retention.default.max(config.retention.quarantine))
}

pub fn run(command: Topics) -> anyhow::Result<()> {
    match command {
        Topics::Check(check) => run_check(&check),
        Topics::Create(create) => run_create(&create),
        Topics::Adopt(adopt) => adopt::run(&adopt),
    }
}

fn run_check(check: &Check) -> anyhow::Result<()> {
    let config = check.settings.load()?;
    let plan = plan(&config);
    let admin = TopicAdmin::new(&cluster::client(&config)).map_err(Failure::from)?;
    let mut inspection = runtime::block_on(admin.inspect(&plan))?.map_err(Failure::from)?;
    let brokers = runtime::block_on(admin.brokers())?.map_err(Failure::from)?;
    inspection.findings.extend(brokers.findings);
    let placements = placements(&config, &plan, &inspection);
    inspection.findings.extend(placements.iter().flatten().filter_map(Placed::finding));
    if check.json {
        print_json(&plan, &inspection, &placements)?;
    } else {
        print_table(&plan, &inspection)?;
        print_notes(&placements)?;
    }
    accept(inspection, &plan)
}

/// Returns the placements of the existing output topics, or the reason why they are not known: a person may
/// check the topics before there is a key store, or without its rights.
fn placements(config: &Config, plan: &TopicPlan, inspection: &Inspection) -> Result<Vec<Placed>, String> {
    if plan.partition_as_input {
        return Ok(Vec::new());
    }
    let store = keystore::store(config).map_err(|error| error.to_string())?;
    let placed = runtime::block_on(placed(&*store, plan, &inspection.facts));
    placed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn print_notes(placements: &Result<Vec<Placed>, String>) -> anyhow::Result<()> {
    match placements {
        Ok(placed) => placed.iter().filter_map(Placed::note).try_for_each(|note| output::line(&note)),
        Err(why) => output::line(&format!("the partitions are not compared with the key store: {why}")),
    }
}

/// Returns exit code 78 for a missing or a wrong topic. The caller has already printed each finding on its
/// own line.
fn accept(inspection: Inspection, plan: &TopicPlan) -> anyhow::Result<()> {
    match inspection.accept(plan) {
        Ok(_) => Ok(()),
        Err(AdminError::Refused(findings)) => {
            let refused = AdminError::Refused(Vec::new());
            let message = format!("{} setting(s) break a rule", findings.len());
            Err(Failure::new(Failure::CONFIG, message).hint(refused.hint()).into())
        }
        Err(error) => Err(Failure::from(error).into()),
    }
}

fn print_json(
    plan: &TopicPlan,
    inspection: &Inspection,
    placements: &Result<Vec<Placed>, String>,
) -> anyhow::Result<()> {
    let used = |role| placements.iter().flatten().find(|it| it.role == role).and_then(|it| it.stored);
    for role in plan.roles() {
        let facts = inspection.facts.get(&role);
        output::line(
            &json!({
                "topic": plan.name(role),
                "role": role.to_string(),
                "exists": facts.is_some(),
                "partitions": facts.map(|facts| facts.partitions),
                "used_partitions": used(role),
                "max_message_bytes": facts.map(TopicFacts::max_message_bytes),
            })
            .to_string(),
        )?;
    }
    if let Err(why) = placements {
        output::line(&json!({ "used_partitions": null, "why": why }).to_string())?;
    }
    if let Some(window) = plaintext_window(plan, inspection) {
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis());
        output::line(
            &json!({ "plaintext_ms": { "busy": ms(window.busy()), "idle": ms(window.idle()) } }).to_string(),
        )?;
    }
    for finding in &inspection.findings {
        let (topic, broker) = match &finding.subject {
            Subject::Topic(name) => (Some(name), None),
            Subject::Broker(id) => (None, Some(id)),
        };
        output::line(
            &json!({
                "finding": finding.setting,
                "topic": topic,
                "broker": broker,
                "found": finding.found,
                "wanted": finding.wanted,
                "why": finding.why,
            })
            .to_string(),
        )?;
    }
    Ok(())
}

fn print_table(plan: &TopicPlan, inspection: &Inspection) -> anyhow::Result<()> {
    let row = |role: Role| {
        let facts = inspection.facts.get(&role);
        let (partitions, bytes) = facts.map_or(("-".to_owned(), "-".to_owned()), |facts| {
            (facts.partitions.to_string(), facts.max_message_bytes().to_string())
        });
        let subject = Subject::Topic(plan.name(role).to_owned());
        let broken = inspection.findings.iter().filter(|finding| finding.subject == subject).count();
        let state = match (facts, broken) {
            (None, _) => "missing".to_owned(),
            (_, 0) => "ok".to_owned(),
            (_, n) => format!("{n} wrong"),
        };
        vec![role.to_string(), plan.name(role).to_owned(), partitions, bytes, state]
    };
    let rows: Vec<_> = plan.roles().map(row).collect();
    output::text(&output::table(&["ROLE", "TOPIC", "PARTITIONS", "MAX BYTES", "STATE"], &rows))?;
    inspection.findings.iter().try_for_each(|finding| output::line(&finding.to_string()))?;
    plaintext_window(plan, inspection).map_or(Ok(()), |window| {
        output::line(&format!("plaintext stays in the input after sealing for {window}"))
    })
}

fn plaintext_window(plan: &TopicPlan, inspection: &Inspection) -> Option<PlaintextWindow> {
    inspection.facts.get(&Role::Input).map(|facts| facts.plaintext_window(plan.scrub))
}

fn run_create(create: &Create) -> anyhow::Result<()> {
    let config = create.settings.load()?;
    let plan = plan(&config);
    let admin = TopicAdmin::new(&cluster::client(&config)).map_err(Failure::from)?;
    let partitions = create.partitions.map(usize::from);
    let (created, inspection) = runtime::block_on(admin.create(&plan, partitions))?.map_err(Failure::from)?;
    for topic in &created {
        output::line(&format!("created {topic}"))?;
    }
    // An existing topic may break a rule: that is not a success.
    print_table(&plan, &inspection)?;
    accept(inspection, &plan)
}
