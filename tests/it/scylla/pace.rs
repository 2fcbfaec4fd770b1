//! How many slots a second are minted cold, and adopted; printed and never asserted.
//! By hand on an idle machine: `with_cassandra.py 1 steady -- cargo test --release --features testkit --test it scylla::pace --
//! --nocapture`, with `HOURSEAL_TIER=long` for a server that has warmed up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use hourseal::edge::clock::SystemClock;
use hourseal::edge::kek::FileVault;
use hourseal::keys::*;
use hourseal::model::*;

use super::Cql;
use crate::conformance::Subject;
use crate::world::{DAY, key, long_tier, slot};

const CUSTOMERS: usize = 2_000;

/// Obtains every slot, a flight's worth at a time, and answers their keys' ids.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_minted_another_one_adopts() {
    if !Cql::is_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let vault = FileVault::open_or_create(&folder.path().join("kek"), &folder.path().join("root.key"));
    let vault = Arc::new(vault.expect("a new vault"));
    let subject = Cql::new();
    hourseal::edge::scylla::init(&subject.options(vault.id(), DAY)).await.expect("a new store");
    let mint = async || {
        let store = subject.store(subject.options(vault.id(), DAY)).await.expect("it opens");
        Mint::new(Arc::new(store), vault.clone(), DAY)
    };
    let hour = Hour::containing(SystemClock.now()).expect("after 1970");
    let slots = |hour| (0..CUSTOMERS).map(|it| slot(&format!("customer-{it}"), hour, 0)).collect::<Vec<_>>();
    let (first, second) = (mint().await, mint().await);
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
