//! `hourseal store`

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::progress::Progress;
use super::{Failure, Settings, cluster, output, runtime};
use crate::app::{self, Replayed, open_vault, scylla_options, sqlite_options};
use crate::config::{Config, Store as StoreConfig};
use crate::edge::clock::SystemClock;
use crate::edge::finding::{Finding, Grade, grade_of};
use crate::edge::scylla::{self, ScyllaOptions, StoreMetrics, create_roles};
use crate::edge::sqlite::{self, OpenOptions};
use crate::keys::KekVault as _;
use crate::telemetry::Registry;

#[derive(Subcommand)]
pub enum Store {
    /// Create the key store, or upgrade its schema to this program's version
    Init(Init),
    /// Check the key store and its cluster; exit code 78 if a check fails
    Check(Check),
    /// Remove copies of erased keys from the files of an SQLite key store (level L2)
    Purge(Purge),
    /// Apply missing receipts to a key store that was restored from a copy, before anything reads it
    Replay(Replay),
}

#[derive(Args)]
#[command(after_help = INIT_HELP)]
pub struct Init {
    /// Also create the roles KEYSPACE_sealer, _eraser, _auditor and _admin with their rights
    #[arg(long)]
    roles: bool,
    /// One JSON object per step
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const INIT_HELP: &str = "\
Creates the key store, and missing files of the KEK vault, because a store
permanently belongs to one vault. On a cluster it also creates the keyspace: the
user needs the right to create keyspaces, and with --roles also roles. You can
repeat the command at any time.

To upgrade the schema, run `store init` of the new version, then replace the
workers. Workers of the older version that still run wait and seal nothing; a
worker of the older version that starts ends with exit code 78. A schema is
never downgraded. Repeat --roles after an upgrade: a new table needs its rights.
On SQLite `run` upgrades the file itself when it starts.

Grant the roles (--roles) to the users of the processes, for example with
`GRANT hourseal_sealer TO my_worker;`
  sealer   for lanes (`control.execute = false`): mints keys; reads policies,
           holds and verdicts, and cannot change them
  eraser   for processes that execute commands (any other `run`): all rights of
           a sealer, and changes verdicts, holds, policies and the receipts mark
  auditor  reads everything: `open`, `keys ls`, `store check`
  admin    everything in the keyspace: `store init`";

#[derive(Args)]
#[command(after_help = CHECK_HELP)]
pub struct Check {
    /// One JSON object per finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const CHECK_HELP: &str = "\
Run this first on a new cluster, after `store init`. It checks: server and
version, data centre, clocks of all nodes, replicas, lifetimes, a lightweight
transaction, the conditional batch of a mint, the schema version against that of
this program, and the vault that the store belongs to. It writes only to the
table `probe`. On SQLite it checks the file, the schema version and the vault.";

#[derive(Args)]
#[command(after_help = PURGE_HELP)]
pub struct Purge {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const PURGE_HELP: &str = "\
Each erasure already does this. The command does it again and verifies it. Exit
code 69 while a reader pins the write-ahead log.

ScyllaDB and Apache Cassandra overwrite an erased key, and keep the old value in
files until these are compacted or dropped. docs/purge.md has the commands for
their nodes. Level L3 does not need this: it ends every copy.";

#[derive(Args)]
#[command(after_help = REPLAY_HELP)]
pub struct Replay {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

const REPLAY_HELP: &str = "\
Each worker does this at its start, before it serves a key. Run it yourself if
something else reads a restored store, such as `hourseal open` or your own
reader: until then, a reader that does not check the receipts opens records that
were erased since the copy was made. Needs the rights of a process that executes
commands.";

pub fn run(command: Store) -> anyhow::Result<()> {
    match command {
        Store::Init(init) => run_init(&init),
        Store::Check(check) => run_check(&check),
        Store::Purge(purge) => run_purge(&purge),
        Store::Replay(replay) => run_replay(&replay),
    }
}

fn run_init(flags: &Init) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let (done, version) = match &config.store {
        StoreConfig::Sqlite { .. } if flags.roles => return Err(on_no_cluster("it has no roles").into()),
        StoreConfig::Sqlite { path } => {
            let options = file_options(&config, true)?;
            (sqlite::init(path, &options), options.schema_version())
        }
        StoreConfig::Scylla(_) => {
            let options = options(&config, true)?;
            (runtime::block_on(scylla::init(&options))?, options.schema_version())
        }
    };
    let done = done.map_err(Failure::from)?;
    let nothing =
        done.is_empty().then(|| format!("nothing to do: the store exists, its schema is version {version}"));
    for line in done.iter().chain(&nothing) {
        tell(flags.json, "done", line)?;
    }
    if flags.roles {
        let statements = runtime::block_on(create_roles(&options(&config, true)?))?.map_err(|error| {
            Failure::from(error)
                .hint("roles need an authenticator and an authorizer on every node, and a superuser's login")
        })?;
        for statement in &statements {
            tell(flags.json, "cql", statement)?;
        }
    }
    Ok(())
}

fn tell(as_json: bool, key: &str, text: &str) -> anyhow::Result<()> {
    output::line(&if as_json { json!({ key: text }).to_string() } else { text.to_owned() })
}

fn run_check(flags: &Check) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let findings = match &config.store {
        StoreConfig::Sqlite { path } => sqlite::check(path, &file_options(&config, false)?),
        StoreConfig::Scylla(_) => {
            runtime::block_on(scylla::check(&options(&config, false)?))?.map_err(Failure::from)?
        }
    };
    for finding in &findings {
        let Finding { what, grade, text } = finding;
        let json = || json!({ "what": what, "grade": word(*grade), "text": text }).to_string();
        let plain =
            || format!("{:<17}  {:<5}  {text}", what, output::verdict(*grade < Grade::Wrong, word(*grade)));
        output::line(&if flags.json { json() } else { plain() })?;
    }
    if grade_of(&findings) < Grade::Wrong {
        return Ok(());
    }
    let wrong = findings.iter().filter(|finding| finding.grade == Grade::Wrong).count();
    Err(Failure::new(Failure::CONFIG, format!("{wrong} check(s) failed"))
        .hint("each line marked `wrong` says what is required")
        .into())
}

fn run_replay(flags: &Replay) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    let mut progress = Progress::new("receipts applied again");
    let Replayed { again, held, .. } =
        app::replay(&config, cluster::client(&config), runtime::get()?.handle(), &mut |replayed| {
            progress.at(replayed.again);
            progress.waits(replayed.waiting.as_deref());
        })?;
    drop(progress);
    if flags.json {
        return output::line(&json!({ "applied_again": again, "held": held }).to_string());
    }
    output::line(&format!(
        "the store has its receipts: it lacked {again}, now applied, except {held} blocked by a hold"
    ))
}

fn run_purge(flags: &Purge) -> anyhow::Result<()> {
    let config = flags.settings.load()?;
    if let StoreConfig::Sqlite { path } = &config.store {
        sqlite::purge(path).map_err(Failure::from)?;
        let text = format!("{}: the file and its log contain no erased key", path.display());
        let json = || json!({ "store": path, "purged": true }).to_string();
        return output::line(&if flags.json { json() } else { text });
    }
    let failure = Failure::new(Failure::CONFIG, "`store purge` works only on an SQLite key store");
    Err(failure.hint("docs/purge.md has the commands for ScyllaDB and Apache Cassandra").into())
}

fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Ok => "ok",
        Grade::Note => "note",
        Grade::Wrong => "wrong",
    }
}

/// Returns the options of this configuration's store, which must be on a cluster.
fn options(config: &Config, create: bool) -> anyhow::Result<ScyllaOptions> {
    let StoreConfig::Scylla(cluster) = &config.store else {
        return Err(on_no_cluster("it is one file").into());
    };
    let vault = open_vault(config, create)?;
    let metrics = StoreMetrics::register(&Registry::default());
    Ok(scylla_options(config, cluster, vault.id(), Arc::new(SystemClock), metrics))
}

/// Returns the options of a store in a file.
fn file_options(config: &Config, create: bool) -> anyhow::Result<OpenOptions> {
    let vault = open_vault(config, create)?;
    Ok(sqlite_options(config, vault.id(), create, Arc::new(SystemClock)))
}

fn on_no_cluster(why: &str) -> Failure {
    Failure::new(Failure::CONFIG, format!("`store.kind` is `sqlite`: {why}"))
        .hint("set store.kind = \"scylla\" and store.contact_points")
}
