//! The SQLite store: every claim of the conformance suite, and the errors that only a file can have.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hourseal::edge::clock::SystemClock;
use hourseal::edge::sqlite::{OpenOptions, STEPS, SqliteStore};
use hourseal::keys::*;
use hourseal::model::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::child::Other;
use crate::conformance::{Subject, candidate, conformance, found, mint_one, won};
use crate::world::{DAY, HOUR, command};

conformance!(crate::sqlite::Sqlite);

/// A store in its own folder, or in a folder that another process created.
pub struct Sqlite {
    path: PathBuf,
    _folder: Option<TempDir>,
}

const VAULT: VaultId = VaultId([7; 16]);

fn options(vault: VaultId, default_retention: Retention) -> OpenOptions {
    let clock = Arc::new(SystemClock);
    OpenOptions { vault, default_retention, max_lease_ms: 60_000, create: true, steps: STEPS, clock }
}

#[async_trait]
impl Subject for Sqlite {
    const NAME: &'static str = "sqlite";

    async fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { path: folder.path().join("data/keys.db"), _folder: Some(folder) }
    }

    async fn at(address: &str) -> Self {
        Self { path: address.into(), _folder: None }
    }

    fn address(&self) -> String {
        self.path.to_str().expect("text").to_owned()
    }

    fn vault(&self) -> VaultId {
        VAULT
    }

    async fn open_as(&self, vault: VaultId, default: Retention) -> Result<Arc<dyn Store>, StoreError> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, options(vault, default)));
        Ok(Arc::new(opened.await.expect("it does not panic")?))
    }
}

impl Sqlite {
    fn raw(&self) -> Connection {
        Connection::open(&self.path).expect("the store's file")
    }

    /// Returns the files of the store that contain these bytes.
    fn files_with(&self, bytes: &[u8]) -> Vec<String> {
        let folder = fs::read_dir(self.path.parent().expect("a folder")).expect("readable");
        folder
            .map(|file| file.expect("readable").path())
            .filter(|file| {
                fs::read(file).expect("readable").windows(bytes.len()).any(|window| window == bytes)
            })
            .map(|file| file.file_name().expect("a name").to_string_lossy().into_owned())
            .collect()
    }

    fn open_error(&self, options: OpenOptions) -> String {
        SqliteStore::open(&self.path, options).err().expect("refused").to_string()
    }
}

/// A child's order: opens the store that all processes create at once, and returns its id.
pub async fn open_new(address: &str) -> Vec<String> {
    let store = Sqlite::at(address).await.open().await;
    vec![store.meta().await.expect("it answers").store.to_string()]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

async fn fence_and_erase(store: &dyn Store, slot: SlotRef) -> Result<Erasure, StoreError> {
    store.fence(slot.token, slot.hour, Due(0), command(1)).await.expect("it answers");
    store.erase(slot.token, slot.hour, command(1), slot.hour.start()).await
}

#[tokio::test]
async fn processes_that_create_a_store_at_once_share_one() {
    let subject = Sqlite::fresh().await;
    let mut others: Vec<_> = (0..3).map(|_| Other::ready("open", &subject.address())).collect();
    others.iter_mut().for_each(Other::go);
    let mine = open_new(&subject.address()).await;
    for other in others {
        assert_eq!(other.answer(), mine);
    }
}

#[tokio::test]
async fn erasing_leaves_no_byte_of_the_wrapped_key_in_any_file() {
    let subject = Sqlite::fresh().await;
    let (store, _another_process) = (subject.open().await, subject.open().await);
    let mut erased = Vec::new();
    for hour in 0..20 {
        erased.push(won(&*store, "acme", HOUR.plus(hour), 0).await);
        won(&*store, "acme", HOUR.plus(100 + hour), 0).await;
    }
    let kept = won(&*store, "ajax", HOUR, 0).await;
    for dek in &erased {
        assert_ne!(subject.files_with(&dek.wrapped), [""; 0], "found before the erasure");
    }
    for dek in &erased {
        fence_and_erase(&*store, dek.slot).await.expect("it answers");
        assert_eq!(subject.files_with(&dek.wrapped), [""; 0]);
        assert_eq!(subject.files_with(&dek.wrapped[26..42]), [""; 0], "nor a part of it");
    }
    assert_ne!(subject.files_with(&kept.wrapped), [""; 0]);
    assert_ne!(subject.files_with(&erased[0].commitment), [""; 0], "the marker stays");
}

/// Returns the number of keys whose wrapped bytes occur anywhere in the store's files.
fn in_the_files<'a>(subject: &Sqlite, keys: impl Iterator<Item = &'a Candidate>) -> usize {
    let mut sought: HashSet<&[u8]> = keys.map(|key| key.wrapped.as_slice()).collect();
    let all = sought.len();
    for file in fs::read_dir(subject.path.parent().expect("a folder")).expect("readable") {
        let bytes = fs::read(file.expect("readable").path()).expect("readable");
        for window in bytes.windows(WRAPPED_LEN) {
            sought.remove(window);
        }
    }
    all - sought.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_three_thousand_keys_eight_hundred_leave_no_byte_although_others_read_meanwhile() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let keys: Vec<Candidate> =
        (0..3_000).map(|hour| candidate(&*store, "acme", HOUR.plus(hour), 0)).collect();
    for batch in keys.chunks(500) {
        let minted = store.mint(batch, HOUR.start()).await.expect("it answers");
        assert!(minted.iter().all(|minted| *minted == Minted::Won));
    }
    let (gone, kept) = keys.split_at(800);
    assert_eq!(in_the_files(&subject, gone.iter()), 800, "found before");

    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let (stop, store) = (Arc::clone(&stop), subject.open().await);
        let slots: Vec<SlotRef> = keys.iter().map(|key| key.slot).collect();
        readers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                store.fetch(&slots).await.expect("it answers");
            }
        });
    }
    for batch in gone.chunks(200) {
        let hours: Vec<DueHour> =
            batch.iter().map(|key| DueHour::new(key.due, key.slot.token, key.slot.hour)).collect();
        // An active reader pins the write-ahead log. Then the store reports that the bytes may still exist,
        // and the test retries.
        while let Err(error) = store.forget(&hours, command(1), HOUR.start()).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        assert_eq!(in_the_files(&subject, batch.iter()), 0, "with its answer");
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(reader) = readers.join_next().await {
        reader.expect("no panic");
    }
    assert_eq!((in_the_files(&subject, gone.iter()), in_the_files(&subject, kept.iter())), (0, 2_200));
}

