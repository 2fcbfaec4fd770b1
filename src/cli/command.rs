//! `hourseal command`: commands that several people sign.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::issue::{Follow, send_file, sign, understood};
use super::{Failure, output};
use crate::forget::to_envelope;

#[derive(Subcommand)]
pub enum CommandFile {
    /// Sign a command that was written with --save
    Sign(Sign),
    /// Send a command that was written with --save, and wait for its receipt
    Send(Send),
}

#[derive(Args)]
pub struct Sign {
    /// The command's file; the signatures are added to it
    file: PathBuf,
    /// Sign with this key; repeatable
    #[arg(long, value_name = "KEY_FILE", required = true)]
    sign_with: Vec<PathBuf>,
}

#[derive(Args)]
pub struct Send {
    /// The command's file
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

/// Prints the command before it is signed: the signer must be able to read it.
fn add_signatures(of: &Sign) -> anyhow::Result<()> {
    let value = std::fs::read(&of.file).map_err(|error| Failure::io("cannot read", &of.file, &error))?;
    let message = understood(&value, Failure::REFUSED)?;
    let Some(mut signatures) = message.signatures else {
        return Err(Failure::new(
            Failure::REFUSED,
            "the command has no envelope for signatures: write it with --save",
        )
        .into());
    };
    output::line(&String::from_utf8_lossy(&message.payload))?;
    for signature in sign(&message.payload, &of.sign_with)? {
        signatures.retain(|there| there.hint != signature.hint);
        signatures.push(signature);
    }
    std::fs::write(&of.file, to_envelope(&message.payload, &signatures))
        .map_err(|error| Failure::io("cannot write", &of.file, &error))?;
    output::line(&format!("{} signatures in {}", signatures.len(), of.file.display()))
}
