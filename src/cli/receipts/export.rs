//! `hourseal receipts export`

use std::path::{Path, PathBuf};

use clap::Args;

use super::reading::{SignedLog, read_signed};
use super::{Failure, Filter, Settings, is_of, none_of, output, verifier_key};
use crate::cli::progress::Progress;
use crate::forget::log::VerifierKey;

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Export {
    /// The folder, created if it is missing; with --id also a file that ends in .tlog-proof
    to: PathBuf,
    /// Only the receipt of this command: its id, or its digest
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// The log's verifier key [default: that of receipts.signing_key_file]
    #[arg(long, value_name = "VKEY", value_parser = verifier_key)]
    key: Option<VerifierKey>,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Each file INDEX.tlog-proof holds a receipt with its proof. The log's verifier
key is enough to verify it (schemas/receipt-log.md). The command also writes
that key (log.vkey) and the checkpoint (checkpoint) to the folder. Receipts that
no checkpoint covers yet are counted and not exported.";

pub fn run(export: &Export) -> anyhow::Result<()> {
    let config = export.settings.load()?;
    let wanted = export.filter.wanted(&config)?;
    let is_wanted = |id: &Option<String>, receipt: &_| id.as_ref().is_none_or(|id| is_of(receipt, id));
    let signed = read_signed(&config, export.key.as_ref(), |receipt, swept| {
        wanted(receipt, swept) && is_wanted(&export.id, receipt)
    })?;
    if let (Some(id), true) = (&export.id, signed.log.entries.is_empty()) {
        return Err(none_of(id).into());
    }
    if export.to.extension().is_some_and(|extension| extension == "tlog-proof") {
        return one_file(&signed, &export.to);
    }
    folder(&signed, &export.to)
}

fn one_file(signed: &SignedLog, to: &Path) -> anyhow::Result<()> {
    let [entry] = signed.log.entries.as_slice() else {
        let message = format!("{} receipts match, but a file holds only one", signed.log.entries.len());
        return Err(Failure::new(Failure::USAGE, message)
            .hint("name one receipt with --id, or give a folder")
            .into());
    };
    write(to, &signed.proof(entry)?.to_string())?;
    output::line(&format!("1 receipt exported; its log's verifier key is {}", signed.key))
}

fn folder(signed: &SignedLog, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).map_err(|why| unwritable(to, &why))?;
    write(&to.join("log.vkey"), &format!("{}\n", signed.key))?;
    write(&to.join("checkpoint"), &signed.checkpoint.to_string())?;
    let size = signed.checkpoint.head().size;
    let (covered, newer): (Vec<_>, Vec<_>) = signed.log.entries.iter().partition(|entry| entry.index < size);
    let mut progress = Progress::of(covered.len() as u64, "receipts exported");
    for (count, entry) in covered.iter().enumerate() {
        write(&to.join(format!("{:08}.tlog-proof", entry.index)), &signed.proof(entry)?.to_string())?;
        progress.at(count as u64 + 1);
    }
    drop(progress);
    let newer = if newer.is_empty() { String::new() } else { format!(", {} not signed yet", newer.len()) };
    output::line(&format!("{} receipts exported to {}{newer}", covered.len(), to.display()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|why| unwritable(path, &why))
}

fn unwritable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::io("cannot write", path, why)
}
