//! `hourseal receipts ls` and `show`

use clap::Args;
use serde_json::Value;

use super::reading::{Entry, Log, read};
use super::{Filter, Settings, is_of, none_of, output};
use crate::cli::failure;

#[derive(Args)]
pub struct Ls {
    #[command(flatten)]
    filter: Filter,
    /// One JSON object per receipt: its own fields, `index`, its place in the log, and `due_at`, its due time
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Show {
    /// The command's id, or its digest
    id: String,
    /// One JSON object per receipt
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run_ls(ls: &Ls) -> anyhow::Result<()> {
    let config = ls.settings.load()?;
    let log = read(&config, ls.filter.wanted(&config)?)?;
    tell_unreadable(&log);
    if ls.json {
        return log.entries.iter().try_for_each(|entry| output::line(&to_json(entry).to_string()));
    }
    let rows: Vec<_> = log.entries.iter().map(cells).collect();
    output::text(&output::table(&HEAD, &rows))
}

pub fn run_show(show: &Show) -> anyhow::Result<()> {
    let config = show.settings.load()?;
    let log = read(&config, |receipt, _| is_of(receipt, &show.id))?;
    tell_unreadable(&log);
    if log.entries.is_empty() {
        return Err(none_of(&show.id).into());
    }
    log.entries.iter().try_for_each(|entry| match show.json {
        true => output::line(&to_json(entry).to_string()),
        false => output::text(&output::fields(&rows_of(entry))),
    })
}

fn tell_unreadable(log: &Log) {
    if log.unreadable > 0 {
        failure::warn(&format!("{} record(s) of the receipts topic are not receipts", log.unreadable));
    }
}

const HEAD: [&str; 8] = ["INDEX", "DONE", "OUTCOME", "WHY", "TOKEN", "HOURS", "KEYS", "COMMAND"];

fn cells(entry: &Entry) -> Vec<String> {
    let receipt = &entry.receipt;
    vec![
        entry.index.to_string(),
        receipt.done_at.to_string(),
        receipt.outcome.code().to_owned(),
        receipt.why.map_or("-", |why| why.code()).to_owned(),
        receipt.token.map_or("-".to_owned(), |token| token.to_string()),
        format!("{} to {}", receipt.from.0, receipt.to.0),
        receipt.key_count.to_string(),
        receipt.command.clone(),
    ]
}

/// Returns the receipt's own fields, also unknown ones, and its place.
fn to_json(entry: &Entry) -> Value {
    let mut fields: Value = serde_json::from_slice(&entry.value).expect("a receipt is JSON");
    fields["index"] = entry.index.into();
    if let Some(due) = entry.receipt.due {
        fields["due_at"] = due.at().to_string().into();
    }
    fields
}

/// Returns the receipt's fields in a fixed order.
fn rows_of(entry: &Entry) -> Vec<(&'static str, Value)> {
    const ORDER: [&str; 23] = [
        "index",
        "command",
        "id",
        "type",
        "outcome",
        "why",
        "token",
        "swept",
        "kek",
        "evidence",
        "from_hour",
        "to_hour",
        "key_count",
        "keys",
        "issuer",
        "requested_at",
        "due_at",
        "done_at",
        "level",
        "l3_by",
        "unusable_after",
        "assumptions",
        "store",
    ];
    let fields = to_json(entry);
    ORDER.into_iter().filter_map(|name| Some((name, fields.get(name)?.clone()))).collect()
}