#[tokio::test]
async fn what_is_wrapped_anew_leaves_no_byte_of_how_it_was_wrapped() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let old = won(&*store, "acme", HOUR, 0).await;
    let row = store.hours(old.slot.token, HOUR, HOUR).await.expect("it answers").pop().expect("a gate");
    let new = candidate(&*store, "acme", HOUR, 0);
    let keys = vec![Rewrapped { seen: row.keys[0].clone(), wrapped: new.wrapped }];
    let kek = KekId::of_due(Due(old.due.0 + 240));
    let (token, seen) = (old.slot.token, (old.due, old.kek.clone(), None));
    let terms = Rewrap { token, hour: HOUR, seen, due: Due(old.due.0 + 240), kek, command: None, keys };
    assert_ne!(subject.files_with(&old.wrapped), [""; 0], "found before");
    store.rewrap(&terms, HOUR.start()).await.expect("it answers");
    assert_eq!(subject.files_with(&old.wrapped), [""; 0]);
    assert_ne!(subject.files_with(&new.wrapped), [""; 0]);
}

/// The negative control: unless the write-ahead log is emptied, the bytes still exist.
#[tokio::test]
async fn a_plain_update_leaves_the_bytes_behind() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let dek = won(&*store, "acme", HOUR, 0).await;
    let raw = subject.raw();
    raw.execute("UPDATE key SET state = 2, wrapped = x''", []).expect("valid SQL");
    assert_eq!(found(&*store, dek.slot).await.key.expect("a key").wrapped, None);
    assert_ne!(subject.files_with(&dek.wrapped), [""; 0]);
}

#[tokio::test]
async fn the_fail_safe_leaves_no_byte_either() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let dek = won(&*store, "acme", HOUR, 0).await;
    store.expire_secrets(dek.due, HOUR.start()).await.expect("it answers");
    assert_eq!(subject.files_with(&dek.wrapped), [""; 0]);
}

#[tokio::test]
async fn a_reader_that_pins_the_log_makes_erasing_wait_and_a_redo_completes_it() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let dek = won(&*store, "acme", HOUR, 0).await;
    let raw = subject.raw();
    raw.execute_batch("BEGIN; SELECT count(*) FROM key").expect("a snapshot");
    let error = fence_and_erase(&*store, dek.slot).await.expect_err("the log is pinned");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert_eq!(
        found(&*store, dek.slot).await.key.expect("a key").state,
        KeyState::Erased,
        "durable all the same"
    );
    raw.execute_batch("COMMIT").expect("the reader ends");
    fence_and_erase(&*store, dek.slot).await.expect("nothing pins the log");
    assert_eq!(subject.files_with(&dek.wrapped), [""; 0]);
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_unavailable_for_minting_and_no_matter_for_reading() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let dek = won(&*store, "acme", HOUR, 0).await;
    let raw = subject.raw();
    raw.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let (began, next) = (Instant::now(), candidate(&*store, "acme", HOUR, 1));
    let error = store.mint(std::slice::from_ref(&next), HOUR.start()).await.expect_err("locked");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "its lane must go on polling");
    assert!(found(&*store, dek.slot).await.key.is_some());
    raw.execute_batch("ROLLBACK").expect("released");
    assert_eq!(mint_one(&*store, &next).await, Minted::Won);
}

