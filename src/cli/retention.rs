//! `hourseal retention`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::issue::{Issue, issue};
use super::keys::customers;
use super::{Failure, Settings, keystore, output, runtime, text};
use crate::edge::clock::SystemClock;
use crate::forget::{Pending, PendingHour, pending};
use crate::keys::{Customer, ReadStore};
use crate::model::{CustomerId, Due, Hour, Retention, Token};

#[derive(Subcommand)]
pub enum RetentionCommand {
    /// Say how long customers' data is kept
    #[command(after_help = SHOW_HELP)]
    Show(Show),
    /// Change how long a customer's data is kept, what is not due yet included
    #[command(after_help = SET_HELP)]
    Set(Set),
    /// Say which hours are due and not yet forgotten; changes nothing
    #[command(after_help = HELP)]
    Sweep(Sweep),
}

const SHOW_HELP: &str = "\
Without --customer: the store's default, and each customer that has had a key and has a retention of
its own.

Examples:
  hourseal retention show
  hourseal retention show --customer acme --json";

const SET_HELP: &str = "\
Takes the right `retention`, and where anything would be due sooner the right `shorten`, which needs
two keys unless the trust store says otherwise. Hours that are due already stay due. What would be
due at once goes with the next full hour. Where data is kept for longer, its keys are wrapped anew,
by the key of the later day. The receipt comes after about 35 s: until then a worker may still mint
by the old rule, and what it mints is changed, too.

Examples:
  hourseal retention set --customer acme --keep 90d --sign-with dpo.key
  hourseal retention set --customer acme --keep 24h --sign-with dpo.key --sign-with legal.key";

#[derive(Args)]
pub struct Show {
    /// Whose; one that was never seen has the default
    #[arg(long, value_parser = text::customer)]
    customer: Option<CustomerId>,
    /// One JSON object per customer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub struct Set {
    /// Whose data
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    /// How long an hour is kept after it has ended: whole hours, 1h to 65535h, such as 30d
    #[arg(long, value_parser = text::retention)]
    keep: Retention,
    #[command(flatten)]
    issue: Issue,
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

pub fn run(command: RetentionCommand) -> anyhow::Result<()> {
    match command {
        RetentionCommand::Show(show) => self::show(&show),
        RetentionCommand::Set(set) => issue(
            &set.issue,
            &json!({ "type": "retention", "customer": set.customer.as_str(), "retention_hours": set.keep.as_hours() }),
        ),
        RetentionCommand::Sweep(sweep) => dry_run(&sweep),
    }
}

fn show(show: &Show) -> anyhow::Result<()> {
    let config = show.settings.load()?;
    let store = keystore::store(&config)?;
    let default = runtime::block_on(store.meta())?.map_err(Failure::from)?.default_retention;
    let found = runtime::block_on(customers(&*store, show.customer.as_ref()))?.map_err(Failure::from)?;
    let kept: Vec<Kept> = if let Some(name) = &show.customer {
        let known = found.first().map(|(_, customer)| customer);
        vec![Kept::of(Some(name.as_str()), Some(store.token(name)), known, default)]
    } else {
        let own =
            found.iter().filter(|(_, customer)| customer.retention.is_some()).map(|(token, customer)| {
                let name = customer.name.as_ref().map(CustomerId::as_str);
                Kept::of(name, Some(*token), Some(customer), default)
            });
        std::iter::once(Kept::of(None, None, None, default)).chain(own).collect()
    };
    if show.json {
        return kept.iter().try_for_each(|kept| output::line(&kept.to_json().to_string()));
    }
    let rows: Vec<Vec<String>> = kept.iter().map(Kept::cells).collect();
    output::text(&output::table(&["CUSTOMER", "KEPT FOR", "RULE", "FLOOR", "STATUS"], &rows))
}

/// How long somebody's data is kept; the store's default has neither name nor token.
struct Kept {
    customer: Option<String>,
    token: Option<Token>,
    hours: u16,
    own: bool,
    floor: Option<Hour>,
    closed: bool,
}

impl Kept {
    fn of(name: Option<&str>, token: Option<Token>, known: Option<&Customer>, default: Retention) -> Self {
        let own = known.and_then(|customer| customer.retention);
        Self {
            customer: name.map(ToOwned::to_owned),
            token,
            hours: own.unwrap_or(default).as_hours(),
            own: own.is_some(),
            floor: known.and_then(|customer| customer.floor),
            closed: known.is_some_and(|customer| customer.closed),
        }
    }

    fn cells(&self) -> Vec<String> {
        let who = self.customer.clone().or_else(|| self.token.map(|token| token.to_string()));
        vec![
            who.unwrap_or_else(|| "(default)".to_owned()),
            format!("{} h", self.hours),
            if self.own { "own" } else { "default" }.to_owned(),
            self.floor.map_or_else(|| "-".to_owned(), |hour| hour.to_string()),
            if self.closed { "forgotten" } else { "-" }.to_owned(),
        ]
    }

    fn to_json(&self) -> Value {
        json!({ "customer": self.customer, "token": self.token.map(|token| token.to_string()),
            "retention_hours": self.hours, "own": self.own, "floor": self.floor.map(|hour| hour.0),
            "closed": self.closed })
    }
}

fn dry_run(sweep: &Sweep) -> anyhow::Result<()> {
    let config = sweep.settings.load()?;
    let store = keystore::store(&config)?;
    let found = runtime::block_on(pending(&*store, &SystemClock, Due(0), sweep.limit))?
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
    store: &'a dyn ReadStore,
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
