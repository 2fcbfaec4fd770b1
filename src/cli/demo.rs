//! `hourseal demo`

use std::num::NonZeroU64;

use clap::Args;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Demo {
    /// Keep the folder with the sealed records, the keys and how to look into it
    #[arg(long)]
    pub keep: bool,

    /// Number of events
    #[arg(long, default_value = "2000")]
    pub events: NonZeroU64,
}

const HELP: &str = "\
Seals events of 20 customers over 6 hours on an in-process mock of Kafka, opens them, erases one
customer's hour by a control message, and shows the same record before and after.
The mock has no transaction isolation; `hourseal run` on a real broker has.";

pub fn run(_demo: Demo) -> anyhow::Result<()> {
    // crate::app::demo(app::Demo { keep, events })
    anyhow::bail!("the demo is not wired yet")
}
