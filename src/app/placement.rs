//! The placements: over how many partitions of each output topic the workers place their records.
//!
//! Promise: all workers of a key store use the same number, whenever they started. Only `topics adopt`
//! changes it. Not here: the partition of a slot (`lane`), the stored numbers (`keys`).
//! Start at [`Placed`].

use std::collections::BTreeMap;

use crate::edge::kafka::admin::{Finding, Role, Subject, TopicFacts, TopicPlan};
use crate::keys::{ReadStore, SealStore, StoreError};
use crate::lane::{Outputs, Placement};
use crate::model::{ClassId, Retention};
use crate::telemetry::{codes, info};

/// An output topic with its placement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    pub role: Role,
    pub topic: String,
    /// The placement: the number of partitions over which every worker places its records. `None`: no worker
    /// has stored one yet.
    pub stored: Option<i32>,
    /// The number of partitions that the topic has.
    pub found: i32,
}

/// A topic's placement, compared with its partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// There is no placement: the first worker stores the topic's number.
    New,
    /// Every partition is used.
    Whole,
    /// This many partitions are not used.
    Unused(i32),
    /// The topic lacks partitions of its placement.
    TooFew,
}

impl Placed {
    pub fn fit(&self) -> Fit {
        match self.stored {
            None => Fit::New,
            Some(stored) if stored > self.found => Fit::TooFew,
            Some(stored) if stored < self.found => Fit::Unused(self.found - stored),
            Some(_) => Fit::Whole,
        }
    }

    /// The rule that the topic breaks.
    pub fn finding(&self) -> Option<Finding> {
        let stored = self.stored.filter(|_| self.fit() == Fit::TooFew)?;
        Some(Finding {
            subject: Subject::Topic(self.topic.clone()),
            setting: "partitions",
            found: self.found.to_string(),
            wanted: format!("at least {stored}"),
            why: "all workers place their records over so many; `hourseal topics adopt` changes this",
        })
    }

    /// A note about partitions that no worker uses.
    pub fn note(&self) -> Option<String> {
        let stored = self.stored.filter(|_| matches!(self.fit(), Fit::Unused(_)))?;
        let Self { topic, found, .. } = self;
        let has = format!("topic `{topic}` has {found} partitions, and the workers use {stored}");
        Some(format!("{has}: `hourseal topics adopt` changes this"))
    }
}

/// Reads the placements of the plan's existing output topics. There are none if the output partition is that
/// of the input.
///
/// # Errors
/// If the store does not answer, or holds a number that no worker writes.
pub async fn placed(
    store: &dyn ReadStore,
    plan: &TopicPlan,
    facts: &BTreeMap<Role, TopicFacts>,
) -> Result<Vec<Placed>, StoreError> {
    let mut placed = Vec::new();
    let outputs = plan.outputs().filter(|_| !plan.partition_as_input);
    for (role, facts) in outputs.filter_map(|role| Some((role, facts.get(&role)?))) {
        let topic = plan.name(role).to_owned();
        let stored = store.placement(&topic).await?;
        placed.push(Placed { role, topic, stored, found: partitions(facts) });
    }
    Ok(placed)
}

/// As [`placed`], but stores each placement that is missing: `first` returns it. If another process stores
/// one at the same time, its number counts.
pub(super) async fn agreed(
    store: &dyn SealStore,
    plan: &TopicPlan,
    facts: &BTreeMap<Role, TopicFacts>,
    first: impl Fn(&Placed) -> i32,
) -> Result<Vec<Placed>, StoreError> {
    let mut placed = placed(store, plan, facts).await?;
    for it in &mut placed {
        if it.stored.is_none() {
            it.stored = Some(store.set_placement(&it.topic, None, first(it)).await?);
        }
    }
    Ok(placed)
}

