//! Upgrading a keyspace. Tests add one more step that is not a step of the program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hourseal::edge::finding::Grade;
use hourseal::edge::scylla::{STEPS, ScyllaOptions, Step, check, init};
use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::Cql;
use crate::conformance::Subject as _;
use crate::stores::{Beside, Vault, assert_started_by_version_1, left};
use crate::world::{DAY, random};

const EXTRA: &str = "
CREATE TABLE IF NOT EXISTS note (id blob PRIMARY KEY, body text);
ALTER TABLE customer ADD note text static; -- of a customer
ALTER TABLE key ADD notes map<text, int>;
";

/// Returns today's steps and one more.
fn one_more(cql: &'static str) -> &'static [Step] {
    let mut steps = STEPS.to_vec();
    steps.push(Step { to: today() + 1, what: "notes", cql });
    steps.leak()
}

fn today() -> u32 {
    STEPS.last().expect("version 1 is a step").to
}

/// Returns the line of `store init` for a step.
fn upgraded(step: &Step) -> String {
    format!("upgraded the schema from version {} to {}: {}", step.to - 1, step.to, step.what)
}

/// The store that version 1 left, in its own keyspace.
struct Left {
    cql: Cql,
    beside: Beside,
    vault: Vault,
}

impl Left {
    async fn there() -> Option<Self> {
        if !Cql::is_there() {
            return None;
        }
        let (dump, beside) = left("cql-1");
        let (cql, vault) = (Cql::new(), beside.vault());
        let strategy = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
        cql.cql(&format!("CREATE KEYSPACE {{}} WITH replication = {strategy}")).await;
        let raw = cql.raw().await;
        raw.use_keyspace(cql.keyspace(), false).await.expect("a keyspace");
        for statement in dump.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            raw.query_unpaged(statement, ()).await.expect("what `make` wrote");
        }
        Some(Self { cql, beside, vault })
    }

    /// As [`Left::there`], upgraded to today's version.
    async fn of_today() -> Option<Self> {
        let left = Self::there().await?;
        init(&left.options(STEPS)).await.expect("it is upgraded");
        Some(left)
    }

    fn options(&self, steps: &'static [Step]) -> ScyllaOptions {
        ScyllaOptions { steps, ..self.cql.options(self.vault.vault.id(), DAY) }
    }

    async fn open(&self, steps: &'static [Step]) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(self.cql.store(self.options(steps)).await?))
    }

    async fn version(&self) -> u32 {
        let read = "SELECT value FROM {}.meta WHERE part = 'store' AND name = 'schema_version'";
        let rows = self.cql.cql(read).await;
        let value = rows[0][0].as_ref().and_then(|value| value.as_blob()).expect("a version").clone();
        String::from_utf8(value).expect("text").parse().expect("a number")
    }

    async fn upgraders(&self) -> usize {
        self.cql.cql("SELECT value FROM {}.meta WHERE part = 'store' AND name = 'upgrader'").await.len()
    }

    /// Whether the table and the columns of the extra step exist.
    async fn has_notes(&self) -> bool {
        let columns = self
            .cql
            .cql(&format!(
                "SELECT table_name FROM system_schema.columns WHERE keyspace_name = '{}'
                 AND table_name IN ('note', 'customer', 'key') AND column_name IN ('body', 'note', 'notes')",
                self.cql.keyspace()
            ))
            .await;
        columns.len() == 3
    }
}