#[tokio::test]
async fn only_the_owner_can_read_the_store() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    won(&*store, "acme", HOUR, 0).await;
    let folder = subject.path.parent().expect("a folder");
    assert_eq!(mode(folder), 0o700);
    for file in fs::read_dir(folder).expect("readable") {
        let file = file.expect("readable").path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_store_that_others_may_read_is_refused() {
    let subject = Sqlite::fresh().await;
    subject.open().await;
    fs::set_permissions(&subject.path, fs::Permissions::from_mode(0o640)).expect("ours");
    let text = subject.open_error(options(VAULT, DAY));
    assert!(text.contains("mode 0640") && text.contains("0600"), "{text}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let subject = Sqlite::fresh().await;
    subject.open().await;
    subject
        .raw()
        .execute("UPDATE meta SET value = x'39' WHERE name = 'schema_version'", [])
        .expect("valid SQL");
    let text = subject.open_error(options(VAULT, DAY));
    assert!(text.contains("version 9"), "{text}");
}

#[tokio::test]
async fn a_missing_store_is_created_only_if_asked() {
    let subject = Sqlite::fresh().await;
    let reading = || OpenOptions { create: false, ..options(VAULT, DAY) };
    subject.open_error(reading());
    assert!(!subject.path.exists());
    fs::create_dir(subject.path.parent().expect("a folder")).expect("ours");
    fs::write(&subject.path, b"").expect("ours");
    fs::set_permissions(&subject.path, fs::Permissions::from_mode(0o600)).expect("ours");
    assert!(subject.open_error(reading()).contains("no key store"));
    subject.open().await;
    SqliteStore::open(&subject.path, reading()).expect("now it is there");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unusable() {
    let subject = Sqlite::fresh().await;
    fs::create_dir(subject.path.parent().expect("a folder")).expect("ours");
    fs::write(&subject.path, [0x55; 8192]).expect("ours");
    fs::set_permissions(&subject.path, fs::Permissions::from_mode(0o600)).expect("ours");
    let error = SqliteStore::open(&subject.path, options(VAULT, DAY)).err().expect("refused");
    assert!(matches!(error, StoreError::Unusable(_)), "{error}");
}

#[tokio::test]
async fn rows_that_contradict_themselves_are_unusable() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let dek = won(&*store, "acme", HOUR, 0).await;
    for damage in [
        "UPDATE key SET state = 9",
        "UPDATE key SET state = 2",
        "UPDATE key SET state = 1, wrapped = x'00'",
        "UPDATE key SET wrapped = x'', state = 1",
        "UPDATE key SET state = 2, kek = '../../root'",
        "UPDATE key SET kek = 'day/2026-11-25', key_id = x'00'",
    ] {
        subject.raw().execute(damage, []).expect("valid SQL");
        let error = store.fetch(&[dek.slot]).await.expect_err(damage);
        assert!(matches!(error, StoreError::Row(_)), "{damage}: {error}");
    }
}

#[tokio::test]
async fn errors_name_no_customer() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let secret = candidate(&*store, "Jane Doe", HOUR, 0);
    subject
        .raw()
        .execute_batch("CREATE TRIGGER t BEFORE INSERT ON customer BEGIN SELECT RAISE(ABORT, 'no'); END")
        .expect("valid SQL");
    let error = store.mint(&[secret], HOUR.start()).await.expect_err("refused by a trigger");
    assert!(!error.to_string().contains("Jane"), "{error}");
    assert!(!format!("{error:?}").contains("Jane"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn erasing_goes_on_while_others_mint_and_read() {
    let subject = Sqlite::fresh().await;
    let store = subject.open().await;
    let mut erased = Vec::new();
    for hour in 0..30 {
        erased.push(won(&*store, "acme", HOUR.plus(hour), 0).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for id in ["ajax", "zeta", "omni"] {
        let (store, done) = (subject.open().await, done.clone());
        others.spawn(async move {
            let mut hours = 0;
            while !done.load(Ordering::SeqCst) {
                let dek = won(&*store, id, HOUR.plus(hours), 0).await;
                assert!(found(&*store, dek.slot).await.key.is_some());
                hours += 1;
            }
            hours
        });
    }
    for dek in &erased {
        fence_and_erase(&*store, dek.slot).await.expect("it finds its turn");
    }
    done.store(true, Ordering::SeqCst);
    assert!(others.join_all().await.into_iter().all(|hours| hours > 0));
    for dek in &erased {
        assert_eq!(subject.files_with(&dek.wrapped), [""; 0]);
    }
}
