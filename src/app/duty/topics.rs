//! The topics: checks again, while the process runs, what it required of them at the start. The lanes follow
//! changed limits for records and a changed placement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Duty, Who};
use crate::app::placement::{self, Placed};
use crate::app::process::Process;
use crate::app::sizes::TopicSizes;
use crate::app::topics::topic_plan;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::{AdminError, Inspection, TopicAdmin, TopicPlan};
use crate::keys::{SealStore, StoreError};
use crate::lane::Placement;
use crate::telemetry::{Condition, codes, info, warn};

/// Time between two checks.
const EVERY: Duration = Duration::from_secs(10);
/// Time until the next check if a transaction is aborted: a limit may have changed. An abort takes longer,
/// so the next batch mostly keeps to the new limit.
const IN_DOUBT: Duration = Duration::from_millis(200);

pub(super) struct TopicDuty {
    client: ClientSettings,
    /// Made at the first check, and kept: the checks are frequent.
    admin: Option<TopicAdmin>,
    plan: TopicPlan,
    /// The lanes follow its limits and its placements.
    sizes: TopicSizes,
    store: Arc<dyn SealStore>,
    /// The placements at the last check that the store answered.
    placed: Vec<Placed>,
    condition: Condition,
    /// Time of the last check.
    checked: Instant,
    last: State,
}

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Right,
    /// The process can continue as it is.
    Noted(String),
    Wrong(String),
}

impl TopicDuty {
    pub(super) fn new(process: &Process) -> Self {
        let condition = process.telemetry.readiness.condition("topics");
        condition.met();
        let longest = process.meta.default_retention.max(process.config.retention.quarantine);
        Self {
            client: process.client.clone(),
            admin: None,
            plan: topic_plan(&process.config, longest),
            sizes: process.sizes.clone(),
            store: process.foundation.store.clone(),
            placed: Vec::new(),
            condition,
            checked: Instant::now(),
            last: State::Right,
        }
    }

    /// Gives changed placements to the lanes. If the store has none, stores those that the lanes use. While
    /// the store does not answer, the lanes keep theirs: the lease of their keys ends soon without it.
    async fn follow_placements(&mut self, inspection: &Inspection) -> Option<StoreError> {
        let outputs = &self.sizes.outputs;
        let used = |it: &Placed| placement::placement_of(outputs, it.role).map_or(it.found, Placement::now);
        match placement::agreed(&*self.store, &self.plan, &inspection.facts, used).await {
            Ok(placed) => self.placed = placed,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => return Some(error),
        }
        placement::follow(outputs, &self.placed);
        None
    }

    fn follow(&mut self, state: State) {
        match &state {
            State::Right => self.condition.met(),
            State::Noted(text) => self.condition.noted(text),
            State::Wrong(text) => self.condition.unmet(text),
        }
        if state != self.last {
            match &state {
                State::Right => info!(codes::TOPICS_RIGHT, "the topics are as required again"),
                State::Noted(why) | State::Wrong(why) => {
                    warn!(codes::TOPICS_WRONG, why, "a topic is not as it should be");
                }
            }
        }
        self.last = state;
    }
}

impl Duty for TopicDuty {
    const NAME: &'static str = "topics";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = false;

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        if !self.sizes.take_doubt() && self.checked.elapsed() < EVERY {
            return Ok(IN_DOUBT);
        }
        self.checked = Instant::now();
        let admin = match &mut self.admin {
            Some(admin) => admin,
            none => none.insert(TopicAdmin::new(&self.client).map_err(|error| error.to_string())?),
        };
        match admin.inspect(&self.plan).await {
            Ok(inspection) => {
                self.sizes.follow(&self.plan, &inspection.facts);
                let unreadable = self.follow_placements(&inspection).await;
                self.follow(judge(&self.plan, &self.placed, &inspection, unreadable));
            }
            Err(denied @ AdminError::Denied { .. }) => self.follow(State::Wrong(denied.to_string())),
            Err(error) => return Err(error.to_string()),
        }
        Ok(IN_DOUBT)
    }

    /// Logs nothing: the conditions of the lanes report a broker that is away.
    fn log_failure(&self, _why: &str) {}
}

/// Decides what the check means for a process with these placements.
fn judge(
    plan: &TopicPlan,
    placed: &[Placed],
    inspection: &Inspection,
    unreadable: Option<StoreError>,
) -> State {
    let missing =
        inspection.missing.iter().map(|role| format!("topic `{}` does not exist", plan.name(*role)));
    let findings = inspection.findings.iter().map(ToString::to_string);
    let too_few = placed.iter().filter_map(|it| Some(it.finding()?.to_string()));
    let unreadable = unreadable.map(|error| format!("the placements cannot be read: {error}"));
    let wrong: Vec<String> = missing.chain(findings).chain(too_few).chain(unreadable).collect();
    let notes: Vec<String> = placed.iter().filter_map(Placed::note).collect();
    match (wrong.is_empty(), notes.is_empty()) {
        (false, _) => State::Wrong([wrong, notes].concat().join("; ")),
        (true, false) => State::Noted(notes.join("; ")),
        (true, true) => State::Right,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::edge::kafka::admin::Role;
    use crate::model::Retention;

    fn judged(stored: i32, unreadable: Option<StoreError>) -> State {
        let (role, topic) = (Role::Output, "jobs.sealed".to_owned());
        let plan = TopicPlan {
            names: [(role, topic.clone())].into(),
            longest: Retention::hours(24).expect("a retention"),
            partition_as_input: false,
            scrub: None,
        };
        let placed = [Placed { role, topic, stored: Some(stored), found: 3 }];
        let inspection = Inspection { facts: BTreeMap::new(), missing: Vec::new(), findings: Vec::new() };
        judge(&plan, &placed, &inspection, unreadable)
    }

    #[test]
    fn unused_partitions_are_a_note_and_missing_ones_are_not_ready() {
        assert_eq!(judged(3, None), State::Right);
        let State::Noted(text) = judged(2, None) else { panic!("unused partitions change nothing") };
        assert!(text.contains("topics adopt"), "{text}");
        let State::Wrong(text) = judged(4, None) else { panic!("records cannot be placed") };
        assert!(text.contains("partitions is 3, wanted at least 4"), "{text}");
    }

    #[test]
    fn a_placement_that_cannot_be_read_is_not_ready() {
        let unusable = Some(StoreError::Unusable("malformed placement".to_owned()));
        assert!(matches!(judged(3, unusable), State::Wrong(text) if text.contains("malformed placement")));
    }
}
