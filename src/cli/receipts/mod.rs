//! `hourseal receipts`: the receipts of erasures, and their proofs for others.
//!
//! Promise: each proof and certificate is verified here before it is printed or written. `verify` needs
//! neither Kafka nor a configuration.
//! Start at [`Receipts`]. `reading.rs` reads the topic; `schemas/receipt-log.md` defines the formats.

mod certificate;
mod export;
mod ls;
mod reading;
mod verify;

use clap::{Args, Subcommand};

use super::{Failure, Settings, keystore, output, runtime, text};
use crate::config::Config;
use crate::forget::log::VerifierKey;
use crate::forget::{Outcome, Receipt, SweptHour};
use crate::model::{CustomerId, Millis, Token};

#[derive(Subcommand)]
pub enum Receipts {
    /// List receipts, one line each
    Ls(ls::Ls),
    /// Show the receipt of one command
    Show(ls::Show),
    /// Verify proofs of receipts offline; exit code 65 if one is refused
    Verify(verify::Verify),
    /// Print the certificate of an erasure, with its proof
    Certificate(certificate::Certificate),
    /// Write receipts to files, with their proofs
    Export(export::Export),
}

pub fn run(command: Receipts) -> anyhow::Result<()> {
    match command {
        Receipts::Ls(ls) => ls::run_ls(&ls),
        Receipts::Show(show) => ls::run_show(&show),
        Receipts::Verify(verify) => verify::run(&verify),
        Receipts::Certificate(certificate) => certificate::run(&certificate),
        Receipts::Export(export) => export::run(&export),
    }
}

/// Selects receipts; all receipts without a flag.
#[derive(Args)]
struct Filter {
    /// Only receipts of this customer, including sweeps of its hours
    #[arg(long, value_parser = text::customer)]
    customer: Option<CustomerId>,
    /// Only receipts done at or after this RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = text::time)]
    since: Option<Millis>,
    /// Only receipts with this outcome: erased, nothing-to-erase, refused, incomplete or kek-destroyed
    #[arg(long, value_parser = outcome)]
    outcome: Option<Outcome>,
}

impl Filter {
    /// Returns the test whether a receipt is selected. Only the key store can turn a customer's name into a
    /// token.
    fn wanted(&self, config: &Config) -> anyhow::Result<impl Fn(&Receipt, &[SweptHour]) -> bool + use<>> {
        let token: Option<Token> = match &self.customer {
            Some(customer) => Some(keystore::store(config)?.token(customer)),
            None => None,
        };
        let (since, outcome) = (self.since, self.outcome);
        Ok(move |receipt: &Receipt, swept: &[SweptHour]| {
            token.is_none_or(|token| concerns(receipt, swept, token))
                && since.is_none_or(|since| receipt.done_at >= since)
                && outcome.is_none_or(|outcome| receipt.outcome == outcome)
        })
    }
}

/// Whether a receipt covers a customer's hours.
fn concerns(receipt: &Receipt, swept: &[SweptHour], token: Token) -> bool {
    receipt.token == Some(token) || swept.iter().any(|hour| hour.token == token)
}

fn outcome(text: &str) -> Result<Outcome, String> {
    use Outcome::{Erased, Incomplete, KekDestroyed, NothingToErase, Refused};
    let all = [Erased, NothingToErase, Refused, Incomplete, KekDestroyed];
    let found = all.into_iter().find(|outcome| outcome.code() == text);
    found.ok_or_else(|| format!("not one of {}", all.map(Outcome::code).join(", ")))
}

/// Whether a receipt is that of a command, named by its own id or by its digest.
fn is_of(receipt: &Receipt, id: &str) -> bool {
    receipt.command == id || receipt.id.to_string() == id
}

fn none_of(id: &str) -> Failure {
    Failure::new(Failure::REFUSED, format!("no receipt of a command `{id}`"))
        .hint("`hourseal receipts ls` lists commands and digests")
}

/// Parses a verifier key; for clap.
fn verifier_key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}
