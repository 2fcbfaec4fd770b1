//! A change of a customer's retention: the terms that each hour gets, and the hours that keep their terms.
//! Pure.
//!
//! Promise: an hour that was due when the change was decided stays due. No hour falls due at once: a change
//! makes an hour due no earlier than the full hour after the decision. A KEK's day never ends before the
//! hours that it wraps are due. If the retention becomes shorter, keys stay under the KEK that also wraps
//! their copies, so that what receipts say about these copies stays true.

use crate::keys::{HourRow, Terms};
use crate::model::{Digest, Due, Hour, KekId, Millis, Retention, Token};

/// A decided change of a customer's retention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub token: Token,
    pub retention: Retention,
    /// The hour of the decision. Hours with this due or an earlier one keep their terms.
    pub past: Due,
    /// The retention before this change; `None` for the store's default. If another change has been made
    /// since, this one comes late, and changes neither the rule nor the terms of an hour.
    pub before: Option<Retention>,
    pub command: Digest,
}

impl Change {
    /// Returns the hour of the decision, as a due. An hour with this due counts as due.
    pub fn past(now: Millis) -> Due {
        Due(Hour::containing(now).unwrap_or(Hour(0)).0)
    }

    /// Returns the terms that an hour gets; `None` for an hour that keeps its terms.
    pub fn terms(&self, row: &HourRow) -> Option<Terms> {
        let has = row.gate.kek.as_ref().filter(|_| !row.gate.fenced && row.gate.due > self.past)?;
        let due = Due::of(row.hour, self.retention).max(Due(self.past.0.saturating_add(1)));
        let of_due = KekId::of_due(due);
        let kek = if has.ends() >= of_due.ends() { has.clone() } else { of_due };
        let is_left = row.gate.due == due && row.gate.kek.as_ref() == Some(&kek);
        let command = if is_left { None } else { Some(self.command) };
        Some(Terms { due, kek, command })
    }

    /// Returns the due until which the store must know a fenced hour as fenced, if it is later than the
    /// present one. `None` for an hour that is open, or that was due when the change was decided.
    pub fn fence_until(&self, row: &HourRow) -> Option<Due> {
        let due = Due::of(row.hour, self.retention);
        Some(due).filter(|due| row.gate.fenced && row.gate.due > self.past && *due > row.gate.due)
    }

    /// Whether it makes an existing or a future hour due sooner.
    pub fn shortens(&self, rows: &[HourRow], before: Retention) -> bool {
        let sooner = |row: &HourRow| self.terms(row).is_some_and(|terms| terms.due < row.gate.due);
        self.retention < before || rows.iter().any(sooner)
    }

