//! `hourseal erase plan`: the effect of an erasure, before anyone requests it. Changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::erase::Hours;
use super::progress::Progress;
use super::{Failure, Settings, cluster, hold, keystore, output, runtime};
use crate::config::Config;
use crate::edge::clock::SystemClock;
use crate::edge::kafka::scan::{Next, Range, Scanned, Scans};
use crate::envelope::Header;
use crate::forget::Survey;
use crate::keys::{Hold, HourRow, KeyState, ReadStore, StoreError};
use crate::model::{Clock as _, CustomerId, Hour, KekId, Millis, earliest};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct Plan {
    #[command(flatten)]
    hours: Hours,
    /// Do not read the output topic, and count no records
    #[arg(long)]
    without_records: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Shows which keys an erasure of these hours would destroy, what blocks it, which
command it needs, and when it reaches the key store (L1) and every copy of it
(L3). To count the records that the erasure would make unreadable, it reads the
output topic once, from its first record.

Examples:
  hourseal erase plan --customer acme --from 2026-11-01T00:00Z
  hourseal erase plan --customer acme --from 2026-11-01T00:00Z \\
      --to 2026-11-30T23:00Z --json";

pub fn run(flags: &Plan) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let (customer, from, to) = (&flags.hours.customer, flags.hours.from, flags.hours.to());
    if from > to {
        return Err(Failure::new(Failure::USAGE, "the last hour is before the first hour").into());
    }
    let store = keystore::store(&config)?;
    let (facts, now) = runtime::block_on(facts(&*store, customer, from, to))?.map_err(Failure::from)?;
    let now = earliest(SystemClock.now(), now)
        .map_err(|apart| Failure::new(Failure::DEPENDENCY, apart.to_string()))?;
    let records = match flags.without_records {
        true => None,
        false => Some(records(&config, customer, from, to)?),
    };
    if flags.json {
        let mut plan = to_json(customer, &facts, now);
        plan.extend(records.map(|records| ("records".to_owned(), records)));
        return output::line(&Value::Object(plan).to_string());
    }
    let mut rows = rows(customer, &facts, now);
    rows.extend(records.map(|records| ("records", records)));
    output::text(&output::fields(&rows))
}

/// The store's facts about the hours.
struct Facts {
    from: Hour,
    to: Hour,
    survey: Survey,
    holds: Vec<Hold>,
    max_lease_ms: u64,
}

/// Reads the facts, and the store's time.
async fn facts(
    store: &dyn ReadStore,
    customer: &CustomerId,
    from: Hour,
    to: Hour,
) -> Result<(Facts, Millis), StoreError> {
    let token = store.token(customer);
    let meta = store.meta().await?;
    let covers = |hold: &Hold| hold.token == token && hold.from <= to && hold.to >= from;
    let facts = Facts {
        from,
        to,
        survey: Survey::read(store, token, (from, to), &meta).await?,
        holds: store.holds().await?.into_iter().filter(covers).collect(),
        max_lease_ms: meta.max_lease_ms,
    };
    Ok((facts, store.now().await?))
}

impl Facts {
    fn live(&self) -> impl Iterator<Item = &KekId> {
        let keys = self.survey.hours().flat_map(|row| &row.keys);
        keys.filter(|key| key.state == KeyState::Live).map(|key| &key.kek)
    }

    fn hours_with_live_keys(&self) -> usize {
        let is_live = |row: &&HourRow| row.keys.iter().any(|key| key.state == KeyState::Live);
        self.survey.hours().filter(is_live).count()
    }

    fn hours_fenced_before(&self) -> usize {
        self.survey.hours().filter(|row| row.gate.fenced).count()
    }

    /// The KEK whose destruction ends the last copy of the keys.
    fn last_kek(&self) -> Option<&KekId> {
        self.live().max_by_key(|kek| kek.ends().0)
    }

    fn takes(&self, now: Millis) -> Takes {
        let is_due = self.survey.latest_due().is_some_and(|due| due.reached(now));
        match (self.holds.is_empty(), is_due) {
            (false, _) => Takes::Release,
            (true, true) => Takes::RetentionEnd,
            (true, false) => Takes::EraseEarly,
        }
    }
}

/// The step that comes before the erasure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Release,
    RetentionEnd,
    EraseEarly,
}

impl Takes {
    fn code(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::RetentionEnd => "retention-end",
            Self::EraseEarly => "erase-early",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Release => "not possible: release the holds first",
            Self::RetentionEnd => "a command `retention-end`, or `request`",
            Self::EraseEarly => "a command `request` with the right `erase-early`, or a wait until due_at",
        }
    }
}

