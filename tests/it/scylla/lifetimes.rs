//! The effects of the TTLs, on a server's own clock.

use std::time::{Duration, Instant};

use hourseal::edge::scylla::Lifetimes;
use hourseal::keys::*;
use hourseal::model::*;
use scylla::value::CqlValue;

use super::{Cql, VAULT};
use crate::conformance::{Subject, candidate, found, mint_one, won};
use crate::world::{DAY, HOUR, command, customer};

const DAY_S: i32 = 86_400;

impl Cql {
    /// Opens the store with secrets that expire `failsafe_s` seconds after their due, and markers that expire
    /// `marker_s` seconds later.
    async fn fading(&self, failsafe_s: u32, marker_s: u32) -> impl Store {
        let lifetimes = Lifetimes { failsafe_s, marker_s };
        self.store(hourseal::edge::scylla::ScyllaOptions { lifetimes, ..self.options(VAULT, DAY) })
            .await
            .expect("it opens")
    }

    async fn ttls(&self, columns: &str, generation: i32) -> Vec<Option<i32>> {
        let select =
            format!("SELECT {columns} FROM {{}}.key WHERE generation = {generation} ALLOW FILTERING");
        let row = self.cql(&select).await.remove(0);
        row.into_iter().map(|cell| cell.map(|cell| cell.as_int().expect("a TTL"))).collect()
    }
}

/// Mints a candidate at its due, so that only the store's own margins count.
async fn won_at_due(store: &dyn Store, id: &str) -> Candidate {
    let candidate = candidate(store, id, HOUR, 0);
    let minted = store.mint(std::slice::from_ref(&candidate), candidate.due.at()).await.expect("it answers");
    assert_eq!(minted, [Minted::Won]);
    candidate
}

