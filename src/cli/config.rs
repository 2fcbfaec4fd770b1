//! `hourseal config`

use clap::{Args, Subcommand};

use super::{Settings, output};
use crate::app::read_trust;
use crate::config::{Config, EXAMPLE, show_json, show_toml};

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration: exit code 78 and every mistake when it is refused
    Check(Check),
    /// Print every setting as TOML, with where its value came from
    Show(Show),
    /// Print every setting with its meaning and its default: a file to begin with
    ///
    /// As it stands it changes nothing: `hourseal config example > hourseal.toml`.
    Example,
    /// Print a JSON Schema of the configuration file, for editors and pipelines
    ///
    /// Draft 2020-12. Editors with Taplo take it by a first line `#:schema ./hourseal.schema.json`.
    Schema,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Show {
    /// One JSON object per line: key, value (as TOML, or null), origin
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
        ConfigCommand::Example => output::text(EXAMPLE),
        ConfigCommand::Schema => output::text(&format!("{:#}\n", Config::schema())),
    }
}
