//! Issues a command: builds it, signs it, sends it, and waits for its receipt.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};

use super::refusal::explain;
use super::{Failure, Settings, cluster, failure, keystore, output, progress, runtime, signals, text};
use crate::app::read_trust;
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::ReceiptTail;
use crate::edge::kafka::post::{Record as Posted, post};
use crate::edge::keyfile;
use crate::forget::{
    Act, Deed, Message, Outcome, Receipt, Signature, Tail, TailError, Unverified, pae, patiently, to_envelope,
};
use crate::model::{Clock, Digest, StoreId};
use crate::stream::PATIENCE;
use crate::stream::Stop;

/// The flags of every command line that issues a command.
#[derive(Args)]
pub struct Issue {
    /// The command's own id; never reuse an id for another command [default: random]
    #[arg(long)]
    id: Option<String>,

    /// The person or program responsible; the receipt contains it and is kept permanently
    #[arg(long, default_value = "hourseal-cli")]
    issuer: String,

    /// Sign with this key; repeatable. Without a key the command is unsigned
    #[arg(long, value_name = "KEY_FILE")]
    sign_with: Vec<PathBuf>,

    /// Time within which the command may be carried out
    #[arg(long, default_value = "1h", value_parser = text::duration)]
    valid_for: Duration,

    /// The key store that the command is for, as 32 hex digits [default: the one of this configuration]
    #[arg(long, value_parser = text::store)]
    deployment: Option<StoreId>,

    /// Write the command to this file instead of sending it, for `hourseal command sign` and `send`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    #[command(flatten)]
    follow: Follow,
}

/// The flags of the wait for the receipt.
#[derive(Args)]
pub struct Follow {
    /// Do not wait for the receipt
    #[arg(long)]
    no_wait: bool,

    /// Longest wait for the receipt
    #[arg(long, default_value = "2m", value_parser = text::duration)]
    wait: Duration,

