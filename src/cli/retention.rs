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
    /// Show retention
    #[command(after_help = SHOW_HELP)]
    Show(Show),
    /// Change a customer's retention, also for existing hours that are not due yet
    #[command(after_help = SET_HELP)]
    Set(Set),
    /// List hours that are due and not yet forgotten; changes nothing
    #[command(after_help = HELP)]
    Sweep(Sweep),
}

const SHOW_HELP: &str = "\
Without --customer: the store's default, each customer that has had a key and
has its own retention, and each customer that was forgotten as a whole.

Examples:
  hourseal retention show
  hourseal retention show --customer acme --json";

const SET_HELP: &str = "\
Needs the right `retention`. If any hour would become due sooner, it also needs
the right `shorten`, with two keys unless the trust store says otherwise. Hours
that are already due stay due. Hours that would become due at once become due at
the next full hour. If data is kept for longer, its keys are wrapped again, with
the KEK of the later day. The receipt comes after about 35 s: until then a
worker may still mint under the old rule, and the command changes those hours,
too.

Examples:
  hourseal retention set --customer acme --keep 90d --sign-with dpo.key
  hourseal retention set --customer acme --keep 24h --sign-with dpo.key \\
      --sign-with legal.key";

#[derive(Args)]
pub struct Show {
    /// Only this customer; an unknown customer has the default
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
    /// The customer
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    /// Time for which an hour is kept after its end: whole hours, 1h to 65535h, such as 30d
    #[arg(long, value_parser = text::retention)]
    keep: Retention,
    #[command(flatten)]
    issue: Issue,
}

const HELP: &str = "\
The worker that executes commands sweeps by itself, every `retention.sweep`. It
erases the due hours that are free; held hours stay until their hold is
released. An hour is due when both the store's clock and this machine's clock
have reached its due time.

Examples:
  hourseal retention sweep --dry-run
  hourseal retention sweep --dry-run --json |
      jq -r 'select(.held | not).customer' | sort | uniq -c";

#[derive(Args)]
pub struct Sweep {
    /// Only list the hours; required, because only a worker sweeps
    #[arg(long, required = true)]
    dry_run: bool,
    /// Most hours to list; held hours do not count
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
            &json!({ "type": "retention", "customer": set.customer.as_str(),
                "retention_hours": set.keep.as_hours() }),
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
        let is_listed = |customer: &Customer| customer.retention.is_some() || customer.closed;
        let own = found.iter().filter(|(_, customer)| is_listed(customer)).map(|(token, customer)| {
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

/// The retention of one customer. The store's default has neither name nor token.
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
            "floor_start": self.floor.map(|hour| hour.to_string()), "closed": self.closed })
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

/// The names of customers. Consecutive hours of one customer need one request to the store.
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
        "customer": customer, "hour": hour.hour.0, "hour_start": hour.hour.to_string(), "held": held })
}

fn summary(found: &Pending) -> String {
    let free = found.free().count();
    let held = found.hours.len() - free;
    let more = if found.more { "more than " } else { "" };
    format!("{more}{free} hour(s) due and free, {held} held\n")
}
