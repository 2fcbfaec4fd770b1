//! `hourseal retention`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Settings, keystore, output, runtime};
use crate::edge::clock::SystemClock;
use crate::forget::{Pending, PendingHour, pending};
use crate::keys::KeyStore;
use crate::model::Token;

#[derive(Subcommand)]
pub enum RetentionCommand {
    /// Say which hours are due and not yet forgotten; changes nothing
    #[command(after_help = HELP)]
    Sweep(Sweep),
}

const HELP: &str = "\
The worker that executes commands sweeps by itself, every `retention.sweep`: what is free goes then,
and what is held stays until its hold is released. Both the store's and this machine's clock must
have reached an hour's due.

Examples:
  hourseal retention sweep --dry-run
  hourseal retention sweep --dry-run --json | jq -r 'select(.held | not) | .customer' | sort | uniq -c";

#[derive(Args)]
pub struct Sweep {
    /// Only look. Required: who sweeps is the worker
    #[arg(long, required = true)]
    dry_run: bool,
    /// Most hours that are listed, those that are held not counted
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// One JSON object per hour
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(RetentionCommand::Sweep(sweep): RetentionCommand) -> anyhow::Result<()> {
    let config = sweep.settings.load()?;
    let store = keystore::store(&config)?;
    let found = runtime::block_on(pending(&*store, &SystemClock, sweep.limit))?
        .map_err(|error| Failure::new(Failure::DEPENDENCY, error.to_string()))?;
    let mut names = Names { store: &*store, last: None };
    let mut rows = Vec::new();
    for pending in &found.hours {
        let customer = names.of(pending.hour.token)?;
        if sweep.json {
            output::line(&to_json(pending, customer.as_deref()).to_string())?;
        } else {
            rows.push(cells(pending, customer));
        }
    }
    if sweep.json {
        Ok(())
    } else {
        output::text(&format!("{}{}", output::table(&HEAD, &rows), summary(&found)))
    }
}

/// The names of customers, each asked for once where their hours stand together.
struct Names<'a> {
    store: &'a dyn KeyStore,
    last: Option<(Token, Option<String>)>,
}

impl Names<'_> {
    fn of(&mut self, token: Token) -> anyhow::Result<Option<String>> {
        if let Some((_, name)) = self.last.as_ref().filter(|(last, _)| *last == token) {
            return Ok(name.clone());
        }
        let customer = runtime::block_on(self.store.customer(token))?.map_err(Failure::from)?;
        let name = customer.and_then(|customer| customer.name).map(|name| name.as_str().to_owned());
        self.last = Some((token, name.clone()));
        Ok(name)
    }
}

const HEAD: [&str; 4] = ["DUE", "CUSTOMER", "HOUR", "HELD"];

fn cells(PendingHour { hour, held }: &PendingHour, customer: Option<String>) -> Vec<String> {
    vec![
        hour.due.at().to_string(),
        customer.unwrap_or_else(|| hour.token.to_string()),
        format!("{} {}", hour.hour.0, hour.hour),
        if *held { "held" } else { "-" }.to_owned(),
    ]
}

fn to_json(PendingHour { hour, held }: &PendingHour, customer: Option<&str>) -> Value {
    json!({ "due": hour.due.0, "due_at": hour.due.at().to_string(), "token": hour.token.to_string(),
        "customer": customer, "hour": hour.hour.0, "held": held })
}

fn summary(found: &Pending) -> String {
    let free = found.free().count();
    let held = found.hours.len() - free;
    let more = if found.more { "more than " } else { "" };
    format!("{more}{free} hour(s) due and free, {held} held\n")
}