    /// Returns the first hour that was not due by the rule `before`. The floor is never above an hour that is
    /// not fenced and, by its own terms, not due yet.
    pub fn floor(&self, rows: &[HourRow], before: Retention) -> Hour {
        // Due = end of the hour + retention.
        let of_rule = Hour(self.past.0.saturating_sub(u32::from(before.as_hours())));
        let kept = rows.iter().filter(|row| !row.gate.fenced && row.gate.due > self.past).map(|row| row.hour);
        kept.min().map_or(of_rule, |kept| of_rule.min(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Gate, HoldId};

    const HOUR: Hour = Hour(500_000);

    fn retention(hours: u16) -> Retention {
        Retention::hours(hours).expect("not zero")
    }

    fn change(hours: u16, past: u32) -> Change {
        let (token, command) = (Token([1; 16]), Digest([2; 32]));
        Change { token, retention: retention(hours), past: Due(past), before: None, command }
    }

    fn row(due: u32) -> HourRow {
        let kek = Some(KekId::of_due(Due(due)));
        let gate = Gate { due: Due(due), kek, fenced: false, hold: None, command: None };
        HourRow { token: Token([1; 16]), hour: HOUR, gate, keys: Vec::new() }
    }

    #[test]
    fn longer_goes_with_the_kek_of_the_later_day() {
        let due = Due(HOUR.0 + 1 + 240);
        let terms = change(240, HOUR.0 + 5).terms(&row(HOUR.0 + 25));
        let command = Some(Digest([2; 32]));
        assert_eq!(terms, Some(Terms { due, kek: KekId::of_due(due), command }));
    }

    #[test]
    fn shorter_keeps_the_kek_by_which_copies_are_wrapped() {
        let terms = change(24, HOUR.0 + 5).terms(&row(HOUR.0 + 241)).expect("new ones");
        assert_eq!((terms.due, terms.kek), (Due(HOUR.0 + 25), KekId::of_due(Due(HOUR.0 + 241))));
        let longer_again =
            HourRow { gate: Gate { due: Due(HOUR.0 + 25), ..row(HOUR.0 + 241).gate }, ..row(0) };
        let terms = change(200, HOUR.0 + 6).terms(&longer_again).expect("new ones");
        assert_eq!((terms.due, terms.kek), (Due(HOUR.0 + 201), KekId::of_due(Due(HOUR.0 + 241))));
    }

    #[test]
    fn what_would_be_due_already_is_due_with_the_next_full_hour() {
        let terms = change(1, HOUR.0 + 100).terms(&row(HOUR.0 + 241)).expect("new ones");
        assert_eq!(terms.due, Due(HOUR.0 + 101));
    }

    #[test]
    fn what_is_due_or_forgotten_keeps_its_terms() {
        assert_eq!(change(500, HOUR.0 + 25).terms(&row(HOUR.0 + 25)), None, "due with this very hour");
        assert_ne!(change(500, HOUR.0 + 24).terms(&row(HOUR.0 + 25)), None);
        let same = change(24, HOUR.0).terms(&row(HOUR.0 + 25)).expect("the same ones");
        assert!(same.are_of(&row(HOUR.0 + 25)) && same.command.is_none());
        let mut fenced = row(HOUR.0 + 25);
        fenced.gate.fenced = true;
        assert_eq!(change(500, HOUR.0).terms(&fenced), None);
    }

    #[test]
    fn a_held_hour_gets_its_terms_too() {
        let mut held = row(HOUR.0 + 25);
        held.gate.hold = Some(HoldId(b"case".to_vec()));
        assert!(change(500, HOUR.0).terms(&held).is_some());
    }

    #[test]
    fn the_floor_is_the_first_hour_that_was_not_due_by_the_rule_before() {
        let before = retention(24);
        let floor = change(500, HOUR.0 + 100).floor(&[], before);
        assert!(!Due::of(floor, before).reached(Hour(HOUR.0 + 100).start()));
        assert!(Due::of(Hour(floor.0 - 1), before).reached(Hour(HOUR.0 + 100).start()));
        assert_eq!(change(500, 3).floor(&[], before), Hour(0));
    }

    #[test]
    fn the_floor_stays_behind_an_hour_that_is_kept_by_terms_of_its_own() {
        let change = change(500, HOUR.0 + 100);
        assert_eq!(change.floor(&[row(HOUR.0 + 101)], retention(24)), HOUR);
        assert_eq!(change.floor(&[row(HOUR.0 + 100)], retention(24)), Hour(HOUR.0 + 76), "it is due");
        let mut fenced = row(HOUR.0 + 101);
        fenced.gate.fenced = true;
        assert_eq!(change.floor(&[fenced], retention(24)), Hour(HOUR.0 + 76));
    }

    #[test]
    fn what_was_fenced_before_its_due_is_known_as_fenced_until_the_later_one() {
        let mut fenced = row(HOUR.0 + 25);
        fenced.gate.fenced = true;
        assert_eq!(change(500, HOUR.0).fence_until(&fenced), Some(Due(HOUR.0 + 501)));
        assert_eq!(change(20, HOUR.0).fence_until(&fenced), None, "it is known for longer");
        assert_eq!(change(500, HOUR.0 + 25).fence_until(&fenced), None, "it is due, and below the floor");
        assert_eq!(change(500, HOUR.0).fence_until(&row(HOUR.0 + 25)), None, "it is open");
    }

    #[test]
    fn it_shortens_what_there_is_or_what_comes() {
        let day = change(24, HOUR.0);
        assert!(day.shortens(&[], retention(25)) && !day.shortens(&[], retention(24)));
        assert!(day.shortens(&[row(HOUR.0 + 26)], retention(24)), "an hour of another rule");
        assert!(!day.shortens(&[row(HOUR.0 + 20)], retention(24)));
        assert!(!change(24, HOUR.0 + 26).shortens(&[row(HOUR.0 + 26)], retention(24)), "it is due");
    }
}
