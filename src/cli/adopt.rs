//! `hourseal topics adopt`

use clap::Args;

use super::topics::plan;
use super::{Failure, Settings, cluster, keystore, output, runtime};
use crate::app::{Fit, Placed, placed};
use crate::edge::kafka::admin::TopicAdmin;
use crate::keys::SealStore;

/// Printed after a change.
const FOLLOW: &str = "\
Running workers follow within 10 s. Until then, and for hours that have records already, the records of a
slot can be in two partitions. `quarantine redrive` follows at its next start.";

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Adopt {
    /// Only this output topic [default: each output topic]
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
The workers place the records of a customer's hour by a number of partitions
that is in the key store, the same for all workers. The first worker stores the
number that the topic has. Partitions that you add later stay empty until you
run this command. It also accepts a topic that was created again with fewer
partitions.

Running workers follow within 10 s. The records of an hour that has records
already can then be in two partitions, and their order across these is lost.
With `seal.partitioner = \"input\"` there is nothing to adopt: each record goes to
the partition with the number of its input partition.

Examples:
  kafka-topics.sh --bootstrap-server 127.0.0.1:9092 \\
    --alter --topic jobs.sealed --partitions 16
  hourseal topics check
  hourseal topics adopt --topic jobs.sealed";

pub fn run(adopt: &Adopt) -> anyhow::Result<()> {
    let config = adopt.settings.load()?;
    let plan = plan(&config);
    if plan.partition_as_input {
        let why = "there is nothing to adopt: `seal.partitioner` is `input`";
        let hint = "each record goes to the partition with the number of its input partition";
        return Err(Failure::new(Failure::CONFIG, why).hint(hint).into());
    }
    if let Some(topic) = &adopt.topic
        && !plan.outputs().any(|role| plan.name(role) == topic)
    {
        let why = "--topic names no output topic of this configuration";
        let hint = "`hourseal topics check` lists them: their roles are output and class";
        return Err(Failure::new(Failure::USAGE, why).hint(hint).into());
    }
    let admin = TopicAdmin::new(&cluster::client(&config)).map_err(Failure::from)?;
    let inspection = runtime::block_on(admin.inspect(&plan))?.map_err(Failure::from)?;
    let facts = inspection.accept(&plan).map_err(Failure::from)?;
    let store = keystore::sealing(&config)?;
    let placed = runtime::block_on(placed(&*store, &plan, &facts))?.map_err(Failure::from)?;
    let chosen = placed.iter().filter(|it| adopt.topic.as_ref().is_none_or(|topic| it.topic == *topic));
    let mut changed = false;
    for it in chosen {
        changed |= change(&*store, it)?;
    }
    if changed { output::line(FOLLOW) } else { Ok(()) }
}

/// Stores the topic's number of partitions as its placement, and prints it. Returns whether another one was
/// stored before.
fn change(store: &dyn SealStore, placed: &Placed) -> anyhow::Result<bool> {
    let Placed { topic, stored, found, .. } = placed;
    if placed.fit() == Fit::Whole {
        output::line(&format!("{topic}: the workers use all {found} partitions"))?;
        return Ok(false);
    }
    let now = runtime::block_on(store.set_placement(topic, *stored, *found))?.map_err(Failure::from)?;
    if now != *found {
        let why = format!("topic `{topic}`: another process stored the placement {now} at the same time");
        return Err(Failure::new(Failure::DEPENDENCY, why).hint("run the command again").into());
    }
    let before = stored.map_or_else(|| "not stored".to_owned(), |stored| stored.to_string());
    output::line(&format!("{topic}: the workers use {found} partitions, before: {before}"))?;
    Ok(stored.is_some())
}
