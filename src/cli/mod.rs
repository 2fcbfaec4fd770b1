//! The command line: one file per command. The only room that prints, and the only one with untyped errors.
//!
//! Promise: an error is one line, its hint another. The exit codes are those of `docs/process.md`.
//! Start at [`Cli`]; each command has a `run`.

mod adopt;
mod canary;
mod cluster;
mod command;
mod completions;
mod config;
mod demo;
mod erase;
mod failure;
mod hold;
mod issue;
mod keygen;
mod keys;
mod keystore;
mod open;
mod output;
mod plan;
mod produce_sample;
mod progress;
mod quarantine;
mod ready;
mod receipts;
mod reclaim;
mod refusal;
mod retention;
mod run;
mod runtime;
mod settings;
mod shield;
mod signals;
mod store;
mod terminal;
mod text;
mod topics;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::Failure;
use crate::telemetry::end_log;
use settings::Settings;

/// Seals a Kafka stream of job events under keys per customer and hour, exactly once, and forgets them on
/// time.
#[derive(Parser)]
#[command(name = "hourseal", version, max_term_width = 100, propagate_version = true,
    after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
First steps:
  hourseal demo                            seal, open and forget in one process
  hourseal try --bootstrap 127.0.0.1:9092  report what `run` would seal
  hourseal run --bootstrap 127.0.0.1:9092  seal `jobs` into `jobs.sealed`
  hourseal produce-sample --rate 100       write sample events to `jobs`
  hourseal open --topic jobs.sealed --from-beginning

Exit codes:
  0   done
  64  the command line is wrong
  65  a command, a file or a proof is refused, or nothing has this name
  69  Kafka, the key store or the asked process is away
  70  a bug
  74  a file of the command line, stdin or stdout cannot be read or written
  78  a setting is wrong, or a file, a topic or a right that it needs";

#[derive(Subcommand)]
enum Command {
    /// Seal, open and forget in one process; nothing to install
    Demo(demo::Demo),
    /// Seal the input topic until a signal stops the process
    Run(run::Run),
    /// Ask a running process whether it is ready; for health checks
    Ready(ready::Ready),
    /// Test the whole path continuously, from outside
    Canary(canary::Canary),
    /// Write sample job events to the input topic
    ProduceSample(produce_sample::ProduceSample),
    /// Read events, and report what a worker with these settings would do with them
    Try(trial::Try),
    /// Open sealed records and print each as a JSON line
    Open(open::Open),
    /// Plan or request the erasure of hours, or of a customer
    #[command(subcommand)]
    Erase(erase::Erase),
    /// Place, release or list legal holds
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Sign or send a saved command
    #[command(subcommand)]
    #[command(name = "command")]
    File(command::CommandFile),
    /// Generate a signing key
    Keygen(keygen::Keygen),
    /// List or show keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List quarantined records, or reprocess them
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// List, export or verify receipts; print certificates
    #[command(subcommand)]
    Receipts(receipts::Receipts),
    /// Delete records that can no longer be opened from the beginning of the output topic
    Reclaim(reclaim::Reclaim),
    /// Show or change retention; list due hours
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Create, check, purge or restore the key store
    #[command(subcommand)]
    Store(store::Store),
    /// Check or create the topics; use partitions that were added
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Check or show the configuration; print an example or the schema
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a shell completion script
    Completions(completions::Completions),
}

impl Cli {
    /// Parses the arguments. `Err` holds the exit code, after the help, the version or an error was printed.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let printed = error.print();
            match printed {
                _ if error.use_stderr() => Failure::USAGE.into(),
                // The reader of `hourseal --help | head` has read enough.
                Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Failure::IO.into(),
                _ => failure::OK.into(),
            }
        })
    }

    /// Runs the command.
    pub fn dispatch(self) -> ExitCode {
        let done = match self.command {
            Command::Demo(demo) => demo::run(demo),
            Command::Run(run) => run::run(run),
            Command::Canary(canary) => canary::run(canary),
            Command::Ready(ready) => ready::run(&ready),
            Command::ProduceSample(sample) => produce_sample::run(sample),
            Command::Try(flags) => trial::run(&flags),
            Command::Open(open) => open::run(open),
            Command::Erase(erase) => erase::run(erase),
            Command::Hold(hold) => hold::run(hold),
            Command::File(command) => command::run(command),
            Command::Keygen(keygen) => keygen::run(&keygen),
            Command::Keys(keys) => keys::run(keys),
            Command::Quarantine(quarantine) => quarantine::run(quarantine),
            Command::Receipts(receipts) => receipts::run(receipts),
            Command::Reclaim(reclaim) => reclaim::run(&reclaim),
            Command::Retention(retention) => retention::run(retention),
            Command::Store(store) => store::run(store),
            Command::Topics(topics) => topics::run(topics),
            Command::Config(config) => config::run(config),
            Command::Completions(completions) => completions::run(completions),
        };
        end_log();
        match done {
            Ok(()) => failure::OK.into(),
            Err(error) if error.is::<output::Closed>() => failure::OK.into(),
            Err(error) => failure::report(&error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    fn all(command: clap::Command) -> Vec<clap::Command> {
        let below: Vec<_> = command.get_subcommands().cloned().flat_map(all).collect();
        std::iter::once(command).chain(below).collect()
    }

    /// clap would break a longer line in the middle of an example.
    #[test]
    fn the_text_after_a_help_fits_80_columns() {
        let commands = all(Cli::command());
        assert!(commands.len() > 40);
        for command in commands {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert_eq!(wide, Vec::<&str>::new(), "{}", command.get_name());
        }
    }
}
