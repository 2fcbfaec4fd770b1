//! See `hourseal --help`.

use std::process::ExitCode;

use hourseal::cli::Cli;

fn main() -> ExitCode {
    match Cli::from_arguments() {
        Ok(cli) => cli.dispatch(),
        Err(printed) => printed,
    }
}
