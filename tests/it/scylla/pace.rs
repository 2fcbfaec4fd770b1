//! Prints the slots per second that are minted cold, adopted, listed as due and forgotten. Nothing is
//! asserted. Run it by hand on an idle machine: `with_cassandra.py 1 steady -- cargo test --release
//! --features testkit --test it scylla::pace -- --nocapture`, with `HOURSEAL_TIER=long` for a server
//! that has warmed up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hourseal::edge::clock::SystemClock;
use hourseal::edge::kek::FileVault;
use hourseal::keys::*;
use hourseal::model::*;

use super::Cql;
use crate::conformance::Subject;
use crate::world::{DAY, key, long_tier, slot};

const CUSTOMERS: usize = 2_000;

/// Obtains every slot, one flight at a time, and returns the ids of their keys.
async fn obtain(what: &str, mint: &Mint, slots: &[Slot]) -> Vec<KeyId> {
    let begun = Instant::now();
    let mut ids = Vec::new();
    for slots in slots.chunks(Ring::FLIGHT_SLOTS) {
        let obtained = mint.obtain(slots, SystemClock.now()).await.expect("it answers");
        ids.extend(obtained.iter().map(|obtained| key(obtained).seal.key_id()));
    }
    let rate = slots.len() as f64 / begun.elapsed().as_secs_f64();
    println!("{what}: {rate:.0} slots/s ({} minted, {} adopted)", mint.stats().minted, mint.stats().adopted);
    ids
}

/// A keyspace and a vault.
struct Place {
    subject: Cql,
    vault: Arc<FileVault>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = FileVault::open_or_create(&folder.path().join("kek"), &folder.path().join("root.key"));
        let vault = Arc::new(vault.expect("a new vault"));
        let subject = Cql::new();
        hourseal::edge::scylla::init(&subject.options(vault.id(), DAY)).await.expect("a new store");
        Self { subject, vault, _folder: folder }
    }

    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.subject.store(self.subject.options(self.vault.id(), DAY)).await.expect("it opens"))
    }

    async fn mint(&self) -> Mint {
        Mint::new(self.store().await, self.vault.clone(), DAY)
    }
}

fn slots(customers: usize, hour: Hour) -> Vec<Slot> {
    (0..customers).map(|it| slot(&format!("customer-{it}"), hour, 0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_minted_another_one_adopts() {
    if !Cql::is_there() {
        return;
    }
    let place = Place::new().await;
    let hour = Hour::containing(SystemClock.now()).expect("after 1970");
    let slots = |hour| slots(CUSTOMERS, hour);
    let (first, second) = (place.mint().await, place.mint().await);
    let minted = obtain("cold, unknown customers", &first, &slots(hour)).await;
    let adopted = obtain("adopted", &second, &slots(hour)).await;
    assert_eq!(minted, adopted);
    let mut next = Vec::new();
    let hours = if long_tier() { 12 } else { 2 };
    for later in 1..=hours {
        next.extend(obtain("cold, known customers", &first, &slots(hour.plus(later))).await);
    }
    let all: HashSet<KeyId> = minted.into_iter().chain(next).collect();
    assert_eq!(all.len(), (1 + hours as usize) * CUSTOMERS);
}

/// The hours are taken like in a sweep: the soonest due first, one thousand at a time. The long tier
/// has 240,000 hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_listed_and_forgotten_each_hour_once() {
    if !Cql::is_there() {
        return;
    }
    let place = Place::new().await;
    let (customers, hours) = if long_tier() { (10_000, 24) } else { (1_000, 2) };
    let mint = place.mint().await;
    let first = Hour::containing(SystemClock.now()).expect("after 1970");
    for hour in (0..hours).map(|hour| first.plus(hour)) {
        obtain("cold", &mint, &slots(customers, hour)).await;
    }
    let (store, until, total) = (place.store().await, Due(u32::MAX), customers * hours as usize);
    let (begun, before) = (Instant::now(), resident_kib());
    let (mut listed, mut after) = (0, None);
    loop {
        let page = store.due_hours(until, after.as_ref(), 1_000).await.expect("it answers");
        let Some(last) = page.last() else { break };
        (listed, after) = (listed + page.len(), Some(last.clone()));
    }
    println!("listed: {:.0} hours/s", listed as f64 / begun.elapsed().as_secs_f64());
    assert_eq!(listed, total);

    let (begun, command) = (Instant::now(), Digest([7; 32]));
    let (mut forgotten, mut found_in, mut after) = (HashSet::new(), Duration::ZERO, None);
    loop {
        let looked = Instant::now();
        let batch = store.due_hours(until, after.as_ref(), 1_000).await.expect("it answers");
        found_in += looked.elapsed();
        let Some(last) = batch.last() else {
            if after.take().is_none() {
                break;
            }
            continue;
        };
        after = DueHour::before(last.due);
        for row in store.forget(&batch, command, SystemClock.now()).await.expect("it answers") {
            let row = row.expect("it has a gate");
            assert!(row.gate.fenced && row.keys.iter().all(|key| key.state == KeyState::Erased), "{row:?}");
            assert!(forgotten.insert((row.token, row.hour)), "once");
        }
    }
    let rate = forgotten.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "listed, forgotten and read back: {rate:.0} hours/s ({:.0} % of it listing), {} KiB more of memory",
        100.0 * found_in.as_secs_f64() / begun.elapsed().as_secs_f64(),
        resident_kib() - before
    );
    assert_eq!(forgotten.len(), total);
}

/// Returns the resident memory of this process.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a field of it");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}
