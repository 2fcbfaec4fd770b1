//! `hourseal receipts certificate`: an erasure in the words that auditors ask for, with its proof.

use clap::Args;
use serde_json::{Map, Value, json};

use super::reading::{Entry, SignedLog, read_signed};
use super::{Failure, Settings, is_of, none_of, output, verifier_key};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::forget::log::VerifierKey;
use crate::forget::{Outcome, Receipt, assumption};
use crate::lane::OutputKey;
use crate::model::{Clock as _, Hour, Millis};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Certificate {
    /// The command's id, or its digest
    id: String,
    /// The log's verifier key [default: that of receipts.signing_key_file]
    #[arg(long, value_name = "VKEY", value_parser = verifier_key)]
    key: Option<VerifierKey>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Only for what was erased, or had no key: a receipt `refused` or `incomplete` gets no certificate,
and exit code 65. The proof at its end is a file of its own for `hourseal receipts verify`.";

pub fn run(flags: &Certificate) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let signed = read_signed(&config, flags.key.as_ref(), |receipt| is_of(receipt, &flags.id))?;
    let entry = certifiable(&signed.log.entries, &flags.id)?;
    let proof = signed.proof(entry)?;
    let rows = rows(&config, &signed, entry, SystemClock.now());
    if flags.json {
        let mut fields: Map<String, Value> =
            rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        fields.insert("proof".to_owned(), proof.to_string().into());
        return output::line(&Value::Object(fields).to_string());
    }
    output::text(&format!("{}\nproof\n\n{proof}", output::fields(&rows)))
}

/// The receipt that can be certified. Where an id was used twice, that of the command that was carried out.
fn certifiable<'a>(entries: &'a [Entry], id: &str) -> Result<&'a Entry, Failure> {
    let is_done = |entry: &&Entry| matches!(entry.receipt.outcome, Outcome::Erased | Outcome::NothingToErase);
    entries.iter().find(is_done).ok_or_else(|| match entries.last() {
        None => none_of(id),
        Some(Entry { receipt, .. }) => {
            let why = receipt.why.map_or("no reason", |why| why.code());
            let message = format!("no certificate: the command ended {} ({why})", receipt.outcome.code());
            Failure::new(Failure::REFUSED, message)
                .hint("erase again when the reason is gone; that has its own receipt")
        }
    })
}

/// The certificate's fields in their order.
fn rows(config: &Config, signed: &SignedLog, entry: &Entry, now: Millis) -> Vec<(&'static str, Value)> {
    let receipt = &entry.receipt;
    let head = signed.checkpoint.head();
    let mut rows = vec![
        ("certificate", "hourseal erasure certificate, version 1".into()),
        ("issued_at", now.to_string().into()),
        ("issued_with", concat!("hourseal ", env!("CARGO_PKG_VERSION")).into()),
        ("key_store", receipt.store.to_string().into()),
    ];
    rows.extend(what_was_done(receipt));
    rows.extend(how_far_it_reaches(config, receipt));
    rows.extend([
        ("log", signed.checkpoint.origin().into()),
        ("log_index", entry.index.into()),
        ("log_size", head.size.into()),
        ("log_root", hex::encode(head.root.0).into()),
        ("verifier_key", signed.key.to_string().into()),
    ]);
    rows
}

fn what_was_done(receipt: &Receipt) -> Vec<(&'static str, Value)> {
    let fields: Value = serde_json::from_slice(&receipt.to_json()).expect("a receipt is JSON");
    let field = |name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let keys = match receipt.keys.len() as u64 == receipt.key_count {
        true => field("keys"),
        false => "their list was too long for the receipt".into(),
    };
    let due = receipt.due.map(|due| due.at().to_string());
    vec![
        ("outcome", receipt.outcome.code().into()),
        ("customer_token", field("token")),
        ("first_hour", hour(receipt.from)),
        ("last_hour", hour(receipt.to)),
        ("keys_erased", receipt.key_count.into()),
        ("keys", keys),
        (
            "method",
            "cryptographic erasure: the 256-bit keys of XChaCha20-Poly1305, one for each customer, hour and generation, were \
             overwritten in the key store, and none is made for these hours again"
                .into(),
        ),
        (
            "verification",
            "the key store was read back before the receipt was published; the receipt is in a signed log, as its proof shows"
                .into(),
        ),
        ("command", field("command")),
        ("command_sha256", field("id")),
        ("issuer", field("issuer")),
        ("requested_at", field("requested_at")),
        ("due_at", due.into()),
        ("done_at", field("done_at")),
        ("unusable_after", field("unusable_after")),
    ]
}

fn how_far_it_reaches(config: &Config, receipt: &Receipt) -> Vec<(&'static str, Value)> {
    let topics = &config.topics;
    let covers = format!(
        "the records of this customer and these hours in the topics `{}` and `{}`, and in every copy of them: replicas, mirrors, \
         backups, consumers' copies of the sealed records",
        topics.output, topics.quarantine
    );
    let plaintext = format!(
        "the input topic `{}` is plaintext and is not covered: its events go by that topic's own retention",
        topics.input
    );
    let mut visible =
        vec!["the hour and the time of each record", "its length", "its place among the others"];
    if config.seal.key == OutputKey::Customer {
        visible.insert(0, "the customer, as the record's key");
    }
    vec![
        ("level", "L1".into()),
        (
            "level_means",
            "erased in the key store; copies of the key store made before are covered when what wrapped the keys is \
             destroyed, which is due at l3_by and is not confirmed here".into(),
        ),
        ("l3_by", receipt.l3_by.map(|at| at.to_string()).into()),
        ("covers", covers.into()),
        ("does_not_cover", json!([plaintext, "what was opened before and kept elsewhere"])),
        ("stays_visible", json!(visible)),
        ("assumptions", receipt.assumptions.iter().map(|code| assumed(code)).collect()),
    ]
}

/// With its number in SECURITY.md.
fn assumed(code: &str) -> Value {
    assumption(code).map_or_else(|| code.into(), |known| format!("{code}: {}", known.text).into())
}

fn hour(hour: Hour) -> Value {
    json!(format!("{} ({hour})", hour.0))
}
