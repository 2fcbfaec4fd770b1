//! The decision on a command: facts and now in, verdict with its reason out.

use super::{Reason, Verdict, Why};
use crate::model::{Due, Millis};

/// All that decides on a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// `control.require_signatures`; no command is signed in this version.
    pub signatures_required: bool,
    pub reason: Reason,
    pub customer_is_valid: bool,
    pub range_is_valid: bool,
    /// Another command with this id was decided before.
    pub id_is_reused: bool,
    /// A hold covers an hour of the range.
    pub held: bool,
    /// The latest due of all hours of the range; `None` while it is not known, which is as good as never.
    pub due: Option<Due>,
}

/// Decides on a command. Whether the customer is known is no fact: an unknown one is fenced all the same.
///
/// `now` is the [`earliest`](crate::model::earliest) of the clocks, so that no clock destroys data alone.
pub fn decide(facts: &Facts, now: Millis) -> Verdict {
    let needs_signature = facts.signatures_required || facts.reason == Reason::Request;
    match facts.due {
        _ if needs_signature => Verdict::refused(Why::SignatureRequired),
        _ if !facts.customer_is_valid => Verdict::refused(Why::InvalidCustomer),
        _ if !facts.range_is_valid => Verdict::refused(Why::InvalidRange),
        _ if facts.id_is_reused => Verdict::refused(Why::IdReuse),
        _ if facts.held => Verdict::refused(Why::Held),
        Some(due) if due.reached(now) => Verdict::Erase { due },
        due => Verdict::Refused { why: Why::NotDue, due },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Due = Due(500_000);

    /// The first rule that is broken names the reason; the order is the design's.
    fn expected(facts: &Facts, reached: bool) -> Verdict {
        let rules = [
            (facts.signatures_required || facts.reason == Reason::Request, Why::SignatureRequired),
            (!facts.customer_is_valid, Why::InvalidCustomer),
            (!facts.range_is_valid, Why::InvalidRange),
            (facts.id_is_reused, Why::IdReuse),
            (facts.held, Why::Held),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Verdict::Refused { why: *why, due: None },
            None if facts.due.is_some() && reached => Verdict::Erase { due: DUE },
            None => Verdict::Refused { why: Why::NotDue, due: facts.due },
        }
    }

    #[test]
    fn every_combination_of_facts_has_its_verdict() {
        let mut erased = 0;
        for bits in 0..256_u32 {
            let bit = |at: u32| bits >> at & 1 == 1;
            let facts = Facts {
                signatures_required: bit(0),
                reason: if bit(1) { Reason::Request } else { Reason::RetentionEnd },
                customer_is_valid: bit(2),
                range_is_valid: bit(3),
                id_is_reused: bit(4),
                held: bit(5),
                due: bit(6).then_some(DUE),
            };
            let now = if bit(7) { DUE.at() } else { DUE.at().plus(-1) };
            let verdict = decide(&facts, now);
            assert_eq!(verdict, expected(&facts, bit(7)), "{facts:?}");
            erased += u32::from(matches!(verdict, Verdict::Erase { .. }));
        }
        assert_eq!(erased, 1, "one combination in 256 destroys anything");
    }

    #[test]
    fn only_what_needs_no_signature_touches_the_id_table() {
        assert!(!Verdict::refused(Why::SignatureRequired).is_kept());
        for why in [Why::InvalidCustomer, Why::InvalidRange, Why::IdReuse, Why::Held, Why::NotDue] {
            assert!(Verdict::refused(why).is_kept(), "{why:?}");
        }
        assert!(Verdict::Erase { due: DUE }.is_kept());
    }
}
