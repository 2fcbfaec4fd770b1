//! `hourseal command`: what several people put together.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::issue::{Follow, cannot, send_file, sign, understood};
use super::{Failure, failure, output};
use crate::forget::to_envelope;

#[derive(Subcommand)]
pub enum CommandFile {
    /// Add signatures to a command that was written with --save
    Sign(Sign),
    /// Send a command that was written with --save, and follow it to the receipt
    Send(Send),
}

#[derive(Args)]
pub struct Sign {
    /// The command; the signatures are added to it
    file: PathBuf,
    /// Sign with this key, repeatable
    #[arg(long, value_name = "KEY_FILE", required = true)]
    sign_with: Vec<PathBuf>,
}

#[derive(Args)]
pub struct Send {
    /// The command
    file: PathBuf,
    #[command(flatten)]
    follow: Follow,
}

pub fn run(command: CommandFile) -> anyhow::Result<()> {
    match command {
        CommandFile::Sign(sign) => add_signatures(&sign),
        CommandFile::Send(send) => send_file(&send.file, &send.follow),
    }
}

/// Shows what is signed before it is: a signature under what one has not read is worth nothing.
fn add_signatures(of: &Sign) -> anyhow::Result<()> {
    let value = std::fs::read(&of.file).map_err(|error| cannot(&of.file, &error))?;
    let message = understood(&value)?;
    let Some(mut signatures) = message.signatures else {
        return Err(
            Failure::new(failure::USAGE, "the command is not in an envelope: write it with --save").into()
        );
    };
    output::line(&String::from_utf8_lossy(&message.payload))?;
    for signature in sign(&message.payload, &of.sign_with)? {
        signatures.retain(|there| there.hint != signature.hint);
        signatures.push(signature);
    }
    std::fs::write(&of.file, to_envelope(&message.payload, &signatures))
        .map_err(|error| cannot(&of.file, &error))?;
    output::line(&format!("{} signatures in {}", signatures.len(), of.file.display()))
}
