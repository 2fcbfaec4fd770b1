//! Runs the requests of a batch in order, and settles changes before their receipts are used.

use std::collections::BTreeSet;

use super::answer::{Answer, Executed};
use super::command::command;
use super::context::Context;
use super::error::ExecuteError;
use super::kek::destroy_kek;
use super::request::{Asks, Request};
use super::retention::settle_all;
use super::sweep::{Looks, sweep};
use crate::forget::command::call::Wants;
use crate::forget::decide::change::Change;
use crate::forget::receipt::deed::Outcome;
use crate::model::{Due, KekId};

/// The answers of a run, and the error that stopped it.
pub(in crate::forget) struct Report {
    /// One for each of the first requests, in their order. `None`: the command waits for the trust store.
    pub answers: Vec<Option<Answer>>,
    pub error: Option<ExecuteError>,
}

/// Maximum time between this look at the clock and the erasure's own look, in milliseconds.
const MARGIN_MS: i64 = 60_000;

/// Executes requests in their order. While the trust store cannot be read, commands wait, and calls are
/// executed as if the commands before them were still to come: a sweep leaves out the hours of each customer
/// whose command waits before it.
pub(in crate::forget) async fn execute_all(ctx: &Context, requests: &[Request]) -> Report {
    let mut run = Run::new(ctx);
    let error = run.all(requests).await.err();
    // Requests after a change that is not settled may have to be repeated, so their answers are dropped.
    run.answers.truncate(run.settled);
    let waits = run.answers.iter().any(Option::is_none);
    let distrust = ctx.trust.as_ref().err().filter(|_| waits);
    Report { answers: run.answers, error: error.or(distrust.cloned().map(ExecuteError::Trust)) }
}

struct Run<'a> {
    ctx: &'a Context,
    answers: Vec<Option<Answer>>,
    /// Number of answers that may be used.
    settled: usize,
    /// Changes of retentions that are made but not settled, each with its answer's place. They are settled
    /// together.
    unsettled: Vec<(usize, Change)>,
    keks: BTreeSet<&'a KekId>,
    looks: Looks,
}

impl<'a> Run<'a> {
    fn new(ctx: &'a Context) -> Self {
        Self {
            ctx,
            answers: Vec::new(),
            settled: 0,
            unsettled: Vec::new(),
            keks: BTreeSet::new(),
            looks: Looks::default(),
        }
    }

    async fn all(&mut self, requests: &'a [Request]) -> Result<(), ExecuteError> {
        for request in requests {
            if self.settles_before(request).await? {
                self.settle().await?;
            }
            let (answer, unsettled) = match self.one(request).await? {
                Some(Executed { answer, unsettled }) => (Some(answer), unsettled),
                None => (None, None),
            };
            self.unsettled.extend(unsettled.map(|change| (self.answers.len(), change)));
            self.answers.push(answer);
            if self.unsettled.is_empty() {
                self.settled = self.answers.len();
            }
        }
        self.settle().await
    }

    /// Decides on a request, or reads its stored decision, and carries it out. Returns `None` for a command
    /// that waits.
    async fn one(&mut self, request: &'a Request) -> Result<Option<Executed>, ExecuteError> {
        let ctx = self.ctx;
        Ok(Some(match &request.asks {
            Asks::Command(message) if ctx.trust.is_err() => {
                let customer = message.command.customer.as_ref();
                self.looks.kept.extend(customer.ok().map(|customer| ctx.store.token(customer)));
                return Ok(None);
            }
            Asks::Command(message) => {
                self.looks.found_nothing = false;
                command(ctx, request, message).await?
            }
            Asks::Call(Wants::Sweep(from)) => sweep(ctx, request, *from, &mut self.looks).await?.into(),
            // Each look at a KEK scans all keys, and the first call for it in this run has looked.
            Asks::Call(wants @ Wants::DestroyKek(kek)) if !self.keks.insert(kek) => {
                Answer::NothingDue(wants.kind()).into()
            }
            Asks::Call(Wants::DestroyKek(kek)) => destroy_kek(ctx, request, kek).await?.into(),
        }))
    }

