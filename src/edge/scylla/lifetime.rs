//! Lifetimes of cells: pure arithmetic on due and now (`schemas/keystore.cql`).

use crate::keys::FAILSAFE_MS;
use crate::model::{Due, Hour, KekId, Millis};

const DAY: i64 = 86_400;
/// Longest TTL that either server accepts: 20 years of 365 days, in seconds.
const LONGEST: i64 = 20 * 365 * DAY;
/// A TTL of 0 would mean no expiry, and servers refuse a negative one.
const SHORTEST: i64 = 1;

/// Seconds that are added to an hour's due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// A secret expires this long after its due if no sweep erases it: the fail-safe.
    pub failsafe_s: u32,
    /// Its marker expires this long after the secret.
    pub marker_s: u32,
}

impl Default for Lifetimes {
    /// 7 days for the secret, and 90 more days for the marker.
    fn default() -> Self {
        Self { failsafe_s: (FAILSAFE_MS / 1_000) as u32, marker_s: 90 * DAY as u32 }
    }
}

/// A TTL in seconds, as CQL takes it; 0 = none.
pub(super) type Ttl = i32;

/// TTL of cells that are kept because of a hold.
pub(super) const KEPT: Ttl = 0;

impl Lifetimes {
    /// TTL of the cell with the wrapped DEK.
    pub(super) fn secret(self, due: Due, now: Millis) -> Ttl {
        bounded(seconds_until(due, now) + i64::from(self.failsafe_s))
    }

    /// TTL of all other cells. They outlive every secret that was written before, even in an hour that was
    /// due long ago.
    pub(super) fn marker(self, due: Due, now: Millis) -> Ttl {
        bounded(seconds_until(due, now).max(0) + i64::from(self.failsafe_s) + i64::from(self.marker_s))
    }

    /// As [`Lifetimes::marker`], for an hour that may once have had a later due. Its KEK is then of that
    /// later day. A cell that overwrites a cell written for the later due must not expire sooner, or the old
    /// cell could come back.
    pub(super) fn marker_under(self, due: Due, kek: Option<&KekId>, now: Millis) -> Ttl {
        let of_another_day = |kek: &&KekId| kek.day() != KekId::of_due(due).day();
        let end = kek.filter(of_another_day).and_then(|kek| Hour::containing(kek.ends()));
        self.marker(end.map_or(due, |end| due.max(Due(end.0))), now)
    }

    /// As [`Lifetimes::marker_under`], but without a TTL if a hold was once placed on the hour.
    pub(super) fn marker_of(self, kept: bool, due: Due, kek: Option<&KekId>, now: Millis) -> Ttl {
        if kept { KEPT } else { self.marker_under(due, kek, now) }
    }
}

fn seconds_until(due: Due, now: Millis) -> i64 {
    due.at().0.saturating_sub(now.0).div_euclid(1_000)
}

fn bounded(seconds: i64) -> Ttl {
    Ttl::try_from(seconds.clamp(SHORTEST, LONGEST)).expect("20 years are less than 2^31 seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Due = Due(500_000);

    fn hours_before(hours: i64) -> Millis {
        DUE.at().plus(-hours * 3_600_000)
    }

    #[test]
    fn a_secret_outlives_its_due_by_the_fail_safe_and_its_marker_outlives_the_secret() {
        let lifetimes = Lifetimes::default();
        assert_eq!(i64::from(lifetimes.secret(DUE, hours_before(24))), DAY + 7 * DAY);
        assert_eq!(i64::from(lifetimes.marker(DUE, hours_before(24))), DAY + 97 * DAY);
    }

    #[test]
    fn the_marker_of_an_overdue_hour_outlives_a_secret_written_at_any_time_before() {
        let lifetimes = Lifetimes::default();
        for late in [0, 1, 24, 24 * 365] {
            assert_eq!(i64::from(lifetimes.marker(DUE, hours_before(-late))), 97 * DAY);
        }
    }

    #[test]
    fn no_lifetime_is_for_ever_and_none_is_longer_than_the_servers_take() {
        let lifetimes = Lifetimes::default();
        assert_eq!(i64::from(lifetimes.secret(DUE, hours_before(-24 * 365))), SHORTEST);
        assert_eq!(i64::from(lifetimes.marker(Due(u32::MAX), Millis(0))), LONGEST);
        assert_eq!(i64::from(lifetimes.secret(Due(0), Millis(i64::MAX))), SHORTEST);
    }

    #[test]
    fn what_was_to_live_longer_once_is_overwritten_for_as_long() {
        let (lifetimes, now) = (Lifetimes::default(), hours_before(24));
        let later = Due(DUE.0 + 24 * 900);
        let under = |kek: &KekId| lifetimes.marker_under(DUE, Some(kek), now);
        assert_eq!(under(&KekId::of_due(DUE)), lifetimes.marker(DUE, now));
        assert!(under(&KekId::of_due(later)) >= lifetimes.marker(later, now));
        assert!(under(&KekId::of_due(later)) > lifetimes.secret(later, now));
        assert_eq!(under(&KekId::of_due(Due(DUE.0 - 48))), lifetimes.marker(DUE, now));
        assert_eq!(lifetimes.marker_under(DUE, None, now), lifetimes.marker(DUE, now));
    }

    #[test]
    fn the_longest_retention_fits() {
        let due = Due(DUE.0 + 65_535);
        assert!(i64::from(Lifetimes::default().marker(due, DUE.at())) < LONGEST / 2);
    }
}
