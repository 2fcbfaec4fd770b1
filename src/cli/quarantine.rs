//! `hourseal quarantine`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Settings, keystore, open, output};
use crate::edge::kafka::scan::{Range, Scanned};
use crate::reader::{Opener, Reading, line};

#[derive(Subcommand)]
pub enum Quarantine {
    /// List quarantined records, opened: reason, origin and what they were
    Ls(Ls),
}

#[derive(Args)]
pub struct Ls {
    /// After the last record, wait for new ones
    #[arg(long)]
    follow: bool,
    /// One JSON object per record: the fields of `hourseal open`, and reason, origin, size, digest
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(command: Quarantine) -> anyhow::Result<()> {
    let Quarantine::Ls(ls) = command;
    let config = ls.settings.load()?;
    let opener = Opener::new(keystore::finder(&config)?, config.seal.stream.quarantine());
    let range = if ls.follow { Range::ExistingAndNew } else { Range::Existing };
    open::each_of_topic(&config, &opener, &config.topics.quarantine, range, |scanned, reading| {
        output::line(&if ls.json { to_json(scanned, reading) } else { to_text(scanned, reading) })
    })
}

/// The headers in the clear that say why a record is here, as JSON fields.
const LABELS: [(&str, &str); 4] = [
    ("reason", "hourseal-reason"),
    ("origin", "hourseal-origin"),
    ("size", "hourseal-size"),
    ("digest", "hourseal-digest"),
];

/// The text of a header that the worker wrote.
fn label<'a>(scanned: &'a Scanned, header: &str) -> Option<&'a str> {
    let (_, value) = scanned.headers.iter().find(|(name, _)| name == header.as_bytes())?;
    str::from_utf8(value.as_deref()?).ok()
}

fn to_json(scanned: &Scanned, reading: &Reading) -> String {
    let opened = line(&open::place(scanned), reading);
    let mut fields: serde_json::Map<String, Value> =
        serde_json::from_str(&opened).expect("the reader's line is a JSON object");
    for (field, header) in LABELS {
        if let Some(text) = label(scanned, header) {
            fields.insert(field.to_owned(), text.into());
        }
    }
    Value::Object(fields).to_string()
}

fn to_text(scanned: &Scanned, reading: &Reading) -> String {
    let [reason, origin, size, _] = LABELS.map(|(_, header)| label(scanned, header).unwrap_or("-"));
    let customer = reading.customer.as_ref().map_or("-", |customer| customer.as_str());
    let content = if scanned.value.is_some() { reading.outcome.name() } else { "no content" };
    format!("{reason:<16}  {origin:<32}  {size:>8} bytes  {customer:<24}  {content}")
}
