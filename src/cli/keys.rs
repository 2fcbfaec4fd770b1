//! `hourseal keys`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Settings, keystore, output, runtime, text};
use crate::keys::{Customer, Gate, HourRow, KeyRow, KeyState, ReadStore, StoreError};
use crate::model::{CustomerId, Hour, KekId, Retention, Token};

/// Customers per request to the store.
const PAGE: usize = 500;

#[derive(Subcommand)]
pub enum Keys {
    /// List keys: one line per customer, hour and generation
    Ls(Ls),
    /// Show one hour of one customer: its gate and its keys
    Show(Show),
}

#[derive(Args)]
pub struct Ls {
    /// Only this customer
    #[arg(long, value_parser = text::customer)]
    customer: Option<CustomerId>,
    /// Only this hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    hour: Option<Hour>,
    /// One JSON object per key
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Show {
    /// The customer
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    /// The hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    hour: Hour,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(command: Keys) -> anyhow::Result<()> {
    match command {
        Keys::Ls(ls) => run_ls(&ls),
        Keys::Show(show) => run_show(&show),
    }
}

fn run_ls(ls: &Ls) -> anyhow::Result<()> {
    let config = ls.settings.load()?;
    let store = keystore::store(&config)?;
    let (from, to) = ls.hour.map_or((Hour(0), Hour(u32::MAX)), |hour| (hour, hour));
    let mut rows = Vec::new();
    let found = runtime::block_on(customers(&*store, ls.customer.as_ref()))?.map_err(Failure::from)?;
    for (token, customer) in found {
        let hours = runtime::block_on(store.hours(token, from, to))?.map_err(Failure::from)?;
        for (hour, key) in hours.iter().flat_map(|hour| hour.keys.iter().map(move |key| (hour, key))) {
            if ls.json {
                output::line(&key_json(&customer, hour, key).to_string())?;
            } else {
                rows.push(cells(&customer, hour, key));
            }
        }
    }
    if ls.json { Ok(()) } else { output::text(&output::table(&HEAD, &rows)) }
}

/// Returns the requested customers, by token; none if the store does not know the requested one.
pub(super) async fn customers(
    store: &dyn ReadStore,
    only: Option<&CustomerId>,
) -> Result<Vec<(Token, Customer)>, StoreError> {
    if let Some(name) = only {
        let token = store.token(name);
        return Ok(store.customer(token).await?.map(|customer| (token, customer)).into_iter().collect());
    }
    let mut all = Vec::new();
    loop {
        let page = store.customers(all.last().map(|(token, _)| *token), PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

const HEAD: [&str; 8] = ["CUSTOMER", "HOUR", "GENERATION", "STATE", "KEY", "KEK", "MINTED", "DUE"];

/// Returns the customer's name, or the token of a customer that is known only from receipts.
fn who(customer: &Customer, hour: &HourRow) -> String {
    customer.name.as_ref().map_or_else(|| hour.token.to_string(), |name| name.as_str().to_owned())
}

fn cells(customer: &Customer, hour: &HourRow, key: &KeyRow) -> Vec<String> {
    vec![
        who(customer, hour),
        format!("{} {}", hour.hour.0, hour.hour),
        key.generation.0.to_string(),
        state(key.state).to_owned(),
        key.key_id.to_string(),
        key.kek.to_string(),
        key.minted_at.to_string(),
        hour.gate.due.at().to_string(),
    ]
}

fn key_json(customer: &Customer, hour: &HourRow, key: &KeyRow) -> Value {
    json!({
        "customer": customer.name.as_ref().map(CustomerId::as_str),
        "token": hour.token.to_string(),
        "hour": hour.hour.0,
        "hour_start": hour.hour.to_string(),
        "generation": key.generation.0,
        "state": state(key.state),
        "key_id": key.key_id.to_string(),
        "kek": key.kek.as_str(),
        "minted_at": key.minted_at.to_string(),
        "erased_at": key.erased_at.map(|at| at.to_string()),
        "command": key.command.map(|command| command.to_string()),
        "due": hour.gate.due.at().to_string(),
        "fenced": hour.gate.fenced,
    })
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Live => "live",
        KeyState::Erased => "erased",
        KeyState::ErasedByTtl => "erased-by-ttl",
    }
}

fn run_show(show: &Show) -> anyhow::Result<()> {
    let config = show.settings.load()?;
    let store = keystore::store(&config)?;
    let token = store.token(&show.customer);
    let customer = runtime::block_on(store.customer(token))?.map_err(Failure::from)?;
    let customer = customer.ok_or_else(|| nothing("the key store does not know this customer"))?;
    let hours = runtime::block_on(store.hours(token, show.hour, show.hour))?.map_err(Failure::from)?;
    let hour = hours.first().ok_or_else(|| nothing("this customer has no key and no fence in this hour"))?;
    if show.json {
        return output::line(&hour_json(&customer, hour).to_string());
    }
    output::text(&describe(&customer, hour))
}

/// Not a fault, but a script must see that nothing was shown.
fn nothing(what: &str) -> Failure {
    Failure::new(Failure::REFUSED, what).hint("`hourseal keys ls` lists the existing keys")
}

fn hour_json(customer: &Customer, hour: &HourRow) -> Value {
    let Gate { due, kek, fenced, hold, command } = &hour.gate;
    json!({
        "customer": customer.name.as_ref().map(CustomerId::as_str),
        "token": hour.token.to_string(),
        "retention_hours": customer.retention.map(Retention::as_hours),
        "floor": customer.floor.map(|floor| floor.0),
        "closed": customer.closed,
        "hour": hour.hour.0,
        "hour_start": hour.hour.to_string(),
        "due": due.at().to_string(),
        "kek": kek.as_ref().map(KekId::as_str),
        "fenced": fenced,
        "hold": hold.as_ref().map(|hold| hex::encode(&hold.0)),
        "command": command.map(|command| command.to_string()),
        "keys": hour.keys.iter().map(|key| key_json(customer, hour, key)).collect::<Vec<_>>(),
    })
}

fn describe(customer: &Customer, hour: &HourRow) -> String {
    let gate = &hour.gate;
    let fence = match (gate.fenced, gate.command) {
        (false, _) => "open".to_owned(),
        (true, None) => "fenced".to_owned(),
        (true, Some(command)) => format!("fenced by command {command}"),
    };
    let hold = gate.hold.as_ref().map_or("none".to_owned(), |hold| hex::encode(&hold.0));
    let rows: Vec<_> = hour.keys.iter().map(|key| cells(customer, hour, key)).collect();
    format!(
        "customer  {}\ntoken     {}\nhour      {} {}\ngate      {fence}\nhold      {hold}\n\
         due       {}\n\n{}",
        who(customer, hour),
        hour.token,
        hour.hour.0,
        hour.hour,
        gate.due.at(),
        output::table(&HEAD, &rows),
    )
}
