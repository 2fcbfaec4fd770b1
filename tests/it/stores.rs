//! Stores as released versions left them (`tests/it/stores`): for each schema version a dump, and a second
//! file with the vault's files and the events sealed under its keys. `tests/it/stores/make` writes the files
//! of today's version.

mod dump;
mod sqlite;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hourseal::edge::kek::FileVault;
use hourseal::envelope::{Context, Header, StreamName, open};
use hourseal::keys::*;
use hourseal::model::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::world::{HOUR, customer, slot};
pub use dump::{dump_cql, dump_sqlite};

/// The content of the file that belongs to a dump.
#[derive(Serialize, Deserialize)]
pub struct Beside {
    /// The vault's files by their path, in hexadecimal.
    vault: BTreeMap<String, String>,
    sealed: Vec<Sealed>,
}

/// An event as it was published.
#[derive(Serialize, Deserialize)]
struct Sealed {
    customer: String,
    /// In hexadecimal.
    envelope: String,
    /// `None` if its key was erased.
    payload: Option<String>,
}

const STREAM: &str = "jobs";
const RECEIPT: i64 = 7;
const VERDICT: &[u8] = b"{\"outcome\":\"erased\"}";

/// A vault in its own folder.
pub struct Vault {
    pub vault: Arc<FileVault>,
    pub folder: TempDir,
}

impl Beside {
    /// Writes the vault's files into a new folder.
    pub fn vault(&self) -> Vault {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, hex) in &self.vault {
            let path = folder.path().join(path);
            private_file(&path, &hex::decode(hex).expect("hexadecimal"));
        }
        let vault = FileVault::open(&folder.path().join("kek"), &folder.path().join("root.key"));
        Vault { vault: Arc::new(vault.expect("the vault that was left")), folder }
    }

    /// Checks that the store has everything that was left, and continues to work with it.
    pub async fn assert_all_there(&self, store: &Arc<dyn Store>, vault: &Arc<FileVault>) {
        let finder = Finder::new(Arc::<dyn Store>::clone(store), Arc::clone(vault) as _);
        let stream = StreamName::parse(STREAM).expect("a name");
        for sealed in &self.sealed {
            let envelope = hex::decode(&sealed.envelope).expect("hexadecimal");
            let header = Header::parse(&envelope).expect("an envelope");
            let name = customer(&sealed.customer);
            let found = finder.find(&name, header.hour, header.generation, header.key_id).await;
            match (found, &sealed.payload) {
                (Lookup::Key(key), Some(payload)) => {
                    let opened = open(&envelope, &key, &Context::new(&name, &stream)).expect("it opens");
                    assert_eq!(opened.frame().payload(), Some(payload.as_bytes()));
                }
                (Lookup::Erased { command }, None) => assert_eq!(command, dump::command()),
                _ => panic!("the key of {} at {:?} is not as it was left", sealed.customer, header.hour),
            }
        }
        let token = |id| store.token(&customer(id));
        let meta = store.meta().await.expect("it answers");
        assert_eq!((meta.vault, meta.last_receipt), (vault.id(), Some(RECEIPT)));
        assert_eq!(store.holds().await.expect("it answers"), [dump::hold(token("ajax"))]);
        let omni = store.customer(token("omni")).await.expect("it answers").expect("a customer");
        assert_eq!((omni.floor, omni.retention), (Some(HOUR), Retention::hours(48)));
        assert_eq!(store.verdict(dump::command()).await.expect("it answers").as_deref(), Some(VERDICT));
        let started = store.started("group/jobs").await.expect("it answers");
        assert_eq!(started.iter().map(|it| it.partition).collect::<Vec<_>>(), [0, 3]);
        let place = SlotRef { token: token("acme"), hour: HOUR.plus(2), generation: Generation(1) };
        let fenced = store.fetch(&[place]).await.expect("it answers").pop().expect("one answer");
        assert!(fenced.gate.expect("a gate").fenced, "what was fenced mints again");
        let late = slot("acme", HOUR, 5);
        let candidate = crate::conformance::candidate(&**store, "acme", late.hour, late.generation.0);
        let known = store.fetch(&[candidate.slot]).await.expect("it answers").pop().expect("one answer");
        let gate = known.gate.expect("the hour's gate");
        let candidate = Candidate { due: gate.due, kek: gate.kek.expect("its KEK"), ..candidate };
        let minted = store.mint(&[candidate], HOUR.start()).await.expect("it answers");
        assert!(matches!(minted[..], [Minted::Won | Minted::Adopted { .. }]), "{minted:?}");
    }
}

/// Checks that the partitions that version 1 marked as started have neither a topic nor an accepted gap, and
/// that its output topic has no placement.
pub async fn assert_started_by_version_1(store: &dyn Store) {
    let wanted = [0, 3].map(|partition| Started { partition, topic: None, accepted: None });
    assert_eq!(store.started("group/jobs").await.expect("it answers"), wanted);
    assert_eq!(store.placement("jobs.sealed").await.expect("it answers"), None);
}

/// Reads a dump and its second file.
pub fn left(name: &str) -> (String, Beside) {
    let folder = folder();
    let read = |ending: &str| {
        let path = folder.join(format!("{name}.{ending}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let ending = if name.starts_with("cql") { "cql" } else { "sql" };
    (read(ending), serde_json::from_str(&read("json")).expect("what `make` wrote"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stores")
}

/// Writes a file that only its owner may read, in a folder that only its owner may use.
fn private_file(path: &Path, bytes: &[u8]) {
    let parent = path.parent().expect("a folder");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).expect("ours");
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.expect("a new file"), bytes).expect("written");
}

/// Returns the statements of a schema without comments and line ends, for a comparison.
fn bare(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let statements = code.join(" ");
    let words = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let defines = |statement: &String| ["CREATE", "ALTER"].iter().any(|verb| statement.starts_with(verb));
    statements.split(';').map(words).filter(defines).collect()
}

/// A released step has not changed. This needs no server.
#[test]
fn the_first_step_of_each_store_is_the_one_that_was_released() {
    for (name, step) in
        [("sqlite-1", hourseal::edge::sqlite::STEPS[0].sql), ("cql-1", hourseal::edge::scylla::STEPS[0].cql)]
    {
        assert_eq!(bare(&left(name).0), bare(step), "{name}");
    }
}
