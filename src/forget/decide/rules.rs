//! The decision on a command. Input: the facts and the present time. Output: a verdict with its reason and
//! its target.

use super::change::Change;
use super::facts::{Facts, HoldIs, Window};
use super::verdict::{Verdict, Why};
use crate::forget::command::act::{Act, Reason};
use crate::forget::command::trust::Right;
use crate::model::Millis;

/// Decides on a command. It does not depend on whether the store knows the customer: the hours of an unknown
/// customer are fenced or held, too.
///
/// `now` is the [`earliest`](crate::model::earliest) of the clocks, so that no single clock can destroy data.
pub fn decide(facts: &Facts, now: Millis) -> Verdict {
    let asked = &facts.asked;
    let is_due = facts.due.is_some_and(|due| due.reached(now));
    if let Some(why) = refuses_the_senders(facts, is_due) {
        return Verdict::refused(why);
    }
    let Some(token) = asked.token else { return Verdict::refused(Why::InvalidCustomer) };
    if let Some(why) = refuses_the_command(facts) {
        return Verdict::refused(why);
    }
    match (&asked.act, facts.due) {
        (Act::Erase(Reason::RetentionEnd), due) if !is_due => Verdict::Refused { why: Why::NotDue, due },
        (Act::Erase(_), None) => Verdict::refused(Why::NotDue),
        (Act::Erase(_), Some(due)) => Verdict::Erase { target: asked.target(token), due },
        (Act::EraseCustomer, _) => Verdict::EraseCustomer(token),
        (Act::Hold(_), _) if facts.hold == HoldIs::Other => Verdict::refused(Why::HoldIdReuse),
        (Act::Hold(id), _) => Verdict::Hold(asked.hold(token, id)),
        (Act::Release(_), _) if facts.hold != HoldIs::Same => Verdict::refused(Why::UnknownHold),
        (Act::Release(id), _) => Verdict::Release(id.clone()),
        (Act::Retention(retention), _) => {
            Verdict::Retention(asked.change(token, *retention, Change::past(now), facts.before))
        }
    }
}

/// Returns the reason if the senders may not ask for this command here. If a row is not usable, the right
/// that the command needs is not known. Nothing will be done, so any right that it may need is enough.
fn refuses_the_senders(facts: &Facts, is_due: bool) -> Option<Why> {
    let act = &facts.asked.act;
    let right = |is_due: bool, shortens: bool| match act {
        Act::Erase(Reason::Request) if !is_due => Right::EraseEarly,
        Act::Erase(_) => Right::Erase,
        Act::EraseCustomer => Right::EraseEarly,
        Act::Hold(_) => Right::Hold,
        Act::Release(_) => Right::Release,
        Act::Retention(_) if shortens => Right::Shorten,
        Act::Retention(_) => Right::Retention,
    };
    let has = |right| facts.granted.contains(&right);
    let is_authorized = match facts.unusable {
        true => has(right(true, false)) || has(right(false, true)),
        false => has(right(is_due, facts.shortens)),
    };
    let needs_signature = *act != Act::Erase(Reason::RetentionEnd);
    first_broken([
        (!facts.is_for_us, Why::OtherDeployment),
        (needs_signature && !facts.is_signed, Why::SignatureRequired),
        (!is_authorized, Why::NotAuthorized),
    ])
}

/// Returns the reason if a command of a valid customer is refused for its range, its id, its time window, or
/// a hold that forbids the erasure.
fn refuses_the_command(facts: &Facts) -> Option<Why> {
    let erases = matches!(facts.asked.act, Act::Erase(_) | Act::EraseCustomer);
    first_broken([
        (!facts.asked.range_is_valid, Why::InvalidRange),
        (facts.id_is_reused, Why::IdReuse),
        (facts.window == Window::Before, Why::NotYet),
        (facts.window == Window::After, Why::Expired),
        (facts.unusable, Why::Unusable),
        (erases && facts.held, Why::Held),
    ])
}

