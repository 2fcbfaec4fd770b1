//! The flags that all commands share, and the configuration from them. The only place that reads the
//! environment.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::failure;
use super::shield::shield;
use super::terminal::has_colours;
use crate::app::{Failure, Host, Rereading};
use crate::config::{Config, ENV_PREFIX, Entry, Layers};
use crate::edge::supervisor::Supervisor;
use crate::telemetry::{self, Logging, codes, warn};

/// The sources of settings. Flags win over HOURSEAL__SECTION__KEY in the environment, which wins over the
/// file, which wins over the defaults.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// TOML file; without one the defaults apply
    #[arg(long, short, value_name = "FILE", env = "HOURSEAL_CONFIG")]
    pub config: Option<PathBuf>,

    /// Kafka's address, HOST:PORT (kafka.bootstrap)
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,

    /// Any setting; repeatable: --set lane.batch_time=50ms, --set scrub.groups=a,b
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Settings {
    /// Returns the effective configuration, for a command that may read keys. Shields the process as the
    /// configuration says. A command logs only at `log.level = "debug"` and below: its errors are its log.
    pub fn load(&self) -> Result<Config, Failure> {
        let config = self.read()?;
        if config.log.level.is_debug() {
            let _ = start_logging(&config);
        }
        shield(&config.process);
        Ok(config)
    }

    /// Returns the effective configuration, and does not shield the process.
    pub fn read(&self) -> Result<Config, Failure> {
        Ok(self.load_with_entries()?.0)
    }

    /// Returns the effective configuration, and the origin of every value.
    pub fn load_with_entries(&self) -> Result<(Config, Vec<Entry>), Failure> {
        ignored_variables().for_each(|ignored| failure::warn(&ignored));
        Ok(Config::load_with_entries(&self.layers())?)
    }

    /// Returns the effective configuration of a process that serves, with what this process is for its host.
    /// Starts its log.
    pub fn serve(self) -> Result<(Config, Host), Failure> {
        let (config, started_with) = Config::load_with_entries(&self.layers())?;
        let logging = start_logging(&config);
        telemetry::log_panics();
        ignored_variables().for_each(|ignored| warn!(codes::VARIABLE_IGNORED, "{ignored}"));
        let read = Box::new(move || Config::load_with_entries(&self.layers()));
        let supervisor = Supervisor::find(variable);
        Ok((config, Host { rereading: Rereading { started_with, read, logging }, supervisor }))
    }

    fn layers(&self) -> Layers {
        let set = self.set.iter().map(|assignment| ("--set".to_owned(), assignment.clone()));
        let bootstrap =
            self.bootstrap.iter().map(|to| ("--bootstrap".to_owned(), format!("kafka.bootstrap={to}")));
        Layers {
            file: self.config.clone(),
            env: environment(),
            flags: set.chain(bootstrap).collect(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn start_logging(config: &Config) -> Logging {
    telemetry::start_logging(config.log.format, config.log.level, has_colours(&std::io::stderr()))
}

/// Returns a variable that is not a setting.
pub fn variable(name: &str) -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var_os(name)
}

/// Returns our variables. A variable that is not UTF-8 cannot be a setting; it is kept, so that it is refused
/// by name.
fn environment() -> Vec<(String, String)> {
    variables().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect()
}

/// Returns a warning for each variable that is ignored.
fn ignored_variables() -> impl Iterator<Item = String> {
    let wrong = misspelt(variables().map(|(name, _)| name)).into_iter();
    wrong.map(|(wrong, right)| format!("the variable {wrong} is ignored: set {right} instead"))
}

/// Returns the variables whose names lack an underscore to be settings, each with its right name.
fn misspelt(names: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let ours = Config::variables();
    let right = |name: &String| {
        let is_it = |it: &&String| it.replace("__", "_") == *name && *it != name;
        ours.iter().find(is_it).cloned()
    };
    names.filter_map(|name| Some((name.clone(), right(&name)?))).collect()
}

/// Returns all variables, as text.
fn variables() -> impl Iterator<Item = (String, String)> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let all = std::env::vars_os();
    let text = |(name, value): (OsString, OsString)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    };
    all.map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_lacks_an_underscore_is_told_its_right_name() {
        let names =
            ["HOURSEAL_LANE_COUNT", "HOURSEAL__LANE__COUNT", "HOURSEAL_CONFIG", "HOURSEAL_PORT", "PATH"];
        let found = misspelt(names.into_iter().map(str::to_owned));
        assert_eq!(found, [("HOURSEAL_LANE_COUNT".to_owned(), "HOURSEAL__LANE__COUNT".to_owned())]);
        let found = misspelt(["HOURSEAL_KAFKA_SASL_PASSWORD_FILE".to_owned()].into_iter());
        assert_eq!(found[0].1, "HOURSEAL__KAFKA__SASL_PASSWORD_FILE");
    }
}