fn mismatch(error: StoreError) -> SchemaMismatch {
    match error {
        StoreError::Schema(mismatch) => mismatch,
        other => panic!("another error: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_that_version_1_left_opens_and_is_upgraded_by_init_alone() {
    let Some(subject) = Left::there().await else { return };
    let older = SchemaMismatch::Older { found: 1, known: today() };
    assert_eq!(mismatch(subject.open(STEPS).await.err().expect("refused")), older);
    let done = init(&subject.options(STEPS)).await.expect("it is upgraded");
    assert_eq!(done, STEPS[1..].iter().map(upgraded).collect::<Vec<_>>());
    let running = subject.open(STEPS).await.expect("it opens");
    assert_started_by_version_1(&*running).await;
    subject.beside.assert_all_there(&running, &subject.vault.vault).await;

    // A worker's role may not change the schema, so the worker names the command that does.
    let steps = one_more(EXTRA);
    let older = SchemaMismatch::Older { found: today(), known: today() + 1 };
    assert_eq!(mismatch(subject.open(steps).await.err().expect("refused")), older);
    let found = check(&subject.options(steps)).await.expect("a connection");
    let found = found.into_iter().find(|finding| finding.what == "schema version").expect("a finding");
    assert_eq!(found.grade, Grade::Wrong);
    let hint = format!("`hourseal store init` upgrades it from version {} to {}", today(), today() + 1);
    assert!(found.text.ends_with(&hint), "{}", found.text);
    assert_eq!((subject.version().await, subject.has_notes().await), (today(), false));

    let done = init(&subject.options(steps)).await.expect("it is upgraded");
    assert_eq!(done, [upgraded(&steps[steps.len() - 1])]);
    let is_upgraded = (subject.version().await, subject.has_notes().await, subject.upgraders().await);
    assert_eq!(is_upgraded, (today() + 1, true, 0));
    assert_eq!(init(&subject.options(steps)).await.expect("again"), [""; 0], "nothing to do");
    let store = subject.open(steps).await.expect("it opens");
    subject.beside.assert_all_there(&store, &subject.vault.vault).await;

    // Older programs are refused: one that runs, one that starts, and its `store init`.
    let newer = SchemaMismatch::Newer { found: today() + 1, known: today() };
    assert_eq!(mismatch(running.meta().await.expect_err("refused")), newer);
    assert_eq!(mismatch(subject.open(STEPS).await.err().expect("refused")), newer);
    assert_eq!(mismatch(init(&subject.options(STEPS)).await.expect_err("refused")), newer);
    assert_eq!(subject.version().await, today() + 1);
}

/// The upgrading process died: after one statement, after two while its claim still makes others wait, or
/// after all three.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ended_in_its_middle_is_executed_again() {
    for (executed, claimed) in [(1, false), (2, true), (3, false)] {
        let Some(subject) = Left::of_today().await else { return };
        for statement in [
            "CREATE TABLE IF NOT EXISTS {}.note (id blob PRIMARY KEY, body text)",
            "ALTER TABLE {}.customer ADD note text static",
            "ALTER TABLE {}.key ADD notes map<text, int>",
        ]
        .iter()
        .take(executed)
        {
            subject.cql.cql(statement).await;
        }
        if claimed {
            let claim = "INSERT INTO {}.meta (part, name, value) VALUES ('store', 'upgrader', 0x01)
                         IF NOT EXISTS USING TTL 4";
            subject.cql.cql(claim).await;
        }
        let begun = Instant::now();
        let done = init(&subject.options(one_more(EXTRA))).await.expect("it is upgraded");
        assert_eq!(done.len(), 1, "{executed} executed: {done:?}");
        assert_eq!(begun.elapsed() > Duration::from_secs(2), claimed, "{:?}", begun.elapsed());
        let found = (subject.version().await, subject.has_notes().await);
        assert_eq!(found, (today() + 1, true), "{executed} executed");
        assert_eq!(subject.upgraders().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_six_that_upgrade_at_once_one_executes_each_step_and_all_end_well() {
    let Some(subject) = Left::there().await else { return };
    let steps = one_more(EXTRA);
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let options = subject.options(steps);
        tasks.spawn(async move { init(&options).await.expect("it ends well") });
    }
    let mut done: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    done.sort();
    assert_eq!(done, steps[1..].iter().map(upgraded).collect::<Vec<_>>());
    let is_upgraded = (subject.version().await, subject.has_notes().await, subject.upgraders().await);
    assert_eq!(is_upgraded, (today() + 1, true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_that_does_not_fit_is_not_upgraded() {
    let Some(subject) = Left::there().await else { return };
    let other = ScyllaOptions { vault: VaultId(random()), ..subject.options(one_more(EXTRA)) };
    let error = init(&other).await.expect_err("refused").to_string();
    assert!(error.contains("belongs to the KEK vault"), "{error}");
    assert_eq!((subject.version().await, subject.has_notes().await), (1, false));

    let options = subject.options(one_more("ALTER TABLE key ADD hold text;\n"));
    let error = init(&options).await.expect_err("refused").to_string();
    assert!(error.contains("its column key.hold is of type blob, not text"), "{error}");
    assert_eq!((subject.version().await, subject.upgraders().await), (today(), 0), "without the last step");

    for garbage in ["0x", "0x30", "0x3031", "0x2b31", "0x3120", "0x6f6e65", "0xff"] {
        let write = format!(
            "UPDATE {{}}.meta SET value = {garbage} \
             WHERE part = 'store' AND name = 'schema_version' IF EXISTS"
        );
        subject.cql.cql(&write).await;
        let options = subject.options(one_more(EXTRA));
        let init = init(&options).await.expect_err(garbage);
        assert!(matches!(init, StoreError::Unusable(_)), "{garbage}: {init}");
        let open = subject.open(STEPS).await.err().expect(garbage);
        assert!(matches!(open, StoreError::Unusable(_)), "{garbage}: {open}");
        assert!(!subject.has_notes().await, "{garbage}");
    }
}
