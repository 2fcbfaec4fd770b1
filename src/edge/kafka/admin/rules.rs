//! The rules for each topic (DESIGN §5.9). They depend on the topics' facts alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use super::finding::{Finding, Subject};
use crate::model::{ClassId, MILLIS_PER_HOUR, Retention};

/// Extra bytes of a sealed record compared with its input record: 68 of envelope, 10 of frame, 256 of
/// customer, and four for each of about 900 headers: their lengths are longer in the frame than on the wire.
const OUTPUT_EXTRA: u64 = 4 << 10;

/// Extra bytes of a quarantined record compared with its input record: the same, plus origin and reason.
const QUARANTINE_EXTRA: u64 = 64 << 10;

/// The purpose of a topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    Input,
    Output,
    Quarantine,
    Control,
    Receipts,
    Checkpoints,
    /// The output of a retention class. Classes count from the shortest.
    Class(ClassId),
}

impl Role {
    /// Whether the topic has one partition.
    pub(super) fn is_single(self) -> bool {
        matches!(self, Self::Control | Self::Receipts | Self::Checkpoints)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Quarantine => "quarantine",
            Self::Control => "control",
            Self::Receipts => "receipts",
            Self::Checkpoints => "checkpoints",
            Self::Class(_) => "class",
        })
    }
}

/// The required topics.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    /// The topic of each required role.
    pub names: BTreeMap<Role, String>,
    /// The longest retention that any customer has.
    pub longest: Retention,
    /// A sealed record goes to the partition with the number of its input partition.
    pub partition_as_input: bool,
    /// `scrub.every`, if sealed plaintext is deleted from the input.
    pub scrub: Option<Duration>,
}

impl TopicPlan {
    /// The required roles.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.names.keys().copied()
    }

    pub fn name(&self, role: Role) -> &str {
        self.names.get(&role).map_or("", String::as_str)
    }

    /// The roles whose topics hold sealed events.
    pub fn outputs(&self) -> impl Iterator<Item = Role> {
        self.roles().filter(|role| matches!(role, Role::Output | Role::Class(_)))
    }

    /// Time for which the output must keep a record, in milliseconds from its timestamp, which is the
    /// event's time. An event at the start of its hour lives for that hour and the retention. One more hour
    /// is for late and early events.
    fn keep_ms(&self) -> i64 {
        (i64::from(self.longest.as_hours()) + 2) * MILLIS_PER_HOUR
    }
}

/// The observed properties of a topic.
#[derive(Clone, Debug, Default)]
pub struct TopicFacts {
    pub partitions: usize,
    /// Effective settings by name.
    pub settings: HashMap<String, String>,
}

impl TopicFacts {
    fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    /// Longest times that a record's timestamp may be before and after its arrival, in milliseconds
    /// (`message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`, KIP-937). `i64::MAX` = no
    /// limit, or the broker did not report it.
    pub fn timestamp_bounds(&self) -> (i64, i64) {
        let bound = |name| self.number(name).filter(|ms| *ms >= 0).unwrap_or(i64::MAX);
        (bound("message.timestamp.before.max.ms"), bound("message.timestamp.after.max.ms"))
    }

    /// Time for which this topic, the input, keeps plaintext that is already sealed.
    pub fn plaintext_window(&self, scrub: Option<Duration>) -> PlaintextWindow {
        // -1 or not reported: without limit, as far as is known.
        let time = |name| self.number(name).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        PlaintextWindow { retention: time("retention.ms"), segment: time("segment.ms"), scrub }
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.setting(name).parse().ok()
    }

    /// Bytes of the largest record batch that the topic accepts; 0 if the broker did not report it.
    pub fn max_message_bytes(&self) -> u64 {
        self.number("max.message.bytes").and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
    }
}

/// Time for which the input keeps plaintext that is already sealed, according to its settings. The broker
/// deletes whole segments. It checks for them every `log.retention.check.interval.ms` and unlinks their
/// files `file.delete.delay.ms` later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaintextWindow {
    /// `retention.ms`; `None` = without limit.
    retention: Option<Duration>,
    /// `segment.ms`; `None` = the broker did not report it.
    segment: Option<Duration>,
    scrub: Option<Duration>,
}

