//! `hourseal config`

use clap::{Args, Subcommand};

use super::{Settings, output};
use crate::app::preflight;
use crate::config::{Config, EXAMPLE, show_json, show_toml};

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and the files it names. If one is refused: every mistake, and exit code 78
    Check(Check),
    /// Print every setting as TOML, with the origin of its value
    Show(Show),
    /// Print every setting with its meaning and its default, as a file to start with
    ///
    /// Unedited, the file changes nothing: `hourseal config example > hourseal.toml`.
    Example,
    /// Print a JSON Schema of the configuration file, for editors and pipelines
    ///
    /// Draft 2020-12. Editors with Taplo read it if the first line is `#:schema ./hourseal.schema.json`.
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
            let config = check.settings.load()?;
            preflight(&config)?;
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