/// The plan for programs: codes, numbers and times, without the records.
fn to_json(customer: &CustomerId, facts: &Facts, now: Millis) -> Map<String, Value> {
    let due = facts.survey.latest_due();
    let plan = json!({
        "customer": customer.as_str(),
        "first_hour": facts.from.0,
        "first_hour_start": facts.from.to_string(),
        "last_hour": facts.to.0,
        "last_hour_start": facts.to.to_string(),
        "live_keys": facts.live().count(),
        "hours_with_live_keys": facts.hours_with_live_keys(),
        "hours_fenced_before": facts.hours_fenced_before(),
        "holds_in_the_way": facts.holds.iter().map(hold::hours).collect::<Vec<_>>(),
        "due_at": due.map(|due| due.at().to_string()),
        "is_due": due.is_some_and(|due| due.reached(now)),
        "takes": facts.takes(now).code(),
        "cached_keys_seconds": facts.max_lease_ms / 1_000,
        "l3_with_kek": facts.last_kek().map(KekId::as_str),
    });
    plan.as_object().cloned().unwrap_or_default()
}

/// The plan for people: its fields in their order, without the records.
fn rows(customer: &CustomerId, facts: &Facts, now: Millis) -> Vec<(&'static str, Value)> {
    let due = facts.survey.latest_due();
    let is_due = due.is_some_and(|due| due.reached(now));
    let hold = |hold: &Hold| json!(format!("{}: {} to {}", hold.id, hold.from, hold.to));
    let l3 = facts.last_kek().map(|kek| format!("when {kek} is destroyed, after the end of its day"));
    vec![
        ("customer", customer.as_str().into()),
        ("first_hour", hour(facts.from)),
        ("last_hour", hour(facts.to)),
        ("live_keys", facts.live().count().into()),
        ("hours_with_live_keys", facts.hours_with_live_keys().into()),
        ("hours_fenced_before", facts.hours_fenced_before().into()),
        ("holds_in_the_way", facts.holds.iter().map(hold).collect()),
        ("due_at", due.map(|due| due.at().to_string()).into()),
        ("is_due", is_due.into()),
        ("takes", facts.takes(now).text().into()),
        (
            "level_l1",
            format!("with the receipt; cached keys at most {} s later", facts.max_lease_ms / 1_000).into(),
        ),
        ("level_l3", l3.into()),
    ]
}

fn hour(hour: Hour) -> Value {
    json!(format!("{} ({hour})", hour.0))
}

/// Records of one partition that the erasure makes unreadable.
#[derive(Default)]
struct Part {
    count: u64,
    bytes: u64,
    first: i64,
    last: i64,
}

impl Part {
    fn add(&mut self, offset: i64, bytes: usize) {
        if self.count == 0 {
            self.first = offset;
        }
        self.last = offset;
        self.count += 1;
        self.bytes += bytes as u64;
    }
}

/// Reads the output topics from their first record to their current end.
fn records(config: &Config, customer: &CustomerId, from: Hour, to: Hour) -> anyhow::Result<Value> {
    let mut scan = Scans::begin(&cluster::client(config), &config.topics.outputs(), Range::Existing)
        .map_err(Failure::from)?;
    let mut parts: BTreeMap<(String, i32), Part> = BTreeMap::new();
    let (mut progress, mut read) = (Progress::new("records read"), 0);
    loop {
        match scan.next(Duration::from_millis(100)).map_err(Failure::from)? {
            Next::Record(record) => {
                read += 1;
                progress.at(read);
                if concerns(&record, customer, from, to) {
                    let bytes = record.value.as_ref().map_or(0, Vec::len);
                    parts.entry((record.topic, record.partition)).or_default().add(record.offset, bytes);
                }
            }
            Next::Idle => {}
            Next::End => {
                return Ok(parts
                    .iter()
                    .map(|((topic, partition), part)| part_json(topic, *partition, part))
                    .collect());
            }
        }
    }
}

/// Whether the record names this customer and one of these hours. The names are not proven.
fn concerns(record: &Scanned, customer: &CustomerId, from: Hour, to: Hour) -> bool {
    let header = record.value.as_deref().and_then(|value| Header::parse(value).ok());
    header.is_some_and(|header| (from..=to).contains(&header.hour))
        && record.record(&record.event_headers()).customer().as_ref() == Some(customer)
}

