//! `hourseal run`

use clap::Args;

use super::shield::shield_and_log;
use super::{Settings, failure};
use crate::app::{self, AcceptedGap, RunOptions};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Run {
    /// Continue a parked partition, whose committed offset is OFFSET (or `none`); the records in the gap are
    /// given up. May be repeated. Each gap is accepted once
    #[arg(long, value_name = "TOPIC:PARTITION@OFFSET")]
    accept_gap: Vec<AcceptedGap>,

    /// Accept unsigned commands, but only `retention-end` (control.require_signatures = false)
    #[arg(long)]
    unsigned_commands: bool,

    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Creates missing folders, the root key, the key store and topics, then seals.
SIGTERM or Ctrl-C settles the batches in work and ends the process. A second
signal ends it at once, which is safe. SIGHUP reads the settings again; a log
line says which need a restart. Metrics and readiness:
http://127.0.0.1:9464/metrics and /readyz (admin.listen).

Examples:
  hourseal run --bootstrap 127.0.0.1:9092
  hourseal run --config hourseal.toml --set lane.count=4
  HOURSEAL__LOG__FORMAT=json hourseal run";

pub fn run(mut run: Run) -> anyhow::Result<()> {
    if run.unsigned_commands {
        run.settings.set.push("control.require_signatures=false".to_owned());
    }
    let (config, host) = run.settings.serve()?;
    shield_and_log(&config.process);
    let options = RunOptions { accepted_gaps: run.accept_gap };
    Ok(app::run(&config, options, host).map_err(failure::log)?)
}