impl PlaintextWindow {
    /// The time in a partition with new records: its active segment can be deleted once a new record has
    /// begun the next one.
    pub fn busy(&self) -> Option<Duration> {
        Some(self.scrub.or(self.retention)?.saturating_add(self.segment?))
    }

    /// The time in a partition without new records: only its retention ends its active segment.
    pub fn idle(&self) -> Option<Duration> {
        self.retention
    }
}

impl fmt::Display for PlaintextWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long = |time: Option<Duration>| {
            time.map_or_else(|| "unlimited time".to_owned(), |it| humantime::format_duration(it).to_string())
        };
        let by = if self.scrub.is_some() { "scrub.every + segment.ms" } else { "retention.ms + segment.ms" };
        let (busy, idle) = (long(self.busy()), long(self.idle()));
        write!(
            f,
            "{busy} in a partition with new records ({by}), {idle} in one without (retention.ms), and until \
             the broker's next check"
        )
    }
}

/// Every rule that an existing topic breaks.
pub fn findings(plan: &TopicPlan, facts: &BTreeMap<Role, TopicFacts>) -> Vec<Finding> {
    let mut findings = Findings { plan, facts, found: Vec::new() };
    findings.input();
    plan.outputs().for_each(|role| findings.output(role));
    findings.sizes();
    findings.single_partition(Role::Control, "the owner of its only partition executes commands");
    findings.single_partition(Role::Receipts, "receipts are one sequence, and every process follows it");
    findings.single_partition(Role::Checkpoints, "checkpoints are one sequence");
    findings.receipts();
    let newest = "the newest checkpoint is kept permanently, older ones need not be";
    findings.expect(Role::Checkpoints, "cleanup.policy", "compact", newest);
    findings.found
}

struct Findings<'a> {
    plan: &'a TopicPlan,
    facts: &'a BTreeMap<Role, TopicFacts>,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn input(&mut self) {
        let Some(facts) = self.facts.get(&Role::Input).filter(|_| self.plan.scrub.is_some()) else { return };
        if !facts.setting("cleanup.policy").contains("delete") {
            let why = "`scrub.every` deletes records, and a topic that is only compacted refuses that";
            self.add(Role::Input, "cleanup.policy", "delete".to_owned(), why);
        }
    }

    /// Checks an output topic. The outputs of classes need the longest retention, too: a sealed event may be
    /// held, or its retention extended, at any time.
    fn output(&mut self, role: Role) {
        let Some(facts) = self.facts.get(&role) else { return };
        self.not_compacted(role, "compaction drops all but the last record of a key");
        let why = "a sealed record's timestamp is its event's time";
        self.expect(role, "message.timestamp.type", "CreateTime", why);
        let keep = self.plan.keep_ms();
        if !facts.number("retention.ms").is_some_and(|ms| ms < 0 || ms >= keep) {
            let why = "it must be above the longest retention, or sealed events vanish before they are due";
            self.add(role, "retention.ms", format!("-1 or at least {keep}"), why);
        }
        let why = "a size limit drops sealed events before they are due";
        self.expect(role, "retention.bytes", "-1", why);
        let input = self.facts.get(&Role::Input).map_or(0, |facts| facts.partitions);
        if self.plan.partition_as_input && facts.partitions < input {
            let why = "`seal.partitioner` is `input`, so each input partition needs its own";
            self.count(role, facts.partitions, format!("at least {input}"), why);
        }
    }

    /// Checks sizes. If the largest input record does not fit after it is sealed, it can only be
    /// quarantined. In the quarantine it must always fit.
    fn sizes(&mut self) {
        let Some(input) = self.facts.get(&Role::Input).map(TopicFacts::max_message_bytes) else { return };
        let sealed = "the input's largest record and its envelope must fit";
        let quarantined = "the input's largest record, its envelope and its origin must fit";
        let outputs = self.plan.outputs().map(|role| (role, OUTPUT_EXTRA, sealed));
        for (role, extra, why) in outputs.chain([(Role::Quarantine, QUARANTINE_EXTRA, quarantined)]) {
            if self.facts.get(&role).is_some_and(|facts| facts.max_message_bytes() < input + extra) {
                self.add(role, "max.message.bytes", format!("at least {}", input + extra), why);
            }
        }
    }

    fn receipts(&mut self) {
        let forever = "receipts are kept permanently: they prove what was forgotten";
        self.not_compacted(Role::Receipts, forever);
        self.expect(Role::Receipts, "retention.ms", "-1", forever);
        self.expect(Role::Receipts, "retention.bytes", "-1", forever);
        let why = "a receipt's time is the broker's, not its writer's";
        self.expect(Role::Receipts, "message.timestamp.type", "LogAppendTime", why);
    }

    fn single_partition(&mut self, role: Role, why: &'static str) {
        if let Some(facts) = self.facts.get(&role).filter(|facts| facts.partitions != 1) {
            self.count(role, facts.partitions, "1".to_owned(), why);
        }
    }

    fn not_compacted(&mut self, role: Role, why: &'static str) {
        if self.facts.get(&role).is_some_and(|facts| facts.setting("cleanup.policy").contains("compact")) {
            self.add(role, "cleanup.policy", "delete".to_owned(), why);
        }
    }

    fn expect(&mut self, role: Role, setting: &'static str, wanted: &str, why: &'static str) {
        if self.facts.get(&role).is_some_and(|facts| facts.setting(setting) != wanted) {
            self.add(role, setting, wanted.to_owned(), why);
        }
    }

    fn add(&mut self, role: Role, setting: &'static str, wanted: String, why: &'static str) {
        let found = match self.facts.get(&role).map_or("", |facts| facts.setting(setting)) {
            "" => "not reported by the broker".to_owned(),
            found => found.to_owned(),
        };
        let subject = Subject::Topic(self.plan.name(role).to_owned());
        self.found.push(Finding { subject, setting, found, wanted, why });
    }

    fn count(&mut self, role: Role, found: usize, wanted: String, why: &'static str) {
        let subject = Subject::Topic(self.plan.name(role).to_owned());
        self.found.push(Finding { subject, setting: "partitions", found: found.to_string(), wanted, why });
    }
}