/// Returns the reason of the first broken rule.
fn first_broken<const N: usize>(rules: [(bool, Why); N]) -> Option<Why> {
    rules.into_iter().find_map(|(is_broken, why)| is_broken.then_some(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forget::decide::target::Asked;
    use crate::keys::HoldId;
    use crate::model::{Digest, Due, Hour, Retention, Token};

    const DUE: Due = Due(500_000);

    const TOKEN: Token = Token([1; 16]);

    fn acts() -> [Act; 6] {
        let id = HoldId(b"case".to_vec());
        let retention = Retention::hours(48).expect("not zero");
        [
            Act::Erase(Reason::RetentionEnd),
            Act::Erase(Reason::Request),
            Act::EraseCustomer,
            Act::Hold(id.clone()),
            Act::Release(id),
            Act::Retention(retention),
        ]
    }

    fn asked(act: Act, token: Option<Token>, range_is_valid: bool) -> Asked {
        Asked { act, token, from: Hour(7), to: Hour(9), range_is_valid, command: Digest([2; 32]) }
    }

    /// Checks every combination of six acts, seven booleans, three windows, three holds, three dues and every
    /// set of rights.
    fn every(mut check: impl FnMut(&Facts, Millis)) {
        for bits in 0..128_u32 {
            for rights in 0..64_usize {
                for (act, window, hold, due) in choices() {
                    let bit = |at: u32| bits >> at & 1 == 1;
                    let has = |at: &usize| rights >> at & 1 == 1;
                    let facts = Facts {
                        asked: asked(act, bit(2).then_some(TOKEN), bit(3)),
                        window,
                        hold,
                        due: due.map(|(due, _)| due),
                        is_signed: bit(0),
                        is_for_us: bit(1),
                        id_is_reused: bit(4),
                        held: bit(5),
                        shortens: bit(6),
                        before: None,
                        unusable: false,
                        granted: (0..6).filter(has).map(|at| Right::ALL[at]).collect(),
                    };
                    check(&facts, due.map_or(DUE.at(), |(_, now)| now));
                }
            }
        }
    }

    fn choices() -> impl Iterator<Item = (Act, Window, HoldIs, Option<(Due, Millis)>)> {
        let dues = [None, Some((DUE, DUE.at())), Some((DUE, DUE.at().plus(-1)))];
        acts().into_iter().flat_map(move |act| {
            [Window::Before, Window::Within, Window::After].into_iter().flat_map(move |window| {
                let act = act.clone();
                [HoldIs::Unknown, HoldIs::Same, HoldIs::Other]
                    .into_iter()
                    .flat_map(move |hold| dues.map(|due| (act.clone(), window, hold, due)))
            })
        })
    }

    /// The first broken rule gives the reason. The design defines the order.
    fn expected(facts: &Facts, now: Millis) -> Verdict {
        let due = facts.due.is_some_and(|due| now >= due.at());
        let erases_hours = matches!(facts.asked.act, Act::Erase(_));
        let erases = erases_hours || facts.asked.act == Act::EraseCustomer;
        let retention_end = facts.asked.act == Act::Erase(Reason::RetentionEnd);
        let asked = &facts.asked;
        let right = match asked.act {
            Act::Hold(_) => Right::Hold,
            Act::Release(_) => Right::Release,
            Act::Retention(_) => [Right::Retention, Right::Shorten][usize::from(facts.shortens)],
            _ if retention_end || (due && erases_hours) => Right::Erase,
            _ => Right::EraseEarly,
        };
        let rules = [
            (!facts.is_for_us, Why::OtherDeployment),
            (!facts.is_signed && !retention_end, Why::SignatureRequired),
            (!facts.granted.contains(&right), Why::NotAuthorized),
            (facts.asked.token.is_none(), Why::InvalidCustomer),
            (!facts.asked.range_is_valid, Why::InvalidRange),
            (facts.id_is_reused, Why::IdReuse),
            (facts.window == Window::Before, Why::NotYet),
            (facts.window == Window::After, Why::Expired),
            (erases && facts.held, Why::Held),
            (retention_end && !due, Why::NotDue),
            (erases_hours && facts.due.is_none(), Why::NotDue),
            (matches!(asked.act, Act::Hold(_)) && facts.hold == HoldIs::Other, Why::HoldIdReuse),
            (matches!(asked.act, Act::Release(_)) && facts.hold != HoldIs::Same, Why::UnknownHold),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Verdict::Refused { why: *why, due: facts.due.filter(|_| *why == Why::NotDue) },
            None => match &asked.act {
                Act::Erase(_) => Verdict::Erase { target: asked.target(TOKEN), due: DUE },
                Act::EraseCustomer => Verdict::EraseCustomer(TOKEN),
                Act::Hold(id) => Verdict::Hold(asked.hold(TOKEN, id)),
                Act::Release(id) => Verdict::Release(id.clone()),
                Act::Retention(retention) => {
                    let past = Due(now.0.div_euclid(3_600_000) as u32);
                    Verdict::Retention(asked.change(TOKEN, *retention, past, None))
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
            if let Verdict::Erase { due, .. } = decide(facts, now) {
                let early = facts.asked.act == Act::Erase(Reason::Request)
                    && facts.is_signed
                    && facts.granted.contains(&Right::EraseEarly);
                assert!(!facts.held && (due.reached(now) || early), "{facts:?} at {now}");
                assert!(facts.is_for_us && facts.window == Window::Within && !facts.id_is_reused);
            }
            if let Verdict::EraseCustomer(_) = decide(facts, now) {
                assert!(
                    !facts.held && facts.is_signed && facts.granted.contains(&Right::EraseEarly),
                    "{facts:?}"
                );
                assert!(facts.is_for_us && facts.window == Window::Within && !facts.id_is_reused);
            }
        });
    }

    #[test]
    fn without_the_rows_that_a_decision_needs_nothing_is_done() {
        every(|facts, now| {
            let facts = Facts { unusable: true, ..facts.clone() };
            let why = match decide(&facts, now) {
                Verdict::Refused { why, .. } => why,
                verdict => panic!("{facts:?}: {verdict:?}"),
            };
            let as_ever = expected(&Facts { unusable: false, ..facts.clone() }, now);
            assert!(why == Why::Unusable || matches!(as_ever, Verdict::Refused { .. }), "{facts:?}");
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
