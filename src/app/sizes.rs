//! The limits of the topics for records: read at the start, and again while the process runs.

use std::collections::BTreeMap;

use crate::edge::kafka::admin::{Role, TopicFacts, TopicPlan};
use crate::lane::{MaxMessageBytes, Outputs, TimestampBounds};

/// The facts about the topics that a lane needs.
#[derive(Clone, Debug)]
pub(super) struct TopicSizes {
    pub(super) outputs: Outputs,
    /// The smallest one of the output topics.
    pub(super) output: MaxMessageBytes,
    pub(super) quarantine: MaxMessageBytes,
    pub(super) receipts: MaxMessageBytes,
    /// The widest of the output topics.
    pub(super) timestamps: TimestampBounds,
}

impl TopicSizes {
    /// The topics have these `max.message.bytes` until [`TopicSizes::follow`] finds others.
    pub(super) fn new(outputs: Outputs, bytes: usize) -> Self {
        let [output, quarantine, receipts] = [bytes; 3].map(MaxMessageBytes::new);
        Self { outputs, output, quarantine, receipts, timestamps: TimestampBounds::unlimited() }
    }

    /// Stores what the broker reports. A topic that it does not report keeps its size.
    pub(super) fn follow(&self, plan: &TopicPlan, facts: &BTreeMap<Role, TopicFacts>) {
        let bytes = |role| {
            let bytes = facts.get(&role)?.max_message_bytes();
            usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
        };
        // `None` is the minimum.
        let output = plan.outputs().map(bytes).min().flatten();
        let quarantine = (&self.quarantine, bytes(Role::Quarantine));
        let receipts = (&self.receipts, bytes(Role::Receipts));
        for (size, bytes) in [(&self.output, output), quarantine, receipts] {
            if let Some(bytes) = bytes {
                size.set(bytes);
            }
        }
        let unlimited = (i64::MAX, i64::MAX);
        let bounds =
            plan.outputs().map(|role| facts.get(&role).map_or(unlimited, TopicFacts::timestamp_bounds));
        let widest = bounds.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)));
        let (before, after) = widest.unwrap_or(unlimited);
        self.timestamps.set(before, after);
    }

    /// Whether a transaction was aborted since the last call. The reason may be a limit that has changed.
    pub(super) fn take_doubt(&self) -> bool {
        [&self.output, &self.quarantine, &self.receipts].map(MaxMessageBytes::take_doubt).contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Placement;
    use crate::model::{ClassId, Retention};

    const CLASS: Role = Role::Class(ClassId(0));

    fn plan() -> TopicPlan {
        let roles = [CLASS, Role::Output, Role::Quarantine, Role::Receipts];
        TopicPlan {
            names: roles.map(|role| (role, format!("{role:?}"))).into(),
            longest: Retention::hours(24).expect("a retention"),
            partition_as_input: false,
            scrub: None,
        }
    }

    fn facts<const N: usize>(sizes: [(Role, &str); N]) -> BTreeMap<Role, TopicFacts> {
        let settings = |bytes: &str| [("max.message.bytes".to_owned(), bytes.to_owned())].into();
        sizes.map(|(role, bytes)| (role, TopicFacts { partitions: 1, settings: settings(bytes) })).into()
    }

    fn sizes_of(bytes: usize) -> TopicSizes {
        TopicSizes::new(Outputs { output: Placement::new(1), classes: Vec::new() }, bytes)
    }

    fn now(sizes: &TopicSizes) -> [usize; 3] {
        [&sizes.output, &sizes.quarantine, &sizes.receipts].map(MaxMessageBytes::now)
    }

    #[test]
    fn sizes_follow_the_broker_down_and_up_and_clones_see_it() {
        let sizes = sizes_of(0);
        let of_a_lane = sizes.clone();
        let others = [(Role::Quarantine, "900"), (Role::Receipts, "70")];
        for (output, class, smallest) in [("500", "600", 500), ("500", "20", 20), ("800", "700", 700)] {
            let outputs = facts([(Role::Output, output), (CLASS, class)]);
            sizes.follow(&plan(), &outputs.into_iter().chain(facts(others)).collect());
            assert_eq!(now(&of_a_lane), [smallest, 900, 70]);
        }
    }

    #[test]
    fn a_topic_that_is_not_reported_keeps_its_size() {
        let sizes = sizes_of(500);
        sizes.follow(&plan(), &facts([(Role::Output, "800"), (Role::Receipts, "")]));
        assert_eq!(now(&sizes), [500; 3], "the other output topic is not known");
        sizes.follow(&plan(), &facts([(Role::Output, "800"), (CLASS, "900"), (Role::Quarantine, "30")]));
        assert_eq!(now(&sizes), [800, 30, 500]);
    }

    #[test]
    fn a_timestamp_is_refused_early_only_if_every_output_topic_refuses_it() {
        let sizes = sizes_of(500);
        let bounded = |role, ms: &str| {
            let settings = [("message.timestamp.before.max.ms".to_owned(), ms.to_owned())].into();
            (role, TopicFacts { partitions: 1, settings })
        };
        let plain = (CLASS, TopicFacts::default());
        for (topics, before) in [
            ([bounded(Role::Output, "7"), bounded(CLASS, "9")], 9),
            ([bounded(Role::Output, "7"), plain.clone()], i64::MAX),
            ([bounded(Role::Output, "7"), bounded(CLASS, "-1")], i64::MAX),
        ] {
            sizes.follow(&plan(), &topics.into());
            assert_eq!(sizes.timestamps.now(), (before, i64::MAX));
        }
        sizes.follow(&plan(), &[bounded(Role::Output, "7")].into());
        assert_eq!(sizes.timestamps.now(), (i64::MAX, i64::MAX), "the other output topic is not known");
    }

    #[test]
    fn a_doubt_about_any_topic_is_heard_once() {
        let sizes = sizes_of(500);
        assert!(!sizes.take_doubt());
        sizes.quarantine.doubt();
        sizes.receipts.doubt();
        assert!(sizes.take_doubt());
        assert!(!sizes.take_doubt());
    }
}