/// Settings of a new topic. `input` is the size of the input's largest record batch, in bytes.
pub fn settings_for(role: Role, input: u64) -> Vec<(&'static str, String)> {
    let forever = ("retention.ms", "-1".to_owned());
    let unlimited = ("retention.bytes", "-1".to_owned());
    let delete = ("cleanup.policy", "delete".to_owned());
    let stamped = |by: &str| ("message.timestamp.type", by.to_owned());
    let largest = |bytes: u64| ("max.message.bytes", bytes.to_string());
    match role {
        Role::Input => vec![],
        Role::Output | Role::Class(_) => {
            vec![delete, stamped("CreateTime"), forever, unlimited, largest(input + OUTPUT_EXTRA)]
        }
        Role::Quarantine => {
            vec![delete, stamped("CreateTime"), forever, unlimited, largest(input + QUARANTINE_EXTRA)]
        }
        Role::Control => vec![delete],
        Role::Receipts => vec![delete, stamped("LogAppendTime"), forever, unlimited],
        // At most one hour's checkpoints wait for the cleaner.
        Role::Checkpoints => {
            vec![("cleanup.policy", "compact".to_owned()), ("segment.ms", "3600000".to_owned())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 8] = [
        Role::Input,
        Role::Output,
        Role::Quarantine,
        Role::Control,
        Role::Receipts,
        Role::Checkpoints,
        Role::Class(ClassId(0)),
        Role::Class(ClassId(1)),
    ];
    const INPUT_BYTES: u64 = 1_048_588;

    fn plan() -> TopicPlan {
        TopicPlan {
            names: ALL.map(|role| (role, format!("jobs.{role}"))).into(),
            longest: Retention::hours(720).expect("not zero"),
            partition_as_input: false,
            scrub: None,
        }
    }

    /// Topics with the settings that `create` gives them.
    fn good() -> BTreeMap<Role, TopicFacts> {
        let facts = |role| {
            let mut settings: HashMap<_, _> = settings_for(role, INPUT_BYTES)
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            settings.entry("max.message.bytes".to_owned()).or_insert(INPUT_BYTES.to_string());
            let partitions = if role.is_single() { 1 } else { 8 };
            (role, TopicFacts { partitions, settings })
        };
        ALL.map(facts).into()
    }

    fn with(role: Role, setting: &str, value: &str) -> Vec<Finding> {
        let mut facts = good();
        let topic = facts.get_mut(&role).expect("all are there");
        topic.settings.insert(setting.to_owned(), value.to_owned());
        findings(&plan(), &facts)
    }

    #[test]
    fn what_create_makes_passes() {
        assert_eq!(findings(&plan(), &good()), []);
    }

    #[test]
    fn each_rule_is_found_broken_alone() {
        let broken = [
            (Role::Output, "cleanup.policy", "compact,delete"),
            (Role::Output, "message.timestamp.type", "LogAppendTime"),
            (Role::Output, "retention.ms", "604800000"),
            (Role::Output, "retention.bytes", "1000000"),
            (Role::Output, "max.message.bytes", "1048588"),
            (Role::Quarantine, "max.message.bytes", "1052684"),
            (Role::Receipts, "cleanup.policy", "compact"),
            (Role::Receipts, "retention.ms", "604800000"),
            (Role::Receipts, "message.timestamp.type", "CreateTime"),
            (Role::Checkpoints, "cleanup.policy", "compact,delete"),
        ];
        for (role, setting, value) in broken {
            let found = with(role, setting, value);
            assert_eq!(found.len(), 1, "{role} {setting}: {found:?}");
            assert_eq!((found[0].setting, found[0].found.as_str()), (setting, value));
        }
    }

    #[test]
    fn retention_may_be_limited_if_it_outlasts_the_longest_one() {
        let hours = |hours: i64| (hours * MILLIS_PER_HOUR).to_string();
        assert_eq!(with(Role::Output, "retention.ms", &hours(722)), []);
        assert_eq!(with(Role::Output, "retention.ms", &hours(721)).len(), 1);
    }

    #[test]
    fn what_is_scrubbed_must_be_deletable() {
        let scrubbed = TopicPlan { scrub: Some(Duration::from_secs(60)), ..plan() };
        let mut facts = good();
        for (policy, broken) in [("delete", 0), ("compact,delete", 0), ("compact", 1)] {
            let input = facts.get_mut(&Role::Input).expect("there");
            input.settings.insert("cleanup.policy".to_owned(), policy.to_owned());
            assert_eq!(findings(&scrubbed, &facts).len(), broken, "{policy}");
            assert_eq!(findings(&plan(), &facts), []);
        }
    }

    #[test]
    fn the_window_of_plaintext_is_said_as_long_as_it_is() {
        let input = |settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            TopicFacts { partitions: 1, settings: settings.collect() }
        };
        let hour = Duration::from_secs(3_600);
        let usual = input(&[("retention.ms", "604800000"), ("segment.ms", "3600000")]);
        let window = usual.plaintext_window(None);
        assert_eq!((window.busy(), window.idle()), (Some(169 * hour), Some(168 * hour)));
        let scrubbed = usual.plaintext_window(Some(Duration::from_secs(60)));
        assert_eq!(
            (scrubbed.busy(), scrubbed.idle()),
            (Some(hour + Duration::from_secs(60)), Some(168 * hour))
        );
        assert_eq!(
            scrubbed.to_string(),
            "1h 1m in a partition with new records (scrub.every + segment.ms), 7days in one without \
             (retention.ms), and until the broker's next check"
        );
        let kept = input(&[("retention.ms", "-1"), ("segment.ms", "3600000")]);
        assert_eq!(kept.plaintext_window(None).busy(), None);
        assert_eq!(input(&[]).plaintext_window(Some(hour)).busy(), None, "unreported: not promised");
    }

    #[test]
    fn partitions_are_counted_where_their_number_matters() {
        let mut facts = good();
        for role in [Role::Control, Role::Receipts] {
            facts.get_mut(&role).expect("there").partitions = 2;
        }
        facts.get_mut(&Role::Output).expect("there").partitions = 4;
        let subjects: Vec<_> = findings(&plan(), &facts).into_iter().map(|finding| finding.subject).collect();
        let topic = |name: &str| Subject::Topic(name.to_owned());
        assert_eq!(subjects, [topic("jobs.control"), topic("jobs.receipts")]);
        let strict = TopicPlan { partition_as_input: true, ..plan() };
        assert_eq!(
            findings(&strict, &facts)[0].to_string(),
            "topic `jobs.output`: partitions is 4, wanted at least 8: `seal.partitioner` is `input`, so each \
             input partition needs its own"
        );
    }
}
