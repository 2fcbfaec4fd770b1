//! `hourseal config`

use clap::{Args, Subcommand};

use super::{Settings, output};
use crate::app::read_trust;
use crate::config::{show_json, show_toml};

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration: exit code 78 and the reason when it is refused
    Check(Check),
    /// Print every effective setting as TOML, with where it came from
    Show(Show),
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Show {
    /// One JSON object per line: key, value (as TOML), origin
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check(check) => {
            let config = check.settings.read()?;
            read_trust(&config.control)?;
            output::line(&format!(
                "{}: instance {}, group {}",
                output::verdict(true, "ok"),
                config.instance,
                config.kafka.group
            ))
        }
        ConfigCommand::Show(show) => {
            let (_, entries) = show.settings.load_with_entries()?;
            output::text(&if show.json { show_json(&entries) } else { show_toml(&entries) })
        }
    }
}
