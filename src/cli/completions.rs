//! `hourseal completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

const HELP: &str = "\
For example:
  hourseal completions bash \\
      > ~/.local/share/bash-completion/completions/hourseal";

pub fn run(completions: Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "hourseal", &mut script);
    output::text(&String::from_utf8_lossy(&script))
}
