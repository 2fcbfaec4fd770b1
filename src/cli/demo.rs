//! `hourseal demo`

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::progress::Progress;
use super::{output, shield, signals};
use crate::app::{self, DemoOptions};
use crate::config::Process;

const HELP: &str = "\
Seals events of 20 customers over 6 hours on an in-process mock of Kafka, opens
them, erases one hour of one customer with a control message, and shows the same
record before and after. The mock has no transaction isolation; `hourseal run`
on a real broker has it.";

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Demo {
    /// Keep the sealed records and the keys in the folder `hourseal-demo`, and print how to look at them
    #[arg(long)]
    pub keep: bool,

    /// Number of events
    #[arg(long, default_value = "2000")]
    pub events: NonZeroU64,
}

pub fn run(demo: Demo) -> anyhow::Result<()> {
    let keep = demo.keep.then(|| PathBuf::from("hourseal-demo"));
    let options = DemoOptions { keep, events: demo.events.get() };
    shield::shield(&Process { dumpable: false });
    let stop = signals::stop()?;
    let mut printed = Ok(());
    let mut progress = Progress::of(options.events, "events sealed");
    let mut say = |line: String| {
        if printed.is_ok() {
            printed = output::line(&line);
        }
    };
    let shown = app::demo(&options, &stop, &mut say, &mut |sealed| progress.at(sealed));
    drop(progress);
    shown?;
    printed
}
