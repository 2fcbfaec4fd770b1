//! `hourseal canary`

use clap::Args;

use super::shield::shield_and_log;
use super::{Settings, failure};
use crate::app;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Canary {
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Each hour it sends an event to the input, opens it from the output, and verifies
after its retention that it can no longer be opened. It needs the rights of a
producer and of a reader, and no key that signs commands. First set the
retention of its customer to one hour, as the example does. Its metrics and
readiness are on a port of its own (admin.listen).

Examples:
  hourseal retention set --customer hourseal-canary --keep 1h \\
      --sign-with dpo.key --sign-with legal.key
  hourseal canary --config hourseal.toml --set admin.listen=127.0.0.1:9465";

pub fn run(canary: Canary) -> anyhow::Result<()> {
    let (config, host) = canary.settings.serve()?;
    shield_and_log(&config.process);
    Ok(app::canary(&config, host).map_err(failure::log)?)
}