    /// Print the receipt exactly as in the topic
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Issues a command. `fields` are the fields of its type.
pub fn issue(issue: &Issue, fields: &Value) -> anyhow::Result<()> {
    let config = issue.follow.settings.load()?;
    if issue.sign_with.is_empty() && issue.save.is_none() && config.control.require_signatures {
        let hint =
            "--sign-with a key of the trust store, or set control.require_signatures = false everywhere";
        return Err(Failure::new(Failure::USAGE, "this configuration requires a signature on every command")
            .hint(hint)
            .into());
    }
    let payload = payload(issue, &config, fields)?;
    let value = match (&*issue.sign_with, &issue.save) {
        ([], None) => payload,
        (keys, _) => to_envelope(&payload, &sign(&payload, keys)?),
    };
    match &issue.save {
        None => send(&config, &value, &issue.follow),
        Some(file) => {
            std::fs::write(file, &value).map_err(|error| Failure::io("cannot write", file, &error))?;
            output::line(&format!("written to {}; not sent", file.display()))
        }
    }
}

/// The command's bytes.
fn payload(issue: &Issue, config: &Config, fields: &Value) -> anyhow::Result<Vec<u8>> {
    let deployment = match issue.deployment {
        Some(deployment) => deployment,
        None => {
            let store = keystore::store(config)?;
            runtime::block_on(store.meta())?.map_err(Failure::from)?.store
        }
    };
    let now = SystemClock.now();
    let valid = i64::try_from(issue.valid_for.as_millis()).unwrap_or(i64::MAX);
    let mut command = Map::new();
    command.insert("id".to_owned(), issue.id.clone().unwrap_or_else(random_id).into());
    command.extend(fields.as_object().cloned().unwrap_or_default());
    let terms = json!({
        "issuer": issue.issuer,
        "deployment": deployment.to_string(),
        // Clocks may differ by up to about a minute.
        "not_before": now.plus(-120_000).to_string(),
        "expires": now.plus(valid).to_string(),
    });
    command.extend(terms.as_object().cloned().unwrap_or_default());
    let bytes = Value::from(command).to_string().into_bytes();
    understood(&bytes, Failure::USAGE)?;
    Ok(bytes)
}

fn random_id() -> String {
    let mut bytes = [0; 12];
    crate::envelope::random(&mut bytes);
    format!("cli-{}", hex::encode(bytes))
}

/// Parses the command as a worker does.
///
/// # Errors
/// `exit` for anything else: 65 for a file, 64 for a command of flags.
pub fn understood(value: &[u8], exit: u8) -> Result<Message, Failure> {
    Unverified::new(Some(value))
        .and_then(Unverified::parse)
        .map_err(|why| Failure::new(exit, format!("this is not a command: {why}")))
}

/// Signs the payload with each key.
pub fn sign(payload: &[u8], keys: &[PathBuf]) -> Result<Vec<Signature>, Failure> {
    let signed = pae(payload);
    let of = |path: &PathBuf| {
        let key = keyfile::read(path)?;
        Ok(Signature { hint: key.public().to_string(), bytes: key.sign(&signed).to_vec() })
    };
    keys.iter().map(of).collect()
}

/// Sends a record and waits for its receipt.
pub fn send(config: &Config, value: &[u8], follow: &Follow) -> anyhow::Result<()> {
    let message = understood(value, Failure::REFUSED)?;
    warn_of_signatures(config, &message)?;
    let (stop, mut client) = (signals::stop()?, cluster::client(config));
    client.reach.stop = stop.clone();
    client.await_broker().map_err(Failure::from)?;
    let mut tail = ReceiptTail::connect(&client, &config.topics.receipts).map_err(Failure::from)?;
    let (_, end) = patiently(PATIENCE, || tail.log()).map_err(Failure::from)?;
    tail.begin(end).map_err(Failure::from)?;
    if stop.requested() {
        return Err(
            Failure::new(Failure::DEPENDENCY, "a signal has ended the command: nothing was sent").into()
        );
    }
    let offset = post(&client, &config.topics.control, &Posted { value, ..Posted::default() })
        .map_err(Failure::from)?;
    failure::say(&format!(
        "command {} is at offset {offset} of {}",
        message.command.id, config.topics.control
    ));
    if follow.no_wait {
        return Ok(());
    }
    let (json, receipt) = await_receipt(&mut tail, message.digest, follow.wait, &stop)?;
    if follow.json {
        output::line(&json)?;
    } else {
        output::text(&summary(&receipt))?;
    }
    match receipt.outcome {
        Outcome::Refused | Outcome::Incomplete => {
            let (reason, hint) = explain(&receipt, &message.command.act);
            Err(Failure { hint, ..Failure::new(Failure::REFUSED, reason) }.into())
        }
        _ => Ok(()),
    }
}

/// Checks the signatures against this process's own trust store, if there is one. The executor's trust store
/// decides.
fn warn_of_signatures(config: &Config, message: &Message) -> Result<(), Failure> {
    let (Some(trust), Some(signatures)) = (read_trust(&config.control)?, &message.signatures) else {
        return Ok(());
    };
    match trust.authority(&message.payload, signatures, SystemClock.now()) {
        None => failure::warn(
            "no key of the trust store has signed it: workers will count and ignore it, without a receipt",
        ),
        Some(authority) => failure::say(&format!("signed by {}", authority.signers.join(", "))),
    }
    Ok(())
}

/// Hint after a wait that a signal has ended.
const SENT: &str = "the command is in the control topic, and a worker executes it: `hourseal receipts ls` \
                    shows its receipt";

fn await_receipt(
    tail: &mut ReceiptTail,
    id: Digest,
    wait: Duration,
    stop: &Stop,
) -> Result<(String, Receipt), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < wait {
        progress::wait(&format!("waiting for the receipt, {} s", begun.elapsed().as_secs()));
        if stop.requested() {
            let ended = Failure::new(Failure::DEPENDENCY, "a signal has ended the wait for the receipt");
            return Err(ended.hint(SENT));
        }
        let record = match tail.poll(Duration::from_millis(500)) {
            Ok(record) => record,
            Err(TailError::Passing(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(value) = record.and_then(|record| record.value) else { continue };
        if let Some(receipt) = Receipt::parse(&value).ok().filter(|receipt| receipt.id == id) {
            progress::clear();
            return Ok((String::from_utf8_lossy(&value).into_owned(), receipt));
        }
    }
    let hint = "the command is in the control topic and is not lost: check that a worker executes commands \
                (log code HS1405), and whether it counted this one as unverified (HS1408)";
    Err(Failure::new(Failure::DEPENDENCY, format!("no receipt within {} s", wait.as_secs())).hint(hint))
}

/// Formats a receipt for people.
fn summary(receipt: &Receipt) -> String {
    let mut lines = vec![format!("outcome         {}", receipt.outcome.code())];
    let mut line = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<15} {value}")));
    };
    line("why", receipt.why.map(|why| why.code().to_owned()));
    line("signed by", Some(receipt.signers.join(", ")).filter(|signers| !signers.is_empty()));
    if let Deed::Command(Act::Retention(retention)) = &receipt.deed {
        line("kept for", Some(format!("{} h", retention.as_hours())));
    }
    line("keys erased", (receipt.key_count > 0).then(|| receipt.key_count.to_string()));
    line("due", receipt.due.map(|due| due.at().to_string()));
    line("done at", Some(receipt.done_at.to_string()));
    line("unusable after", receipt.unusable_after.map(|time| time.to_string()));
    line("backups too by", receipt.l3_by.map(|time| time.to_string()));
    line("receipt", Some(receipt.id.to_string()));
    lines.join("\n") + "\n"
}

/// Sends a command from a file and waits for its receipt.
pub fn send_file(file: &Path, follow: &Follow) -> anyhow::Result<()> {
    let config = follow.settings.load()?;
    let value = std::fs::read(file).map_err(|error| Failure::io("cannot read", file, &error))?;
    send(&config, &value, follow)
}