/// Asks repeatedly until it is so on the server's clock.
async fn until(what: &str, seconds: u64, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !is_so().await {
        assert!(Instant::now() < until, "{what}: not within {seconds} s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_lives_until_a_week_after_due_and_all_else_90_days_longer() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    won(&*store, "acme", HOUR, 0).await;
    let near = |ttl: Option<i32>, days: i32| {
        let ttl = ttl.expect("it has one");
        assert!(
            (days * DAY_S + 3600 - 120..=days * DAY_S + 3600).contains(&ttl),
            "{ttl} s is not {days} days and an hour"
        );
    };
    // The due is 25 hours after the hour's start. The key was minted at the hour's start.
    let key = subject
        .ttls("TTL(wrapped), TTL(state), TTL(key_id), TTL(commitment), TTL(kek), TTL(minted_at)", 0)
        .await;
    near(key[0], 1 + 7);
    key[1..].iter().for_each(|ttl| near(*ttl, 1 + 97));
    subject
        .ttls("TTL(state), TTL(due), TTL(kek), TTL(kept)", -1)
        .await
        .iter()
        .for_each(|ttl| near(*ttl, 1 + 97));
    let hours = subject.cql("SELECT count(*) FROM {}.due").await.remove(0).remove(0);
    assert_eq!(hours, Some(CqlValue::BigInt(1)), "it is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fail_safe_takes_the_secret_and_leaves_the_state_which_blocks_minting() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.fading(2, 600).await;
    let dek = won_at_due(&store, "acme").await;
    until("the secret is gone", 20, async || {
        found(&store, dek.slot).await.key.expect("a row").wrapped.is_none()
    })
    .await;
    assert_eq!(found(&store, dek.slot).await.key.expect("a row").state, KeyState::ErasedByTtl);
    let wrapped = subject.cql("SELECT wrapped FROM {}.key WHERE generation = 0 ALLOW FILTERING").await;
    assert_eq!(wrapped, [[None]], "nothing is left of it");
    let Minted::Adopted { key, .. } = mint_one(&store, &candidate(&store, "acme", HOUR, 0)).await else {
        panic!("the marker blocks")
    };
    assert_eq!((key.state, key.key_id), (KeyState::ErasedByTtl, dek.key_id()));
    assert_eq!(store.count_keys().await.expect("it answers"), (0, 0, 1));
}

/// Otherwise the gate would expire while the key still exists. An erased key could also come back, if the
/// cells that overwrote it expired first.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_hour_that_is_due_sooner_outlives_what_was_written_for_its_old_due() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    let due = Due(HOUR.0 + 25 + 24 * 900);
    let long = Candidate { due, kek: KekId::of_due(due), ..candidate(&*store, "acme", HOUR, 0) };
    assert_eq!(mint_one(&*store, &long).await, Minted::Won);
    let secret = subject.ttls("TTL(wrapped)", 0).await[0].expect("it has one");
    let (token, soon) = (long.slot.token, Due(HOUR.0 + 25));
    store.register_kek(&KekId::of_due(soon), [1; 16]).await.expect("it answers");
    let seen = (due, long.kek.clone(), None);
    let kek = long.kek.clone();
    let terms =
        Rewrap { token, hour: HOUR, seen, due: soon, kek, command: Some(command(1)), keys: Vec::new() };
    store.rewrap(&terms, HOUR.start()).await.expect("it answers");
    let gate = "TTL(state), TTL(due), TTL(kek), TTL(kept), TTL(command)";
    let outlives = |ttls: &[Option<i32>]| ttls.iter().all(|ttl| ttl.expect("it has one") > secret);
    assert!(outlives(&subject.ttls(gate, -1).await), "when it gets its new due");
    let joins = Candidate { due: soon, kek: long.kek.clone(), ..candidate(&*store, "acme", HOUR, 1) };
    assert_eq!(mint_one(&*store, &joins).await, Minted::Won);
    assert!(outlives(&subject.ttls(gate, -1).await), "when another key is minted");
    store.fence(token, HOUR, soon, command(2)).await.expect("it answers");
    store.erase(token, HOUR, command(2), HOUR.plus(30).start()).await.expect("it answers");
    assert!(outlives(&subject.ttls(gate, -1).await), "when it is fenced");
    assert!(outlives(&subject.ttls("TTL(wrapped), TTL(state)", 0).await), "when it is erased");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_floor_outlives_the_marker_and_blocks_minting_for_good() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.fading(1, 2).await;
    let [below, above] = [won_at_due(&store, "acme").await, won_at_due(&store, "ajax").await];
    store.raise_floor(store.token(&below.customer), HOUR.plus(1)).await.expect("it answers");
    for slot in [below.slot, above.slot] {
        until("the marker is gone", 30, async || found(&store, slot).await.gate.is_none()).await;
    }
    assert!(subject.cql("SELECT day FROM {}.customer WHERE day > 0 ALLOW FILTERING").await.is_empty());
    let again = candidate(&store, "acme", HOUR, 1);
    assert_eq!(mint_one(&store, &again).await, Minted::BelowFloor(HOUR.plus(1)));
    let control = candidate(&store, "ajax", HOUR, 1);
    assert_eq!(mint_one(&store, &control).await, Minted::Won, "only the floor was in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_key_stays_known_for_as_long_as_its_marker() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.fading(2, 600).await;
    let dek = won_at_due(&store, "acme").await;
    let SlotRef { token, .. } = dek.slot;
    assert_eq!(store.fence(token, HOUR, dek.due, command(1)).await.expect("it answers"), Fence::Fenced);
    let erased = store.erase(token, HOUR, command(1), dek.due.at()).await.expect("it answers");
    assert!(matches!(erased, Erasure::Erased(_)));
    let ttls = subject.ttls("TTL(wrapped), TTL(state)", 0).await;
    assert!(
        ttls.iter().all(|ttl| ttl.is_some_and(|ttl| ttl > 500)),
        "the empty value outlives the secret: {ttls:?}"
    );
    let row = subject.cql("SELECT wrapped, state FROM {}.key WHERE generation = 0 ALLOW FILTERING").await;
    assert_eq!(row, [[Some(CqlValue::Blob(Vec::new())), Some(CqlValue::TinyInt(2))]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_has_no_ttl_before_and_after_the_release() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    let hold = Hold { id: HoldId(b"case 7".to_vec()), token, from: HOUR, to: HOUR.plus(3) };
    store.place_hold(&hold).await.expect("it answers");
    let none = [None, None, None];
    assert_eq!(subject.ttls("TTL(wrapped), TTL(state), TTL(kek)", 0).await, none);
    assert_eq!(subject.ttls("TTL(state), TTL(due), TTL(hold)", -1).await, none);
    won(&*store, "acme", HOUR, 1).await;
    assert_eq!(subject.ttls("TTL(wrapped), TTL(state), TTL(kek)", 1).await, none, "minted under the hold");
    store.release_hold(&hold.id).await.expect("it answers");
    won(&*store, "acme", HOUR, 2).await;
    assert_eq!(
        subject.ttls("TTL(wrapped), TTL(state), TTL(kek)", 2).await,
        none,
        "nothing of it fades any more"
    );
    let due = subject.cql("SELECT count(*) FROM {}.due").await.remove(0).remove(0);
    assert_eq!(due, Some(CqlValue::BigInt(1)), "and the sweep finds it");
    assert!(matches!(store.fence(token, HOUR, Due(HOUR.0 + 25), command(1)).await, Ok(Fence::Fenced)));
    assert!(matches!(store.erase(token, HOUR, command(1), HOUR.start()).await, Ok(Erasure::Erased(_))));
    assert_eq!(
        subject.ttls("TTL(wrapped), TTL(state), TTL(kek)", 0).await,
        none,
        "so that no older value comes back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_a_sealer_has_freed_of_its_hold_is_still_held() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    let slot = won(&*store, "acme", HOUR, 0).await.slot;
    let hold = Hold { id: HoldId(b"case 7".to_vec()), token: slot.token, from: HOUR, to: HOUR };
    store.place_hold(&hold).await.expect("it answers");
    let token = hex::encode(slot.token.0);
    let day = HOUR.0 / 24;
    subject
        .cql(&format!(
            "UPDATE {{}}.key SET hold = null WHERE \"token\" = 0x{token} AND day = {day} AND hour = {} \
             AND generation = -1 IF EXISTS",
            HOUR.0
        ))
        .await;
    assert_eq!(found(&*store, slot).await.gate.expect("a gate").hold, None);
    let fence = store.fence(slot.token, HOUR, Due(HOUR.0 + 25), command(1)).await.expect("it answers");
    assert_eq!(fence, Fence::Held(hold.id));
    assert!(store.customer(store.token(&customer("acme"))).await.expect("it answers").is_some());
}

/// Cassandra 5 counts to 2038 unless `storage_compatibility_mode: NONE` is set, and no server accepts a TTL
/// of more than 20 years. A key whose life would have to be cut at 2038 is not minted. A key with a life
/// beyond 20 years is minted, and its life is cut to 20 years.
#[tokio::test(flavor = "multi_thread")]
async fn a_life_beyond_2038_is_refused_where_the_server_cannot_count_it_and_one_beyond_20_years_is_cut() {
    if !Cql::is_there() {
        return;
    }
    let ends_in_2038 = std::env::var("HOURSEAL_TEST_CQL_ENDS").is_ok();
    let subject = Cql::fresh().await;
    for (years, lives) in [(15, 15), (100, 20)] {
        let (name, marker_s) = (format!("customer-{years}"), years * 365 * DAY_S.unsigned_abs());
        let lifetimes = Lifetimes { failsafe_s: 0, marker_s };
        let options = hourseal::edge::scylla::ScyllaOptions { lifetimes, ..subject.options(VAULT, DAY) };
        let findings = hourseal::edge::scylla::check(&options).await.expect("a connection");
        let finding = findings.iter().find(|finding| finding.what == "lifetimes").expect("it is looked at");
        let store = subject.store(options).await.expect("it opens");
        let offered = candidate(&store, &name, HOUR, 0);
        let minted = store.mint(std::slice::from_ref(&offered), HOUR.start()).await;
        if ends_in_2038 {
            assert!(matches!(minted, Err(StoreError::Unusable(_))), "{minted:?}");
            assert_eq!(finding.grade, hourseal::edge::finding::Grade::Note, "{}", finding.text);
            assert_eq!(found(&store, offered.slot).await.key, None);
        } else {
            assert_eq!(minted.expect("it answers"), [Minted::Won]);
            assert_eq!(finding.grade, hourseal::edge::finding::Grade::Ok, "{}", finding.text);
            let longest =
                subject.cql("SELECT max(TTL(state)) FROM {}.key WHERE generation = 0 ALLOW FILTERING").await;
            let ttl = longest[0][0].as_ref().and_then(CqlValue::as_int).expect("it has one");
            assert!(ttl > (lives * 365 - 1) * DAY_S, "{ttl} s");
        }
    }
}

/// Otherwise an hour that was erased before its due could be minted again, when its gate has expired and its
/// later due is not reached.
#[tokio::test(flavor = "multi_thread")]
async fn the_gate_of_an_hour_that_was_fenced_early_lives_until_the_later_due_and_its_margin() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    let key = won(&*store, "acme", HOUR, 0).await;
    let (token, later) = (key.slot.token, Due(HOUR.0 + 1 + 24 * 900));
    store.fence(token, HOUR, key.due, command(1)).await.expect("it answers");
    store.erase(token, HOUR, command(1), HOUR.start()).await.expect("it answers");
    store.keep_fence(token, HOUR, later, HOUR.start()).await.expect("it answers");
    let gate = "TTL(state), TTL(due), TTL(kek), TTL(kept), TTL(command)";
    let lives = |ttls: &[Option<i32>]| ttls.iter().all(|ttl| ttl.expect("it has one") > (900 + 90) * DAY_S);
    assert!(lives(&subject.ttls(gate, -1).await));
    store.erase(token, HOUR, command(1), HOUR.start()).await.expect("it answers");
    assert!(lives(&subject.ttls(gate, -1).await), "also after a redo");
}
