//! Members of a lane's group that are not Hourseal. The records of their partitions are not sealed.

use std::collections::BTreeSet;

/// The client id of every client of Hourseal begins with this. No setting changes it.
pub const CLIENT_ID: &str = "hourseal";

/// Most characters of a name that are shown.
const LONGEST: usize = 64;
/// Most members that a text names.
const MOST_NAMED: usize = 3;

/// A member of the group that is not Hourseal. It chose its names itself, so they are short and have no
/// control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ForeignMember {
    client_id: String,
    host: String,
}

impl ForeignMember {
    /// Judges a member by the client id that the broker reports for it. `None`: it is Hourseal.
    pub fn of(client_id: &str, host: &str) -> Option<Self> {
        let foreign = || Self { client_id: printable(client_id), host: printable(host) };
        (!client_id.starts_with(CLIENT_ID)).then(foreign)
    }

    /// Names members for people: each pair of client id and host once, the first three of them.
    pub fn names(members: &[Self]) -> String {
        let members: BTreeSet<&Self> = members.iter().collect();
        let name = |it: &&Self| format!("client id `{}`, host `{}`", it.client_id, it.host);
        let named: Vec<String> = members.iter().take(MOST_NAMED).map(name).collect();
        match members.len().saturating_sub(MOST_NAMED) {
            0 => named.join("; "),
            more => format!("{}; and {more} more", named.join("; ")),
        }
    }
}

fn printable(name: &str) -> String {
    let mut shown: String =
        name.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(client_id: &str) -> ForeignMember {
        ForeignMember::of(client_id, "/10.0.0.7").expect("it is foreign")
    }

    #[test]
    fn a_member_is_hourseal_by_the_beginning_of_its_client_id() {
        for ours in ["hourseal", "hourseal/2.0.0"] {
            assert_eq!(ForeignMember::of(ours, "/10.0.0.7"), None, "{ours}");
        }
        for foreign in ["", "rdkafka", "Hourseal", "my-hourseal", "consumer-hourseal-1"] {
            assert!(ForeignMember::of(foreign, "/10.0.0.7").is_some(), "{foreign}");
        }
    }

    #[test]
    fn names_from_outside_are_short_and_stay_on_one_line() {
        let member = ForeignMember::of("a\nb\u{1b}[31m\0", &"h".repeat(1_000)).expect("it is foreign");
        let names = ForeignMember::names(&[member]);
        assert!(!names.contains(char::is_control), "{names:?}");
        assert!(names.starts_with("client id `a\u{fffd}b\u{fffd}[31m\u{fffd}`, host `hhh"), "{names:?}");
        assert!(names.ends_with("h…`") && names.chars().count() < 120, "{names:?}");
    }

    #[test]
    fn each_pair_is_named_once_and_at_most_three_are_named() {
        let member = |name| format!("client id `{name}`, host `/10.0.0.7`");
        let names = ForeignMember::names(&[foreign("b"), foreign("a"), foreign("b")]);
        assert_eq!(names, format!("{}; {}", member("a"), member("b")));
        let many: Vec<ForeignMember> = ["e", "d", "c", "b", "a"].map(foreign).to_vec();
        let names = ForeignMember::names(&many);
        assert_eq!(names, format!("{}; {}; {}; and 2 more", member("a"), member("b"), member("c")));
    }
}
