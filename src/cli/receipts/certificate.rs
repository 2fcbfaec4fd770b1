//! `hourseal receipts certificate`: a description of an erasure for auditors, with its proof.

use clap::Args;
use serde_json::{Map, Value, json};

use super::reading::{Entry, SignedLog, read_signed};
use super::{Failure, Settings, is_of, keystore, none_of, output, text, verifier_key};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::forget::log::{AnyProof, VerifierKey};
use crate::forget::{Act, Deed, ErasedKey, Outcome, Receipt, SweptHour, assumption};
use crate::lane::OutputKey;
use crate::model::{Clock as _, CustomerId, Hour, Millis, Token};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Certificate {
    /// The command's id, or its digest
    #[arg(required_unless_present = "customer", conflicts_with = "customer")]
    id: Option<String>,
    /// The customer of an hour, instead of a command; also for an hour that a sweep erased
    #[arg(long, value_parser = text::customer, requires = "hour")]
    customer: Option<CustomerId>,
    /// The hour of the customer: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour, requires = "customer")]
    hour: Option<Hour>,
    /// The log's verifier key [default: that of receipts.signing_key_file]
    #[arg(long, value_name = "VKEY", value_parser = verifier_key)]
    key: Option<VerifierKey>,
    /// One JSON object: names, numbers and codes, without the explanations
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Only for hours that were erased or had no key. A receipt `refused` or
`incomplete` gets no certificate, and exit code 65. To verify the proof at the
end, save it as a file and pass it to `hourseal receipts verify`.

Examples:
  hourseal receipts certificate 2026-11-24/17
  hourseal receipts certificate --customer acme --hour 2026-10-24T13:00Z --json";

pub fn run(flags: &Certificate) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let asked = Asked::of(flags, &config)?;
    let signed = read_signed(&config, flags.key.as_ref(), |receipt, swept| {
        asked.concerns(receipt, swept) || matches!(receipt.deed, Deed::DestroyKek { .. })
    })?;
    let certified = certifiable(&signed, &asked)?;
    let proof = &certified.proof;
    let rows = rows(&config, &signed, &certified, SystemClock.now());
    if flags.json {
        return output::line(&to_json(&config, rows, &certified).to_string());
    }
    output::text(&format!("{}\nproof\n\n{proof}", output::fields(&rows)))
}

/// Fields that explain to people. The JSON object has names, numbers and codes in their place.
const PROSE: [&str; 5] = ["method", "verification", "level_means", "covers", "does_not_cover"];

