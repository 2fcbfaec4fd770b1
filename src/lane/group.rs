//! Shows the members of a group that are not Hourseal in `/readyz`, metrics and the log.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "`app` creates it"))]

use std::sync::{Mutex, PoisonError};

use crate::stream::ForeignMember;
use crate::telemetry::{Condition, Gauges, Readiness, Registry, codes, info, label, warn};

label! {
    /// The topic that the members of a group read.
    pub(crate) enum Reads: "reads" {
        Control = "control",
        Input = "input",
    }
}

impl Reads {
    /// The consequence of a member that is not Hourseal.
    fn loss(self) -> &'static str {
        match self {
            Self::Control => "nobody executes the commands that they read",
            Self::Input => "nobody seals the records that they read",
        }
    }
}

/// The metrics of the groups of a process. Clones share them.
#[derive(Clone)]
pub(crate) struct GroupMetrics {
    foreign: Gauges<Reads>,
}

impl GroupMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let help = "Members that are not Hourseal in the group that reads the input or the control topic";
        Self { foreign: registry.gauges("foreign_members", help) }
    }
}

/// The view that the lanes of a group in this process share. The newest list counts, whichever lane found it.
pub(crate) struct GroupView {
    group: String,
    reads: Reads,
    metrics: GroupMetrics,
    condition: Condition,
    /// The names of the members that are not Hourseal. Empty if there are none.
    names: Mutex<String>,
}

impl GroupView {
    pub(crate) fn new(group: &str, reads: Reads, metrics: GroupMetrics, readiness: &Readiness) -> Self {
        let condition = readiness.condition(format!("members of group {group}"));
        condition.met();
        Self { group: group.to_owned(), reads, metrics, condition, names: Mutex::default() }
    }

    /// Shows the members that are not Hourseal, as the broker lists them now. Logs a line if they are others
    /// than before.
    pub(crate) fn show(&self, foreign: &[ForeignMember]) {
        self.metrics.foreign.set(self.reads, foreign.len() as f64);
        let members = ForeignMember::names(foreign);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if *names == members {
            return;
        }
        let (group, loss) = (&self.group, self.reads.loss());
        if members.is_empty() {
            self.condition.met();
            info!(codes::FOREIGN_MEMBERS_GONE, group, "every member of the group is Hourseal again");
        } else {
            self.condition
                .unmet(format!("group `{group}` has members that are not Hourseal; {loss}: {members}"));
            warn!(
                codes::FOREIGN_MEMBERS,
                group, members, "the group has members that are not Hourseal; {loss}"
            );
        }
        *names = members;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(client_id: &str) -> ForeignMember {
        ForeignMember::of(client_id, "/10.0.0.7").expect("it is foreign")
    }

    #[test]
    fn a_process_is_not_ready_until_the_last_foreign_member_is_gone() {
        let (readiness, registry) = (Readiness::default(), Registry::default());
        let metrics = GroupMetrics::register(&registry);
        let view = GroupView::new("g", Reads::Input, metrics.clone(), &readiness);
        let control = GroupView::new("g.control", Reads::Control, metrics, &readiness);
        let gauge = |reads| {
            let text = String::from_utf8(registry.render()).expect("text");
            let begin = format!("hourseal_foreign_members{{reads=\"{reads}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&begin).map(str::to_owned)).expect("a series")
        };
        assert_eq!((readiness.reasons(), gauge("input")), (Vec::new(), "0".to_owned()));

        view.show(&[foreign("a"), foreign("a"), foreign("b")]);
        let [reason] = &readiness.reasons()[..] else { panic!("{:?}", readiness.reasons()) };
        assert_eq!(reason.condition, "members of group g");
        assert_eq!(
            reason.why,
            "group `g` has members that are not Hourseal; nobody seals the records that they read: client id \
             `a`, host `/10.0.0.7`; client id `b`, host `/10.0.0.7`"
        );
        assert_eq!((gauge("input"), gauge("control")), ("3".to_owned(), "0".to_owned()));

        view.show(&[foreign("b")]);
        assert!(!readiness.reasons()[0].why.contains("`a`"), "{:?}", readiness.reasons());
        control.show(&[foreign("c")]);
        view.show(&[]);
        let [reason] = &readiness.reasons()[..] else { panic!("{:?}", readiness.reasons()) };
        assert!(reason.why.contains("nobody executes the commands"), "{reason:?}");
        control.show(&[]);
        assert_eq!((readiness.reasons(), gauge("input")), (Vec::new(), "0".to_owned()));
    }
}
