//! `hourseal erase`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::issue::{Issue, issue};
use super::plan::{self, Plan};
use super::text;
use crate::model::{CustomerId, Hour};

#[derive(Subcommand)]
pub enum Erase {
    /// Request the erasure of a customer's hours, and wait for the receipt
    #[command(after_help = HELP)]
    Request(Request),
    /// Request the erasure of a whole customer, and wait for the receipt
    #[command(after_help = CUSTOMER_HELP)]
    Customer(Customer),
    /// Show which keys an erasure would destroy, what blocks it, and which rights it needs; changes nothing
    Plan(Plan),
}

const HELP: &str = "\
The reason `retention-end` is refused while an hour is not due. The reason
`request` is accepted before that, but then needs signatures with the right
`erase-early`, from as many keys as the trust store demands (two by default).

Examples:
  hourseal erase request --customer acme --from 2026-11-01T00:00Z \\
      --sign-with dpo.pem
  hourseal erase request --customer acme --from 2026-11-01T00:00Z \\
      --to 2026-11-30T23:00Z --reason request --sign-with dpo.pem \\
      --save erase.json
  hourseal command sign erase.json --sign-with legal.pem
  hourseal command send erase.json

Exit codes: 0 erased, 65 refused or incomplete, 69 no receipt in time.";

const CUSTOMER_HELP: &str = "\
Erases every hour of the customer, due or not. No key is generated for the
customer again: its further events go to the quarantine without their content.
This cannot be undone. The command needs signatures with the right
`erase-early`, from as many keys as the trust store demands. It is refused while
a hold is in force.

Example:
  hourseal erase customer --customer acme --sign-with dpo.pem \\
      --sign-with legal.pem

Exit codes: 0 erased, 65 refused or incomplete, 69 no receipt in time.";

#[derive(Args)]
pub struct Customer {
    /// The customer to forget
    #[arg(long, value_parser = text::customer)]
    customer: CustomerId,
    #[command(flatten)]
    issue: Issue,
}

/// The hours to erase.
#[derive(Args)]
pub struct Hours {
    /// The customer
    #[arg(long, value_parser = text::customer)]
    pub customer: CustomerId,
    /// The first hour: a number, or an RFC 3339 time within it
    #[arg(long, value_parser = text::hour)]
    pub from: Hour,
    /// The last hour, inclusive [default: the first]
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
    /// The reason of the erasure
    #[arg(long, value_enum, default_value_t = Why::RetentionEnd)]
    reason: Why,
    #[command(flatten)]
    issue: Issue,
}

#[derive(Clone, Copy, ValueEnum)]
enum Why {
    /// The retention of the hours has ended
    RetentionEnd,
    /// A person requests it, possibly before the retention has ended
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
