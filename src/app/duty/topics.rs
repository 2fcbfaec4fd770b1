//! The topics: checks again, while the process runs, what it required of them at the start. The lanes follow
//! changed limits for records.

use std::time::{Duration, Instant};

use super::{Duty, Who};
use crate::app::process::Process;
use crate::app::sizes::TopicSizes;
use crate::app::topics::topic_plan;
use crate::edge::kafka::ClientSettings;
use crate::edge::kafka::admin::{AdminError, Inspection, Role, TopicAdmin, TopicPlan};
use crate::lane::Outputs;
use crate::model::ClassId;
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
    /// The lanes place their records by its numbers of partitions. They follow its limits.
    sizes: TopicSizes,
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
            condition,
            checked: Instant::now(),
            last: State::Right,
        }
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
                    warn!(codes::TOPICS_WRONG, why, "a topic is not as it was at the start");
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
                self.follow(judge(&self.plan, &self.sizes.outputs, &inspection));
            }
            Err(denied @ AdminError::Denied { .. }) => self.follow(State::Wrong(denied.to_string())),
            Err(error) => return Err(error.to_string()),
        }
        Ok(IN_DOUBT)
    }

    /// Logs nothing: the conditions of the lanes report a broker that is away.
    fn log_failure(&self, _why: &str) {}
}

/// Decides what the check means for a process that places its records by `outputs`.
fn judge(plan: &TopicPlan, outputs: &Outputs, inspection: &Inspection) -> State {
    let missing =
        inspection.missing.iter().map(|role| format!("topic `{}` does not exist", plan.name(*role)));
    let wrong: Vec<String> = missing.chain(inspection.findings.iter().map(ToString::to_string)).collect();
    let classes =
        outputs.classes.iter().enumerate().map(|(class, (_, count))| (Role::Class(ClassId(class)), *count));
    let changed =
        [(Role::Output, outputs.partitions)].into_iter().chain(classes).filter_map(|(role, count)| {
            let now = inspection.facts.get(&role)?.partitions;
            (i32::try_from(now) != Ok(count)).then(|| {
                let name = plan.name(role);
                format!(
                    "topic `{name}` has {now} partitions, and this process uses {count}: restart all workers"
                )
            })
        });
    let changed: Vec<String> = changed.collect();
    match (wrong.is_empty(), changed.is_empty()) {
        (false, _) => State::Wrong([wrong, changed].concat().join("; ")),
        (true, false) => State::Noted(changed.join("; ")),
        (true, true) => State::Right,
    }
}