fn to_json(config: &Config, rows: Vec<(&'static str, Value)>, certified: &Certified) -> Value {
    let Certified { receipt, proof, .. } = certified;
    let rows = rows.into_iter().filter(|(name, _)| !PROSE.contains(name));
    let mut fields: Map<String, Value> = rows.map(|(name, value)| (name.to_owned(), value)).collect();
    let topics = &config.topics;
    let covered: Vec<String> = topics.outputs().into_iter().chain([topics.quarantine.clone()]).collect();
    let mut visible = vec!["hour", "time", "length", "position"];
    if config.seal.key == OutputKey::Customer {
        visible.insert(0, "customer");
    }
    let is_listed = receipt.keys.len() as u64 == receipt.key_count;
    for (name, value) in [
        ("first_hour", json!(receipt.from.0)),
        ("first_hour_start", json!(receipt.from.to_string())),
        ("last_hour", json!(receipt.to.0)),
        ("last_hour_start", json!(receipt.to.to_string())),
        ("keys", fields.remove("keys").filter(|_| is_listed).unwrap_or_default()),
        ("covered_topics", json!(covered)),
        ("plaintext_topic", json!(topics.input)),
        ("stays_visible", json!(visible)),
        ("assumptions", json!(receipt.assumptions)),
        ("proof", json!(proof.to_string())),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

/// The command or hour to certify.
enum Asked {
    Command(String),
    Hour(Token, Hour),
}

/// An erasure that can be certified. For a sweep: one hour, as if it had its own receipt.
struct Certified {
    index: u64,
    receipt: Receipt,
    proof: AnyProof,
}

impl Asked {
    fn of(flags: &Certificate, config: &Config) -> anyhow::Result<Self> {
        match (&flags.id, &flags.customer, flags.hour) {
            (_, Some(customer), Some(hour)) => Ok(Self::Hour(keystore::store(config)?.token(customer), hour)),
            (id, _, _) => Ok(Self::Command(id.clone().expect("clap wants one of them"))),
        }
    }

    fn concerns(&self, receipt: &Receipt, swept: &[SweptHour]) -> bool {
        match self {
            Self::Command(id) => is_of(receipt, id),
            Self::Hour(token, hour) => {
                let by_command = matches!(receipt.deed, Deed::Command(Act::Erase(_) | Act::EraseCustomer))
                    && receipt.token == Some(*token)
                    && (receipt.from..=receipt.to).contains(hour);
                by_command || place(swept, *token, *hour).is_some()
            }
        }
    }

    fn none(&self) -> Failure {
        match self {
            Self::Command(id) => none_of(id),
            Self::Hour(_, hour) => {
                Failure::new(Failure::REFUSED, format!("no receipt covers hour {} of that customer", hour.0))
                    .hint("`hourseal receipts ls --customer` lists what was erased")
            }
        }
    }
}

fn place(swept: &[SweptHour], token: Token, hour: Hour) -> Option<usize> {
    swept.iter().position(|of| of.token == token && of.hour == hour)
}

/// Returns the erasure that can be certified. If an id was used twice: the erasure of the command that was
/// carried out.
fn certifiable(signed: &SignedLog, asked: &Asked) -> Result<Certified, Failure> {
    let found: Vec<&Entry> =
        signed.log.entries.iter().filter(|entry| asked.concerns(&entry.receipt, &entry.swept)).collect();
    let is_done =
        |entry: &&&Entry| matches!(entry.receipt.outcome, Outcome::Erased | Outcome::NothingToErase);
    let Some(entry) = found.iter().find(is_done) else {
        return Err(found.last().map_or_else(|| asked.none(), |entry| not_done(&entry.receipt)));
    };
    let (index, receipt) = (entry.index, entry.receipt.clone());
    let Deed::Sweep(_) = receipt.deed else {
        return Ok(Certified { index, receipt, proof: AnyProof::Receipt(signed.proof(entry)?) });
    };
    let Asked::Hour(token, hour) = *asked else {
        return Err(Failure::new(
            Failure::REFUSED,
            "a sweep has no certificate as a whole, only one for each hour",
        )
        .hint("name one of its hours with `--customer` and `--hour`"));
    };
    let at = place(&entry.swept, token, hour).expect("that is why it was found");
    let SweptHour { key_count, keys, .. } = entry.swept[at].clone();
    let of_the_hour =
        Receipt { token: Some(token), from: hour, to: hour, keys, key_count: key_count.into(), ..receipt };
    Ok(Certified { index, receipt: of_the_hour, proof: signed.hour_proof(entry, at)? })
}

fn not_done(receipt: &Receipt) -> Failure {
    let why = receipt.why.map_or("no reason", |why| why.code());
    let message = format!("no certificate: the outcome of the command is {} ({why})", receipt.outcome.code());
    Failure::new(Failure::REFUSED, message)
        .hint("remove the reason and erase again; the new command gets its own receipt")
}

/// Returns the time at which the last of these keys' KEKs was destroyed. `None` if one still exists, or if
/// the receipt does not list the keys.
fn kek_destroyed_at(signed: &SignedLog, receipt: &Receipt) -> Option<Millis> {
    let is_listed = !receipt.keys.is_empty() && receipt.keys.len() as u64 == receipt.key_count;
    let done = |key: &ErasedKey| {
        let entries = signed.log.entries.iter().map(|entry| &entry.receipt);
        let of_kek =
            |receipt: &&Receipt| matches!(&receipt.deed, Deed::DestroyKek { kek, .. } if *kek == key.kek);
        entries.filter(of_kek).map(|receipt| receipt.done_at).min_by_key(|at| at.0)
    };
    let done: Vec<Option<Millis>> = receipt.keys.iter().filter(|_| is_listed).map(done).collect();
    done.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|at| at.0)
}

/// Returns the certificate's fields in their order.
fn rows(
    config: &Config,
    signed: &SignedLog,
    certified: &Certified,
    now: Millis,
) -> Vec<(&'static str, Value)> {
    let Certified { index, receipt, .. } = certified;
    let head = signed.checkpoint.head();
    let mut rows = vec![
        ("certificate", "hourseal erasure certificate, version 1".into()),
        ("issued_at", now.to_string().into()),
        ("issued_with", concat!("hourseal ", env!("CARGO_PKG_VERSION")).into()),
        ("key_store", receipt.store.to_string().into()),
    ];
    rows.extend(what_was_done(receipt));
    rows.extend(how_far_it_reaches(config, receipt, kek_destroyed_at(signed, receipt)));
    rows.extend([
        ("log", signed.checkpoint.origin().into()),
        ("log_index", (*index).into()),
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
            "cryptographic erasure: the 256-bit keys of XChaCha20-Poly1305, one for each customer, hour and \
             generation, were overwritten in the key store, and none is made for these hours again"
                .into(),
        ),
        (
            "verification",
            "the key store was read back before the receipt was published; the receipt is in a signed log, \
             as its proof shows"
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

fn how_far_it_reaches(
    config: &Config,
    receipt: &Receipt,
    kek_destroyed_at: Option<Millis>,
) -> Vec<(&'static str, Value)> {
    let topics = &config.topics;
    let covers = format!(
        "the records of this customer and these hours in the topics `{}` and `{}`, and in every copy of \
         them: replicas, mirrors, backups, consumers' copies of the sealed records",
        topics.outputs().join("`, `"),
        topics.quarantine
    );
    let (level, means) = match kek_destroyed_at {
        Some(_) => (
            "L3",
            "erased in the key store, and what wrapped the keys is destroyed: no copy of the key store, \
             however old, gives them; the receipt of that is in the same log, of type destroy-kek",
        ),
        None => (
            "L1",
            "erased in the key store; copies of the key store made before are covered when what wrapped the \
             keys is destroyed, which is due at l3_by and is not confirmed here",
        ),
    };
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
        ("level", level.into()),
        ("level_means", means.into()),
        ("l3_by", receipt.l3_by.map(|at| at.to_string()).into()),
        ("l3_done_at", kek_destroyed_at.map(|at| at.to_string()).into()),
        ("covers", covers.into()),
        ("does_not_cover", json!([plaintext, "what was opened before and kept elsewhere"])),
        ("stays_visible", json!(visible)),
        ("assumptions", receipt.assumptions.iter().map(|code| assumed(code)).collect()),
    ]
}

/// Returns an assumption, with its number in SECURITY.md.
fn assumed(code: &str) -> Value {
    assumption(code).map_or_else(|| code.into(), |known| format!("{code}: {}", known.text).into())
}

fn hour(hour: Hour) -> Value {
    json!(format!("{} ({hour})", hour.0))
}