/// Returns the outputs of the lanes at their start.
pub(super) fn outputs(
    classes: &BTreeMap<Retention, String>,
    facts: &BTreeMap<Role, TopicFacts>,
    placed: &[Placed],
) -> Outputs {
    let placement = |role| {
        let stored = placed.iter().find(|it| it.role == role).and_then(|it| it.stored);
        Placement::new(stored.unwrap_or_else(|| facts.get(&role).map_or(0, partitions)))
    };
    let classes = classes.keys().enumerate();
    let classes = classes.map(|(class, longest)| (*longest, placement(Role::Class(ClassId(class)))));
    let outputs = Outputs { output: placement(Role::Output), classes: classes.collect() };
    placed.iter().for_each(log);
    outputs
}

/// Gives changed placements to the lanes, except one that its topic is too small for.
pub(super) fn follow(outputs: &Outputs, placed: &[Placed]) {
    for it in placed.iter().filter(|it| it.fit() != Fit::TooFew) {
        let (Some(placement), Some(stored)) = (placement_of(outputs, it.role), it.stored) else { continue };
        if placement.set(stored) != stored {
            log(it);
        }
    }
}

/// The placement of an output topic, as the lanes of this process use it.
pub(super) fn placement_of(outputs: &Outputs, role: Role) -> Option<&Placement> {
    match role {
        Role::Output => Some(outputs.placement(None)),
        Role::Class(class) => Some(outputs.placement(Some(class))),
        Role::Input | Role::Quarantine | Role::Control | Role::Receipts | Role::Checkpoints => None,
    }
}

fn log(Placed { topic, stored, found, .. }: &Placed) {
    let partitions = stored.unwrap_or(*found);
    let unused = found - partitions;
    info!(
        codes::PLACED,
        topic, partitions, unused, "records of the topic are placed over this many partitions"
    );
}

fn partitions(facts: &TopicFacts) -> i32 {
    i32::try_from(facts.partitions).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(role: Role, stored: Option<i32>, found: i32) -> Placed {
        Placed { role, topic: "jobs.sealed".to_owned(), stored, found }
    }

    #[test]
    fn added_partitions_stay_unused_and_missing_ones_break_a_rule() {
        for (stored, found, fit, noted, broken) in [
            (None, 3, Fit::New, false, false),
            (Some(3), 3, Fit::Whole, false, false),
            (Some(3), 8, Fit::Unused(5), true, false),
            (Some(3), 2, Fit::TooFew, false, true),
        ] {
            let placed = of(Role::Output, stored, found);
            let said = (placed.fit(), placed.note().is_some(), placed.finding().is_some());
            assert_eq!(said, (fit, noted, broken), "{stored:?} of {found}");
        }
    }

    #[test]
    fn lanes_start_with_the_stored_number_and_follow_it() {
        let day = Retention::hours(24).expect("not zero");
        let classes = [(day, "jobs.sealed.1d".to_owned())].into();
        let class = Role::Class(ClassId(0));
        let facts = [(Role::Output, 8), (class, 4)]
            .map(|(role, partitions)| (role, TopicFacts { partitions, ..TopicFacts::default() }));
        let at_start = [of(Role::Output, Some(3), 8), of(class, Some(4), 4)];
        let outputs = outputs(&classes, &facts.into(), &at_start);
        let of_a_lane = outputs.clone();
        let now = || of_a_lane.placements().map(Placement::now).collect::<Vec<_>>();
        assert_eq!(now(), [3, 4]);
        follow(&outputs, &[of(Role::Output, Some(8), 8)]);
        assert_eq!(now(), [8, 4]);
        follow(&outputs, &[of(Role::Output, Some(2), 8), of(class, Some(5), 4)]);
        assert_eq!(now(), [2, 4], "the class's topic has no fifth partition");
    }

    #[test]
    fn without_a_placement_the_lanes_use_what_the_topic_has() {
        let facts = [(Role::Output, TopicFacts { partitions: 6, ..TopicFacts::default() })].into();
        assert_eq!(outputs(&BTreeMap::new(), &facts, &[]).output.now(), 6);
    }
}
