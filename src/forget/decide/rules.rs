//! The decision on a command: facts and now in, verdict with its reason out.

use super::change::Change;
use super::facts::{Asks, Facts, HoldIs, Window};
use super::verdict::{Verdict, Why};
use crate::forget::command::act::Reason;
use crate::forget::command::trust::Right;
use crate::model::Millis;

/// Decides on a command. Whether the customer is known is no fact: an unknown one is fenced, or held, all the same.
///
/// `now` is the [`earliest`](crate::model::earliest) of the clocks, so that no clock destroys data alone.
pub fn decide(facts: &Facts, now: Millis) -> Verdict {
    let is_due = facts.due.is_some_and(|due| due.reached(now));
    let right = match facts.asks {
        Asks::Erase(Reason::Request) if !is_due => Right::EraseEarly,
        Asks::Erase(_) => Right::Erase,
        Asks::EraseCustomer => Right::EraseEarly,
        Asks::Hold => Right::Hold,
        Asks::Release => Right::Release,
        Asks::Retention if facts.shortens => Right::Shorten,
        Asks::Retention => Right::Retention,
    };
    let needs_signature = facts.asks != Asks::Erase(Reason::RetentionEnd);
    match (facts.asks, facts.due) {
        _ if !facts.is_for_us => Verdict::refused(Why::OtherDeployment),
        _ if needs_signature && !facts.is_signed => Verdict::refused(Why::SignatureRequired),
        _ if !facts.granted.contains(&right) => Verdict::refused(Why::NotAuthorized),
        _ if !facts.customer_is_valid => Verdict::refused(Why::InvalidCustomer),
        _ if !facts.range_is_valid => Verdict::refused(Why::InvalidRange),
        _ if facts.id_is_reused => Verdict::refused(Why::IdReuse),
        _ if facts.window == Window::Before => Verdict::refused(Why::NotYet),
        _ if facts.window == Window::After => Verdict::refused(Why::Expired),
        (asks, _) if asks.erases() && facts.held => Verdict::refused(Why::Held),
        (Asks::Erase(Reason::RetentionEnd), due) if !is_due => Verdict::Refused { why: Why::NotDue, due },
        (Asks::Erase(_), None) => Verdict::refused(Why::NotDue),
        (Asks::Erase(_), Some(due)) => Verdict::Erase { due },
        (Asks::EraseCustomer, _) => Verdict::EraseCustomer,
        (Asks::Hold, _) if facts.hold == HoldIs::Other => Verdict::refused(Why::HoldIdReuse),
        (Asks::Hold, _) => Verdict::Hold,
        (Asks::Release, _) if facts.hold != HoldIs::Same => Verdict::refused(Why::UnknownHold),
        (Asks::Release, _) => Verdict::Release,
        (Asks::Retention, _) => Verdict::Retention { past: Change::past(now), before: facts.before },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Due;

    const DUE: Due = Due(500_000);

    const ASKS: [Asks; 6] = [
        Asks::Erase(Reason::RetentionEnd),
        Asks::Erase(Reason::Request),
        Asks::EraseCustomer,
        Asks::Hold,
        Asks::Release,
        Asks::Retention,
    ];

    /// Every combination: what is asked, seven yes-or-nos, three windows, three holds, three dues, each set of rights.
    fn every(mut check: impl FnMut(&Facts, Millis)) {
        for bits in 0..128_u32 {
            for rights in 0..64_usize {
                for (asks, window, hold, due) in choices() {
                    let bit = |at: u32| bits >> at & 1 == 1;
                    let has = |at: &usize| rights >> at & 1 == 1;
                    let facts = Facts {
                        asks,
                        window,
                        hold,
                        due: due.map(|(due, _)| due),
                        is_signed: bit(0),
                        is_for_us: bit(1),
                        customer_is_valid: bit(2),
                        range_is_valid: bit(3),
                        id_is_reused: bit(4),
                        held: bit(5),
                        shortens: bit(6),
                        before: None,
                        granted: (0..6).filter(has).map(|at| Right::ALL[at]).collect(),
                    };
                    check(&facts, due.map_or(DUE.at(), |(_, now)| now));
                }
            }
        }
    }

    fn choices() -> impl Iterator<Item = (Asks, Window, HoldIs, Option<(Due, Millis)>)> {
        let dues = [None, Some((DUE, DUE.at())), Some((DUE, DUE.at().plus(-1)))];
        ASKS.into_iter().flat_map(move |asks| {
            [Window::Before, Window::Within, Window::After].into_iter().flat_map(move |window| {
                [HoldIs::Unknown, HoldIs::Same, HoldIs::Other]
                    .into_iter()
                    .flat_map(move |hold| dues.map(|due| (asks, window, hold, due)))
            })
        })
    }

    /// The first rule that is broken names the reason; the order is the design's.
    fn expected(facts: &Facts, now: Millis) -> Verdict {
        let due = facts.due.is_some_and(|due| now >= due.at());
        let erases_hours = matches!(facts.asks, Asks::Erase(_));
        let erases = erases_hours || facts.asks == Asks::EraseCustomer;
        let retention_end = facts.asks == Asks::Erase(Reason::RetentionEnd);
        let right = match facts.asks {
            Asks::Hold => Right::Hold,
            Asks::Release => Right::Release,
            Asks::Retention => [Right::Retention, Right::Shorten][usize::from(facts.shortens)],
            _ if retention_end || (due && erases_hours) => Right::Erase,
            _ => Right::EraseEarly,
        };
        let rules = [
            (!facts.is_for_us, Why::OtherDeployment),
            (!facts.is_signed && !retention_end, Why::SignatureRequired),
            (!facts.granted.contains(&right), Why::NotAuthorized),
            (!facts.customer_is_valid, Why::InvalidCustomer),
            (!facts.range_is_valid, Why::InvalidRange),
            (facts.id_is_reused, Why::IdReuse),
            (facts.window == Window::Before, Why::NotYet),
            (facts.window == Window::After, Why::Expired),
            (erases && facts.held, Why::Held),
            (retention_end && !due, Why::NotDue),
            (erases_hours && facts.due.is_none(), Why::NotDue),
            (facts.asks == Asks::Hold && facts.hold == HoldIs::Other, Why::HoldIdReuse),
            (facts.asks == Asks::Release && facts.hold != HoldIs::Same, Why::UnknownHold),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Verdict::Refused { why: *why, due: facts.due.filter(|_| *why == Why::NotDue) },
            None => match facts.asks {
                Asks::Erase(_) => Verdict::Erase { due: DUE },
                Asks::EraseCustomer => Verdict::EraseCustomer,
                Asks::Hold => Verdict::Hold,
                Asks::Release => Verdict::Release,
                Asks::Retention => {
                    Verdict::Retention { past: Due(now.0.div_euclid(3_600_000) as u32), before: None }
                }
            },
        }
    }

    #[test]
    fn every_combination_of_facts_has_its_verdict() {
        let mut seen = 0;
        every(|facts, now| {
            assert_eq!(decide(facts, now), expected(facts, now), "{facts:?} at {now}");
            seen += 1;
        });
        assert_eq!(seen, 128 * 64 * 6 * 27);
    }

    #[test]
    fn nothing_is_destroyed_that_is_held_or_neither_due_nor_allowed_to_go_early() {
        every(|facts, now| {
            if let Verdict::Erase { due } = decide(facts, now) {
                let early = facts.asks == Asks::Erase(Reason::Request)
                    && facts.is_signed
                    && facts.granted.contains(&Right::EraseEarly);
                assert!(!facts.held && (due.reached(now) || early), "{facts:?} at {now}");
                assert!(facts.is_for_us && facts.window == Window::Within && !facts.id_is_reused);
            }
            if decide(facts, now) == Verdict::EraseCustomer {
                assert!(
                    !facts.held && facts.is_signed && facts.granted.contains(&Right::EraseEarly),
                    "{facts:?}"
                );
                assert!(facts.is_for_us && facts.window == Window::Within && !facts.id_is_reused);
            }
        });
    }

    #[test]
    fn who_lacks_a_right_takes_no_id() {
        every(|facts, now| {
            let verdict = decide(facts, now);
            if facts.granted.is_empty() || !facts.is_for_us {
                assert!(!verdict.takes_the_id(), "{facts:?}");
            }
        });
    }
}