fn part_json(topic: &str, partition: i32, part: &Part) -> Value {
    json!({ "topic": topic, "partition": partition, "records": part.count, "bytes": part.bytes,
        "first_offset": part.first, "last_offset": part.last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Gate, HoldId, KeyRow};
    use crate::model::{Due, Generation, KeyId, Retention, Token};

    const FIRST: Hour = Hour(498_000);
    const DAY: Retention = Retention::hours(24).expect("not zero");

    fn row(hour: Hour, due: Due, state: KeyState) -> HourRow {
        let kek = KekId::of_due(due);
        let key = KeyRow {
            generation: Generation(0),
            state,
            key_id: KeyId([1; 16]),
            commitment: [1; 32],
            kek: kek.clone(),
            wrapped: None,
            minted_at: Millis(0),
            erased_at: None,
            command: None,
        };
        let fenced = state != KeyState::Live;
        let gate = Gate { due, kek: Some(kek), fenced, hold: None, command: None };
        HourRow { token: Token([1; 16]), hour, gate, keys: vec![key] }
    }

    fn facts(hours: Vec<HourRow>, holds: Vec<Hold>) -> Facts {
        let (from, to) = (FIRST, FIRST.plus(3));
        Facts { from, to, survey: Survey::of(hours, DAY, (from, to)), holds, max_lease_ms: 60_000 }
    }

    fn field(facts: &Facts, now: Millis, name: &str) -> Value {
        let acme = CustomerId::parse("acme").expect("a valid id");
        let rows = rows(&acme, facts, now);
        rows.into_iter().find(|(of, _)| *of == name).map(|(_, value)| value).expect("a field")
    }

    #[test]
    fn the_last_due_decides_also_of_an_hour_that_has_no_key() {
        let late = Due(FIRST.0 + 500);
        let gated = facts(vec![row(FIRST, late, KeyState::Live)], Vec::new());
        assert_eq!(gated.survey.latest_due(), Some(late));
        assert_eq!(facts(Vec::new(), Vec::new()).survey.latest_due(), Some(Due(FIRST.0 + 3 + 25)));
        let short = row(FIRST.plus(3), Due(FIRST.0 + 9), KeyState::Live);
        assert_eq!(
            facts(vec![short], Vec::new()).survey.latest_due(),
            Some(Due(FIRST.0 + 2 + 25)),
            "its gate decides there"
        );
    }

    #[test]
    fn live_keys_are_counted_and_their_latest_kek_named() {
        let hours = vec![
            row(FIRST, Due(FIRST.0 + 25), KeyState::Erased),
            row(FIRST.plus(1), Due(FIRST.0 + 26), KeyState::Live),
            row(FIRST.plus(2), Due(FIRST.0 + 99), KeyState::Live),
        ];
        let facts = facts(hours, Vec::new());
        let at = |name| field(&facts, FIRST.start(), name);
        assert_eq!(
            (at("live_keys"), at("hours_with_live_keys"), at("hours_fenced_before")),
            (2.into(), 2.into(), 1.into())
        );
        let kek = KekId::of_due(Due(FIRST.0 + 99));
        assert!(at("level_l3").as_str().expect("text").contains(kek.as_str()));
    }

    #[test]
    fn what_it_takes_depends_on_holds_and_due() {
        let hold = Hold { id: HoldId(b"case-17".to_vec()), token: Token([1; 16]), from: FIRST, to: FIRST };
        let (before, after) = (FIRST.start(), FIRST.plus(40).start());
        let takes = |holds: &[Hold], now| {
            let takes = field(&facts(Vec::new(), holds.to_vec()), now, "takes");
            takes.as_str().expect("text").to_owned()
        };
        assert!(takes(&[], before).contains("erase-early"));
        assert!(takes(&[], after).contains("retention-end"));
        assert!(takes(&[hold], after).contains("release"));
    }

    #[test]
    fn the_json_has_codes_numbers_and_times_but_no_prose() {
        let hold = Hold { id: HoldId(b"case-17".to_vec()), token: Token([1; 16]), from: FIRST, to: FIRST };
        let facts = facts(vec![row(FIRST, Due(FIRST.0 + 25), KeyState::Live)], vec![hold]);
        let plan = to_json(&CustomerId::parse("acme").expect("a valid id"), &facts, FIRST.start());
        assert_eq!((&plan["first_hour"], &plan["takes"]), (&json!(FIRST.0), &json!("release")));
        assert_eq!(plan["first_hour_start"], json!(FIRST.to_string()));
        assert_eq!(plan["holds_in_the_way"][0]["from_hour"], json!(FIRST.0));
        let texts = plan.values().filter_map(Value::as_str);
        assert_eq!(texts.filter(|text| text.contains(' ')).count(), 0, "{plan:?}");
    }

    #[test]
    fn a_partitions_records_are_counted_from_the_first_to_the_last() {
        let mut part = Part::default();
        [(7, 100), (9, 50)].iter().for_each(|(offset, bytes)| part.add(*offset, *bytes));
        assert_eq!(
            part_json("jobs.sealed", 2, &part),
            json!({ "topic": "jobs.sealed", "partition": 2, "records": 2, "bytes": 150, "first_offset": 7,
                "last_offset": 9 })
        );
    }
}
