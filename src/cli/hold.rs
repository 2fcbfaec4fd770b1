//! `hourseal hold`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::issue::{Issue, issue};
use super::{Failure, Settings, keystore, output, runtime, text};
use crate::keys::{Hold as Held, ReadStore};
use crate::model::{CustomerId, Hour};

#[derive(Subcommand)]
pub enum Hold {
    /// Forbid the erasure of a customer's hours, also of hours in the future
    Place(Place),
    /// Release a hold; needs two keys with the right `release`, unless the trust store says otherwise
    Release(Release),
    /// List the holds in force
    Ls(Ls),
}

#[derive(Args)]
pub struct Place {
    /// The customer
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    /// The first hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    from: Hour,
    /// The last hour, inclusive
    #[arg(long, value_parser = text::hour)]
    to: Hour,
    /// The hold's id, such as a case number; not personal data, because receipts contain it
    #[arg(long)]
    hold: String,
    #[command(flatten)]
    issue: Issue,
}

#[derive(Args)]
pub struct Release {
    /// The customer
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    /// The hold's id
    #[arg(long)]
    hold: String,
    #[command(flatten)]
    issue: Issue,
}

#[derive(Args)]
pub struct Ls {
    /// One JSON object per hold
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(command: Hold) -> anyhow::Result<()> {
    match command {
        Hold::Place(place) => {
            let (from, to) = (place.from.0, place.to.0);
            let customer = place.customer.as_str();
            let fields = json!({ "type": "hold", "customer": customer, "from_hour": from, "to_hour": to,
                "hold": place.hold });
            issue(&place.issue, &fields)
        }
        Hold::Release(release) => {
            let fields =
                json!({ "type": "release", "customer": release.customer.as_str(), "hold": release.hold });
            issue(&release.issue, &fields)
        }
        Hold::Ls(ls) => list(&ls),
    }
}

fn list(ls: &Ls) -> anyhow::Result<()> {
    let config = ls.settings.load()?;
    let store = keystore::store(&config)?;
    let mut rows = Vec::new();
    for hold in runtime::block_on(store.holds())?.map_err(Failure::from)? {
        let customer = customer(&*store, &hold)?;
        if ls.json {
            output::line(&to_json(&hold, customer.as_deref()).to_string())?;
        } else {
            let who = customer.unwrap_or_else(|| hold.token.to_string());
            rows.push(vec![hold.id.to_string(), who, hold.from.to_string(), hold.to.to_string()]);
        }
    }
    if ls.json { Ok(()) } else { output::text(&output::table(&["HOLD", "CUSTOMER", "FROM", "TO"], &rows)) }
}

/// Returns the name of the hold's customer. A customer without a key is known by token only.
fn customer(store: &dyn ReadStore, hold: &Held) -> anyhow::Result<Option<String>> {
    let customer = runtime::block_on(store.customer(hold.token))?.map_err(Failure::from)?;
    Ok(customer.and_then(|customer| customer.name).map(|name| name.as_str().to_owned()))
}

fn to_json(hold: &Held, customer: Option<&str>) -> Value {
    let mut fields = hours(hold);
    fields["token"] = hold.token.to_string().into();
    fields["customer"] = customer.into();
    fields
}

/// Returns the hold's id and hours.
pub fn hours(hold: &Held) -> Value {
    json!({ "hold": hold.id.to_string(), "from_hour": hold.from.0, "from_start": hold.from.to_string(),
        "to_hour": hold.to.0, "to_start": hold.to.to_string() })
}
