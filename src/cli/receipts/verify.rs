//! `hourseal receipts verify`: works offline, with only files and a key.

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use super::{Failure, output, verifier_key};
use crate::forget::SweptHour;
use crate::forget::log::{AnyProof, MAX_PROOF_BYTES, NoProof, VerifierKey};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Verify {
    /// Files with proofs; `-` reads one proof in base64 from each line of stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The log's verifier key: name+id+key
    #[arg(long, value_name = "VKEY", value_parser = verifier_key)]
    key: VerifierKey,
    /// One JSON object per proof
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Prints `ok` with the receipt's place in the log, or `refused` with the step that
failed: form, key, signature, origin, inclusion or swept
(schemas/receipt-log.md). Get the key from the log's operator, not from the
source of the proofs.";

pub fn run(verify: &Verify) -> anyhow::Result<()> {
    let mut refused = 0_u64;
    for file in &verify.files {
        if file == Path::new("-") {
            for (number, line) in std::io::stdin().lock().lines().enumerate() {
                let line = line.map_err(|why| unreadable(file, &why))?;
                // Invalid base64 decodes to nothing, which is refused as a proof.
                let bytes = STANDARD.decode(line.trim_end()).unwrap_or_default();
                refused += u64::from(!judge(verify, &(number + 1).to_string(), &bytes)?);
            }
        } else {
            let bytes = read(file).map_err(|why| unreadable(file, &why))?;
            refused += u64::from(!judge(verify, &file.display().to_string(), &bytes)?);
        }
    }
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(Failure::REFUSED, format!("{refused} proof(s) refused")).into())
}

/// Reads at most the size limit of a proof and one byte, so that a file over the limit is noticed.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_PROOF_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(file: &Path, why: &std::io::Error) -> Failure {
    Failure::io("cannot read", file, why)
}

/// Prints the verdict on one proof. Returns false if the proof is refused.
fn judge(verify: &Verify, name: &str, bytes: &[u8]) -> anyhow::Result<bool> {
    let verdict = AnyProof::parse(bytes).and_then(|proof| proof.verify(&verify.key).map(|()| proof));
    let line = if verify.json { to_json(name, &verdict) } else { to_text(name, &verdict) };
    output::line(&line)?;
    Ok(verdict.is_ok())
}

fn to_text(name: &str, verdict: &Result<AnyProof, NoProof>) -> String {
    match verdict {
        Ok(proof) => {
            let (index, size) = (proof.receipt().index, proof.receipt().checkpoint.head().size);
            format!("{name}: {} {index} of {size}", output::verdict(true, "ok"))
        }
        Err(why) => format!("{name}: {} {}: {why}", output::verdict(false, "refused"), why.code()),
    }
}

fn to_json(name: &str, verdict: &Result<AnyProof, NoProof>) -> String {
    let fields = match verdict {
        Ok(proof) => {
            let receipt = proof.receipt();
            let fields: Option<Value> = serde_json::from_slice(&receipt.value).ok();
            let (origin, size) = (receipt.checkpoint.origin(), receipt.checkpoint.head().size);
            let mut said = json!({ "file": name, "ok": true, "index": receipt.index, "size": size,
                "log": origin, "receipt": fields });
            if let AnyProof::Hour(hour) = proof {
                said["hour"] = SweptHour::parse(&hour.leaf).map_or(Value::Null, |hour| hour_json(&hour));
            }
            said
        }
        Err(why) => json!({ "file": name, "ok": false, "refused": why.code(), "why": why.to_string() }),
    };
    fields.to_string()
}

fn hour_json(hour: &SweptHour) -> Value {
    json!({ "token": hour.token.to_string(), "hour": hour.hour.0, "key_count": hour.key_count })
}
