//! Fills a store of today's version, and dumps it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hourseal::envelope::{Context, Plain, Sealer, StreamName};
use hourseal::keys::*;
use hourseal::model::*;
use rusqlite::Connection;
use serde_json::Value;

use super::{Beside, RECEIPT, STREAM, Sealed, VERDICT};
use crate::scylla::{Cql, new_in, tables};
use crate::world::{HOUR, World, customer, key, random, slot};

/// Returns the command that erased the erased keys.
pub fn command() -> Digest {
    Digest([5; 32])
}

pub fn hold(token: Token) -> Hold {
    Hold { id: HoldId(b"hold-1".to_vec()), token, from: HOUR, to: HOUR.plus(3) }
}

/// Answers the order `dump-sqlite FOLDER`.
pub async fn dump_sqlite(folder: &str) -> Vec<String> {
    let world = World::new();
    let beside = fill(&world).await;
    let raw = Connection::open(world.folder.path().join("data/keys.db")).expect("the store's file");
    let column = |sql: &str| -> Vec<String> {
        let mut statement = raw.prepare(sql).expect("valid SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("text")).collect()
    };
    let schema = column("SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid");
    let mut lines = schema;
    for table in column("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid") {
        let names = column(&format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')"));
        let values = names.join(" || ', ' || ");
        lines.extend(column(&format!(
            "SELECT 'INSERT INTO {table} VALUES (' || {values} || ');' FROM {table}"
        )));
    }
    write(folder, &format!("sqlite-{}", version(&world).await), "sql", &lines, &beside)
}

/// Answers the order `dump-cql FOLDER`.
pub async fn dump_cql(folder: &str) -> Vec<String> {
    let subject = Cql::new();
    let world = World::on(|vault| new_in(&subject, vault)).await;
    let beside = fill(&world).await;
    let steps = hourseal::edge::scylla::STEPS.iter().flat_map(|step| super::bare(step.cql));
    let mut lines: Vec<String> = steps.map(|statement| statement + ";").collect();
    for table in tables().filter(|table| *table != "probe") {
        for row in subject.cql(&format!("SELECT JSON * FROM {{}}.{table}")).await {
            let json = row[0].as_ref().and_then(|value| value.as_text()).expect("JSON").clone();
            lines.push(insert(table, &serde_json::from_str(&json).expect("JSON")));
        }
    }
    write(folder, &format!("cql-{}", version(&world).await), "cql", &lines, &beside)
}

async fn version(world: &World) -> u32 {
    world.store().meta().await.expect("it answers").schema_version
}

/// Fills a store with some of every kind of entry.
async fn fill(world: &World) -> Beside {
    let live =
        [slot("acme", HOUR, 0), slot("acme", HOUR, 3), slot("acme", HOUR.plus(1), 0), slot("ajax", HOUR, 0)];
    let erased = slot("acme", HOUR.plus(2), 0);
    let mut sealed = Vec::new();
    for slot in &live {
        let payload = format!("event of {} sealed {} h late", slot.customer.as_str(), slot.generation.0);
        let envelope = seal(world, slot, &payload).await;
        sealed.push(Sealed { customer: slot.customer.as_str().to_owned(), envelope, payload: Some(payload) });
    }
    let envelope = seal(world, &erased, "erased").await;
    sealed.push(Sealed { customer: "acme".to_owned(), envelope, payload: None });
    world.erase(&erased, command()).await;
    let (store, token) = (world.store(), |id| world.store().token(&customer(id)));
    seal(world, &slot("omni", HOUR, 0), "named").await;
    store.place_hold(&hold(token("ajax"))).await.expect("it answers");
    store.set_retention(token("omni"), None, Retention::hours(48)).await.expect("it answers");
    store.raise_floor(token("omni"), HOUR).await.expect("it answers");
    store.store_verdict(command(), "c1", VERDICT).await.expect("it answers");
    let topic = Some(TopicId([6; 16]));
    let started =
        [(0, None), (3, Some(41))].map(|(partition, accepted)| Started { partition, topic, accepted });
    store.mark_started("group/jobs", &started).await.expect("it answers");
    store.set_placement("jobs.sealed", None, 8).await.expect("it answers");
    store.applied_receipt(RECEIPT).await.expect("it answers");
    Beside { vault: files(world.folder.path()), sealed }
}

/// Seals an event under the key of its slot, like a lane. Returns the envelope in hexadecimal.
async fn seal(world: &World, slot: &Slot, payload: &str) -> String {
    let obtained = world.mint().obtain(std::slice::from_ref(slot), world.clock.now()).await;
    let obtained = obtained.expect("it answers");
    let stream = StreamName::parse(STREAM).expect("a name");
    let context = Context::new(&slot.customer, &stream);
    let sealer = Sealer {
        key: &key(&obtained[0]).seal,
        context: &context,
        hour: slot.hour,
        generation: slot.generation,
    };
    let plain = Plain { milliseconds: 0, key: None, payload: Some(payload.as_bytes()) };
    let mut arena = Vec::with_capacity(1_024);
    let range = sealer.append(&mut arena, &random(), &plain, []).expect("it fits");
    hex::encode(&arena[range])
}

/// Returns the vault's files: root key and KEKs.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut paths = vec![folder.join("root.key"), folder.join("kek")];
    let mut files = BTreeMap::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()));
        } else {
            let name = path.strip_prefix(folder).expect("below it").to_str().expect("text").to_owned();
            files.insert(name, hex::encode(fs::read(&path).expect("readable")));
        }
    }
    files
}

fn insert(table: &str, row: &Value) -> String {
    let cells = row.as_object().expect("a row").iter().filter(|(_, value)| !value.is_null());
    let literal = |value: &Value| match value {
        Value::String(text) if text.starts_with("0x") => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    };
    let (names, values): (Vec<_>, Vec<_>) =
        cells.map(|(name, value)| (format!("\"{name}\""), literal(value))).unzip();
    format!("INSERT INTO {table} ({}) VALUES ({});", names.join(", "), values.join(", "))
}

fn write(folder: &str, name: &str, ending: &str, lines: &[String], beside: &Beside) -> Vec<String> {
    let path = |ending: &str| Path::new(folder).join(format!("{name}.{ending}"));
    fs::write(path(ending), lines.join("\n") + "\n").expect("written");
    let json = serde_json::to_string_pretty(beside).expect("JSON") + "\n";
    fs::write(path("json"), json).expect("written");
    vec![path(ending).display().to_string(), path("json").display().to_string()]
}
