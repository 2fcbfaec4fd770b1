//! Upgrading a file. Tests add one more step that is not a step of the program.

use std::path::PathBuf;
use std::sync::Arc;

use hourseal::edge::clock::SystemClock;
use hourseal::edge::finding::Grade;
use hourseal::edge::sqlite::{OpenOptions, STEPS, SqliteStore, Step, check, init};
use hourseal::keys::*;
use hourseal::model::*;
use rusqlite::Connection;

use super::{Beside, Vault, assert_started_by_version_1, left, private_file};
use crate::world::{DAY, random};

const EXTRA: &str = "
    CREATE TABLE note (id BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID, STRICT;
    ALTER TABLE customer ADD COLUMN note TEXT;";

/// Returns today's steps and one more.
fn one_more(sql: &'static str) -> &'static [Step] {
    let mut steps = STEPS.to_vec();
    steps.push(Step { to: today() + 1, what: "notes", sql });
    steps.leak()
}

fn today() -> u32 {
    STEPS.last().expect("version 1 is a step").to
}

/// The store that version 1 left, in a file.
struct Subject {
    path: PathBuf,
    beside: Beside,
    vault: Vault,
}

impl Subject {
    fn left() -> Self {
        let (dump, beside) = left("sqlite-1");
        let vault = beside.vault();
        let path = vault.folder.path().join("data/keys.db");
        private_file(&path, b"");
        Connection::open(&path).expect("a file").execute_batch(&dump).expect("what `make` wrote");
        Self { path, beside, vault }
    }

    /// As [`Subject::left`], upgraded to today's version.
    fn of_today() -> Self {
        let subject = Self::left();
        init(&subject.path, &subject.options(STEPS)).expect("it is upgraded");
        subject
    }

    fn options(&self, steps: &'static [Step]) -> OpenOptions {
        let (vault, clock) = (self.vault.vault.id(), Arc::new(SystemClock));
        OpenOptions { vault, default_retention: DAY, max_lease_ms: 60_000, create: true, steps, clock }
    }

    fn open(&self, steps: &'static [Step]) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(SqliteStore::open(&self.path, self.options(steps))?))
    }

    fn raw(&self) -> Connection {
        Connection::open(&self.path).expect("the store's file")
    }

    fn version(&self) -> Vec<u8> {
        let sql = "SELECT value FROM meta WHERE name = 'schema_version'";
        self.raw().query_row(sql, [], |row| row.get(0)).expect("a version")
    }

    fn has_notes(&self) -> bool {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'note' OR sql LIKE '%ADD COLUMN%'";
        self.raw().query_row(sql, [], |row| row.get::<_, u32>(0)).expect("a number") > 0
    }

    /// Checks that nothing of the extra step exists, and that the file still has this version.
    fn assert_untouched(&self, version: u32) {
        assert_eq!((self.version(), self.has_notes()), (version.to_string().into_bytes(), false));
    }
}

fn mismatch(error: StoreError) -> SchemaMismatch {
    match error {
        StoreError::Schema(mismatch) => mismatch,
        other => panic!("another error: {other}"),
    }
}

#[tokio::test]
async fn what_version_1_left_in_a_file_opens_today() {
    let subject = Subject::left();
    let store = subject.open(STEPS).expect("it opens");
    subject.beside.assert_all_there(&store, &subject.vault.vault).await;
    assert_started_by_version_1(&*store).await;
}

#[tokio::test]
async fn a_file_of_version_1_is_upgraded_by_who_opens_it_to_write_and_keeps_everything() {
    let subject = Subject::left();
    let running = subject.open(STEPS).expect("it opens");
    let steps = one_more(EXTRA);
    let store = subject.open(steps).expect("it is upgraded");
    assert_eq!(store.meta().await.expect("it answers").schema_version, today() + 1);
    assert!(subject.has_notes());
    subject.beside.assert_all_there(&store, &subject.vault.vault).await;
    assert_eq!(init(&subject.path, &subject.options(steps)).expect("again"), [""; 0], "nothing to do");
    // Older programs are refused: one that runs, one that starts, and one that only reads.
    let newer = SchemaMismatch::Newer { found: today() + 1, known: today() };
    assert_eq!(mismatch(running.meta().await.expect_err("refused")), newer);
    assert_eq!(mismatch(subject.open(STEPS).err().expect("refused")), newer);
    let findings = check(&subject.path, &subject.options(STEPS));
    assert_eq!(findings.last().expect("a finding").grade, Grade::Wrong);
    assert_eq!(findings.last().expect("a finding").what, "schema version", "nothing else is read");
}

#[tokio::test]
async fn a_new_file_goes_through_every_step() {
    let subject = Subject::left();
    let steps = one_more(EXTRA);
    let path = subject.vault.folder.path().join("new/keys.db");
    let done = init(&path, &subject.options(steps)).expect("a new store");
    assert_eq!(done.len(), steps.len(), "{done:?}");
    let last = format!("upgraded the schema from version {} to {}: notes", today(), today() + 1);
    assert!(done[0].starts_with("created the store in ") && done.last() == Some(&last), "{done:?}");
    let store = SqliteStore::open(&path, subject.options(steps)).expect("it opens");
    assert_eq!(store.meta().await.expect("it answers").schema_version, today() + 1);
}

#[test]
fn who_only_reads_refuses_an_older_file_and_leaves_it_as_it_is() {
    let subject = Subject::left();
    let steps = one_more(EXTRA);
    let reading = OpenOptions { create: false, ..subject.options(steps) };
    let older = SchemaMismatch::Older { found: 1, known: today() + 1 };
    assert_eq!(mismatch(SqliteStore::open(&subject.path, reading).err().expect("refused")), older);
    assert_eq!(check(&subject.path, &subject.options(steps)).pop().expect("a finding").grade, Grade::Wrong);
    subject.assert_untouched(1);
}

#[test]
fn a_file_of_another_vault_is_not_upgraded() {
    let subject = Subject::left();
    let other = OpenOptions { vault: VaultId(random()), ..subject.options(one_more(EXTRA)) };
    let error = SqliteStore::open(&subject.path, other).err().expect("refused");
    assert!(error.to_string().contains("belongs to the KEK vault"), "{error}");
    subject.assert_untouched(1);
}

/// The step ends before its version is written: once by an error, once with the process.
#[tokio::test]
async fn a_step_that_ends_in_its_middle_leaves_the_version_before_and_is_executed_again() {
    let subject = Subject::of_today();
    let broken = one_more("CREATE TABLE note (id BLOB) STRICT; ALTER TABLE nowhere ADD COLUMN note TEXT;");
    subject.open(broken).err().expect("the step fails");
    subject.assert_untouched(today());

    let dying = subject.raw();
    dying.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    dying.execute_batch(EXTRA).expect("valid SQL");
    // Another process waits for the lock, without success.
    let error = subject.open(one_more(EXTRA)).err().expect("locked");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    drop(dying);
    subject.assert_untouched(today());

    let store = subject.open(one_more(EXTRA)).expect("it is upgraded");
    assert!(subject.has_notes());
    subject.beside.assert_all_there(&store, &subject.vault.vault).await;
}

#[test]
fn of_eight_that_upgrade_at_once_one_executes_each_step_and_all_end_well() {
    let subject = Arc::new(Subject::left());
    let steps = one_more(EXTRA);
    let upgrade = |subject: Arc<Subject>| move || init(&subject.path, &subject.options(steps));
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(upgrade(Arc::clone(&subject)))).collect();
    let mut done: Vec<String> =
        threads.into_iter().flat_map(|it| it.join().expect("no panic").expect("it ends well")).collect();
    done.sort();
    let line = |step: &Step| {
        format!("upgraded the schema from version {} to {}: {}", step.to - 1, step.to, step.what)
    };
    assert_eq!(done, steps[1..].iter().map(line).collect::<Vec<_>>());
    assert_eq!(subject.version(), (today() + 1).to_string().into_bytes());
}

#[test]
fn a_version_that_cannot_be_read_is_refused_and_left_as_it_is() {
    for garbage in ["x''", "'0'", "'01'", "'+1'", "'1 '", "'one'", "'4294967296'", "x'ff'", "x'31ff'"] {
        let subject = Subject::left();
        let write = format!("UPDATE meta SET value = CAST({garbage} AS BLOB) WHERE name = 'schema_version'");
        subject.raw().execute(&write, []).expect("valid SQL");
        let before = subject.version();
        for steps in [STEPS, one_more(EXTRA)] {
            let error = subject.open(steps).err().expect(garbage);
            assert!(matches!(error, StoreError::Unusable(_)), "{garbage}: {error}");
            let finding = check(&subject.path, &subject.options(steps)).pop().expect("a finding");
            assert_eq!((finding.what, finding.grade), ("schema version", Grade::Wrong), "{garbage}");
        }
        assert_eq!((subject.version(), subject.has_notes()), (before, false), "{garbage}");
    }
    let subject = Subject::left();
    subject.raw().execute("DELETE FROM meta WHERE name = 'schema_version'", []).expect("valid SQL");
    assert!(matches!(subject.open(STEPS), Err(StoreError::Unusable(_))), "no version at all");
}