    /// Whether the unsettled changes must be settled before this request. Two changes of one customer are
    /// made one after the other. An hour that was minted by the rule before a change must not be erased by
    /// that rule, even if it is due by it meanwhile.
    async fn settles_before(&self, request: &Request) -> Result<bool, ExecuteError> {
        if self.unsettled.is_empty() {
            return Ok(false);
        }
        if let Some(asked) = request.asks.retention(self.ctx) {
            return Ok(self.unsettled.iter().any(|(_, change)| Some(change.token) == asked.token));
        }
        if !request.asks.erases_what_is_due() {
            return Ok(false);
        }
        let soon = self.ctx.now().await?.plus(MARGIN_MS);
        let next = |change: &Change| Due(change.past.0.saturating_add(1));
        Ok(self.unsettled.iter().any(|(_, change)| next(change).reached(soon)))
    }

    async fn settle(&mut self) -> Result<(), ExecuteError> {
        if !self.unsettled.is_empty() {
            let unsettled = std::mem::take(&mut self.unsettled);
            let settled = settle_all(self.ctx, unsettled.iter().map(|(_, change)| change)).await?;
            for ((place, _), why) in unsettled.iter().zip(settled) {
                if let (Some(Some(Answer::Receipt(receipt))), Some(why)) = (self.answers.get_mut(*place), why)
                {
                    receipt.outcome = Outcome::Incomplete;
                    receipt.why.get_or_insert(why);
                }
            }
        }
        self.settled = self.answers.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::command::call::Call;
    use crate::forget::tests::{FakeStore, HOUR, NOW, World, acme, due_hours};
    use crate::model::{Digest, Hour, Retention};

    fn retention_of(customer: &str) -> Vec<u8> {
        let command = serde_json::json!({
            "id": "c-9", "type": "retention", "customer": customer, "retention_hours": 48
        });
        command.to_string().into_bytes()
    }

    /// Whether a change of acme's retention, decided in the hour of `past`, is settled before this request.
    fn settles_before(past: Hour, value: &[u8]) -> bool {
        let world = World::of(FakeStore::default());
        let ctx = world.context();
        let request = Request::read(0, Some(value), None).expect("well formed");
        let (token, retention) = (ctx.store.token(&acme()), Retention::hours(48).expect("not zero"));
        let (past, command) = (Due(past.0), Digest([1; 32]));
        let change = Change { token, retention, past, before: None, command };
        let run = Run { unsettled: vec![(0, change)], ..Run::new(&ctx) };
        world.runtime.block_on(run.settles_before(&request)).expect("the store answers")
    }

    #[test]
    fn two_changes_of_one_customer_are_made_one_after_the_other() {
        let now = Hour::containing(NOW).expect("an hour");
        assert!(settles_before(now, &retention_of("acme")));
        assert!(!settles_before(now, &retention_of("other")), "changes of many settle together");
        assert!(!settles_before(now, &retention_of("~nobody")));
    }

    #[test]
    fn what_may_have_fallen_due_by_the_rule_before_a_change_goes_when_that_is_settled() {
        let now = Hour::containing(NOW).expect("an hour");
        let sweep = Call::record(&Wants::Sweep(Due(HOUR.0)), 1);
        let kek = Call::record(&Wants::DestroyKek(KekId::of_due(Due(HOUR.0))), 1);
        for value in [due_hours("c-1"), sweep] {
            assert!(settles_before(Hour(now.0 - 1), &value), "an hour has begun since");
            assert!(!settles_before(now, &value), "nothing fell due since");
        }
        assert!(!settles_before(Hour(now.0 - 1), &kek), "a KEK stays while an open hour needs it");
    }
}
