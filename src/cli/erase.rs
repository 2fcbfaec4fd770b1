//! `hourseal erase`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::issue::{Issue, issue};
use super::plan::{self, Plan};
use super::text;
use crate::model::{CustomerId, Hour};

#[derive(Subcommand)]
pub enum Erase {
    /// Ask for the erasure of a customer's hours, and follow it to the receipt
    #[command(after_help = HELP)]
    Request(Request),
    /// Ask for the erasure of a customer as a whole, and follow it to the receipt
    #[command(after_help = CUSTOMER_HELP)]
    Customer(Customer),
    /// Say what an erasure would destroy, what is in its way, and what it takes; changes nothing
    Plan(Plan),
}

const HELP: &str = "\
retention-end is refused while an hour is not due. request may come before that, and then takes
signatures of as many keys with the right `erase-early` as the trust store says (two, unless it
says otherwise).

Examples:
  hourseal erase request --customer acme --from 498000 --to 498023 --sign-with dpo.pem
  hourseal erase request --customer acme --from 2026-11-01T00:00Z --to 2026-11-30T23:00Z \\
      --reason request --sign-with dpo.pem --save erase.json
  hourseal command sign erase.json --sign-with legal.pem
  hourseal command send erase.json

Exit codes: 0 erased, 65 refused or incomplete, 69 no receipt in time.";

const CUSTOMER_HELP: &str = "\
Every hour of the customer goes, due or not, and no key is made for it again: its further events go
to the quarantine without their content. There is no way back. It takes signatures of as many keys
with the right `erase-early` as the trust store says, and is refused while a hold is in force.

Example:
  hourseal erase customer --customer acme --sign-with dpo.pem --sign-with legal.pem

Exit codes: 0 erased, 65 refused or incomplete, 69 no receipt in time.";

#[derive(Args)]
pub struct Customer {
    /// Whom to forget
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    #[command(flatten)]
    issue: Issue,
}

/// What is to be erased.
#[derive(Args)]
pub struct Hours {
    /// Whose hours
    #[arg(long, value_parser = text::customer)]
    pub customer: CustomerId,
    /// The first hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    pub from: Hour,
    /// The last hour, itself included [default: the first]
    #[arg(long, value_parser = text::hour)]
    to: Option<Hour>,
}

impl Hours {
    pub fn to(&self) -> Hour {
        self.to.unwrap_or(self.from)
    }
}

#[derive(Args)]
pub struct Request {
    #[command(flatten)]
    hours: Hours,
    /// Why
    #[arg(long, value_enum, default_value_t = Why::RetentionEnd)]
    reason: Why,
    #[command(flatten)]
    issue: Issue,
}

#[derive(Clone, Copy, ValueEnum)]
enum Why {
    /// Their retention is over
    RetentionEnd,
    /// Somebody asks for it, perhaps before that
    Request,
}

pub fn run(command: Erase) -> anyhow::Result<()> {
    let request = match command {
        Erase::Request(request) => request,
        Erase::Plan(plan) => return plan::run(&plan),
        Erase::Customer(Customer { customer, issue: how }) => {
            return issue(&how, &json!({ "type": "erase-customer", "customer": customer.as_str() }));
        }
    };
    let reason = match request.reason {
        Why::RetentionEnd => "retention-end",
        Why::Request => "request",
    };
    let Hours { customer, from, .. } = &request.hours;
    let fields = json!({ "type": "erase", "customer": customer.as_str(), "from_hour": from.0,
        "to_hour": request.hours.to().0, "reason": reason });
    issue(&request.issue, &fields)
}
