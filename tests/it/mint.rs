//! Minting with real keys: the results that a lane gets for its slots.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use crate::conformance::candidate;
use crate::world::{HOUR, World, command, customer, key, slot};

async fn obtain(world: &World, mint: &Mint, slot: &Slot) -> Obtained {
    try_obtain(world, mint, slot).await.expect("it answers")
}

async fn try_obtain(world: &World, mint: &Mint, slot: &Slot) -> Result<Obtained, KeysError> {
    let mut obtained = mint.obtain(std::slice::from_ref(slot), world.clock.now()).await?;
    Ok(obtained.pop().expect("one answer"))
}

#[tokio::test]
async fn a_minted_key_is_adopted_by_every_other_process() {
    let world = World::new();
    let (one, other) = (world.mint(), world.mint());
    let slot = slot("acme", HOUR, 0);
    let minted = obtain(&world, &one, &slot).await;
    let adopted = obtain(&world, &other, &slot).await;
    assert_eq!(key(&minted).seal.commitment(), key(&adopted).seal.commitment());
    assert_eq!(key(&minted).due, Due(HOUR.0 + 25));
    assert_eq!(one.stats(), MintStats { minted: 1, adopted: 0, refused: 0 });
    assert_eq!(other.stats(), MintStats { minted: 0, adopted: 1, refused: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_racing_mints_one_wins_and_63_adopt() {
    let world = Arc::new(World::new());
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (world, mint) = (world.clone(), world.mint());
        tasks.spawn(async move {
            let obtained = obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
            (*key(&obtained).seal.commitment(), mint.stats().minted, mint.stats().adopted)
        });
    }
    let all = tasks.join_all().await;
    assert!(all.iter().all(|it| it.0 == all[0].0), "one DEK");
    assert_eq!((all.iter().map(|it| it.1).sum::<u64>(), all.iter().map(|it| it.2).sum::<u64>()), (1, 63));
}

#[tokio::test]
async fn a_batch_of_slots_is_one_mint_in_order() {
    let world = World::new();
    let mint = world.mint();
    let slots: Vec<_> = (0..50).map(|n| slot(["acme", "ajax"][n % 2], HOUR.plus(n as u32 / 2), 0)).collect();
    let first = mint.obtain(&slots, world.clock.now()).await.expect("it answers");
    assert_eq!(world.spy.minted.load(Ordering::SeqCst), 50);
    for (slot, obtained) in slots.iter().zip(&first) {
        let again = obtain(&world, &mint, slot).await;
        assert_eq!(key(obtained).seal.key_id(), key(&again).seal.key_id());
    }
}

#[tokio::test]
async fn the_customers_retention_decides_due_and_kek() {
    let world = World::new();
    world
        .store()
        .set_retention(world.store().token(&customer("acme")), None, Retention::hours(500))
        .await
        .expect("it answers");
    let obtained = obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await;
    assert_eq!(key(&obtained).due, Due(HOUR.0 + 501));
    let place = world.place(&slot("acme", HOUR, 0));
    let found = world.store().fetch(&[place]).await.expect("it answers").remove(0);
    assert_eq!(found.key.expect("a key").kek, KekId::of_due(Due(HOUR.0 + 501)));
}

#[tokio::test]
async fn the_quarantine_has_a_retention_of_its_own() {
    let world = World::new();
    let slot = Slot { customer: CustomerId::quarantine(), hour: HOUR, generation: Generation(0) };
    assert_eq!(key(&obtain(&world, &world.mint(), &slot).await).due, Due(HOUR.0 + 49));
}

#[tokio::test]
async fn later_generations_share_the_gates_due() {
    let world = World::new();
    let mint = world.mint();
    obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
    world
        .store()
        .set_retention(world.store().token(&customer("acme")), None, Retention::hours(500))
        .await
        .expect("it answers");
    let late = obtain(&world, &mint, &slot("acme", HOUR, 3)).await;
    assert_eq!(key(&late).due, Due(HOUR.0 + 25));
}

#[tokio::test]
async fn a_gate_that_was_written_meanwhile_is_obeyed() {
    let world = World::new();
    let mint = world.mint();
    let due = Due(HOUR.0 + 101);
    let forestaller = candidate(world.store(), "acme", HOUR, 7);
    let forestaller = Candidate { due, kek: KekId::of_due(due), ..forestaller };
    *world.spy.forestalled_by.lock().expect("not poisoned") = Some(forestaller);
    let obtained = obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
    assert_eq!(key(&obtained).due, due);
    assert_eq!(world.spy.minted.load(Ordering::SeqCst), 2, "offered, and offered anew");
    let adopted = obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await;
    assert_eq!(key(&adopted).seal.commitment(), key(&obtained).seal.commitment());
}

#[tokio::test]
async fn what_is_due_gets_no_key_not_even_the_one_it_has() {
    let world = World::new();
    let mint = world.mint();
    obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
    for clock in [&world.clock, &world.store_clock] {
        clock.advance(25 * MILLIS_PER_HOUR);
    }
    for generation in [0, 1] {
        assert!(matches!(obtain(&world, &mint, &slot("acme", HOUR, generation)).await, Obtained::Expired));
    }
    assert_eq!(mint.stats().refused, 2);
    assert_eq!(world.spy.minted.load(Ordering::SeqCst), 1, "nothing was offered");
}

#[tokio::test]
async fn due_is_decided_by_the_earliest_clock() {
    for ahead in [0, 1] {
        let world = World::new();
        let mint = world.mint();
        for clock in [&world.clock, &world.store_clock] {
            clock.advance(25 * MILLIS_PER_HOUR - 10_000);
        }
        [&world.clock, &world.store_clock][ahead].advance(20_000);
        let slot = slot("acme", HOUR, 24);
        key(&obtain(&world, &mint, &slot).await);
        [&world.clock, &world.store_clock][1 - ahead].advance(20_000);
        assert!(matches!(obtain(&world, &mint, &slot).await, Obtained::Expired), "both agree");
    }
}

#[tokio::test]
async fn clocks_more_than_30_seconds_apart_stop_minting() {
    for ahead in [0, 1] {
        let world = World::new();
        [&world.clock, &world.store_clock][ahead].advance(30_001);
        let error = try_obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await.err().expect("apart");
        assert!(matches!(error, KeysError::ClocksApart(_)), "{error}");
        assert_eq!(world.spy.minted.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn what_was_forgotten_gets_no_key() {
    let world = World::new();
    let mint = world.mint();
    let (erased, fenced, below) =
        (slot("acme", HOUR, 0), slot("acme", HOUR.plus(1), 0), slot("ajax", HOUR, 0));
    obtain(&world, &mint, &erased).await;
    world.erase(&erased, command(1)).await;
    let token = world.place(&fenced).token;
    world.store().fence(token, fenced.hour, Due(0), command(1)).await.expect("it answers");
    world.store().raise_floor(world.store().token(&below.customer), HOUR.plus(1)).await.expect("it answers");
    world.store().close_customer(world.store().token(&customer("zeta"))).await.expect("it answers");
    let late = slot("acme", HOUR, 9);
    for slot in [erased, late, fenced, below, slot("zeta", HOUR, 0)] {
        assert!(matches!(obtain(&world, &mint, &slot).await, Obtained::Erased), "{slot:?}");
    }
    key(&obtain(&world, &mint, &slot("ajax", HOUR.plus(1), 0)).await);
}

#[tokio::test]
async fn an_hour_fenced_between_question_and_offer_gets_no_key() {
    let world = World::new();
    let mint = world.mint();
    let slot = slot("acme", HOUR, 0);
    let hindrance = world.spy.held_up.write().await;
    let ((), obtained) = tokio::join!(
        async {
            while world.spy.fetched() == 0 {
                tokio::task::yield_now().await;
            }
            let token = world.place(&slot).token;
            world.store().fence(token, HOUR, Due(0), command(1)).await.expect("it answers");
            drop(hindrance);
        },
        obtain(&world, &mint, &slot)
    );
    assert!(matches!(obtained, Obtained::Erased));
    assert_eq!(world.store().count_keys().await.expect("it answers"), (0, 0, 0));
}

#[tokio::test]
async fn a_kek_that_differs_from_the_registered_one_wraps_nothing() {
    let world = World::new();
    world.store().register_kek(&KekId::of_due(Due(HOUR.0 + 25)), [0; 16]).await.expect("it answers");
    world.vault.create(&KekId::of_due(Due(HOUR.0 + 25))).await.expect("it answers");
    let error = try_obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await.err().expect("they differ");
    assert!(matches!(error, KeysError::KekDiffers(_)), "{error}");
}

#[tokio::test]
async fn a_registered_kek_that_the_vault_lost_is_not_created_again() {
    let world = World::new();
    let id = KekId::of_due(Due(HOUR.0 + 25));
    obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await;
    std::fs::remove_file(world.folder.path().join("kek").join(format!("{}.kek", id.as_str()))).expect("ours");
    for generation in [0, 1] {
        let error =
            try_obtain(&world, &world.mint(), &slot("acme", HOUR, generation)).await.err().expect("lost");
        assert!(matches!(error, KeysError::KekMissing(_)), "{error}");
    }
    assert!(world.vault.find(&id).await.expect("it answers").is_none());
}

#[tokio::test]
async fn a_closing_kek_wraps_nothing_new_and_a_destroyed_one_is_an_erasure() {
    let world = World::new();
    let id = KekId::of_due(Due(HOUR.0 + 25));
    let minted = obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await;
    world.store().advance_kek(&id, KekState::Closing).await.expect("it answers");
    let mint = world.mint();
    let there = obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
    assert_eq!(key(&there).seal.key_id(), key(&minted).seal.key_id());
    let error = try_obtain(&world, &mint, &slot("acme", HOUR, 1)).await.err().expect("closing");
    assert!(matches!(error, KeysError::KekClosing(_)), "{error}");
    world.store().advance_kek(&id, KekState::Destroyed).await.expect("it answers");
    for generation in [0, 1] {
        let answer = obtain(&world, &world.mint(), &slot("acme", HOUR, generation)).await;
        assert!(matches!(answer, Obtained::Erased));
    }
}

#[tokio::test]
async fn an_altered_row_gives_no_key() {
    for damage in [
        "UPDATE key SET wrapped = zeroblob(74)",
        "UPDATE key SET commitment = zeroblob(32)",
        "UPDATE key SET key_id = zeroblob(16)",
        "UPDATE key SET generation = 1",
    ] {
        let world = World::new();
        let mint = world.mint();
        obtain(&world, &mint, &slot("acme", HOUR, 0)).await;
        world.sql(damage);
        let generation = u16::from(damage.contains("generation"));
        let error = try_obtain(&world, &mint, &slot("acme", HOUR, generation)).await.err().expect(damage);
        assert!(matches!(error, KeysError::WrongKey(_)), "{damage}: {error}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_and_not_an_answer() {
    let world = World::new();
    world.spy.away.store(true, Ordering::SeqCst);
    let error = try_obtain(&world, &world.mint(), &slot("Jane Doe", HOUR, 0)).await.err().expect("away");
    assert!(matches!(error, KeysError::Store(StoreError::Unavailable(_))), "{error}");
    assert!(!format!("{error} {error:?}").contains("Jane"));
}

#[tokio::test]
async fn an_hour_that_was_due_when_somebody_else_opened_it_gets_no_key() {
    let world = World::new();
    let due = Due(HOUR.0);
    let forestaller = candidate(world.store(), "acme", HOUR, 7);
    let forestaller = Candidate { due, kek: KekId::of_due(due), ..forestaller };
    *world.spy.forestalled_by.lock().expect("not poisoned") = Some(forestaller);
    assert!(matches!(obtain(&world, &world.mint(), &slot("acme", HOUR, 0)).await, Obtained::Expired));
}

#[tokio::test]
async fn a_kek_is_asked_for_once() {
    let world = World::new();
    let mint = world.mint();
    for hour in 0..5 {
        obtain(&world, &mint, &slot("acme", HOUR.plus(hour), 0)).await;
    }
    assert_eq!(world.spy.keks.load(Ordering::SeqCst), 1, "they are due on one day");
}

#[tokio::test]
async fn a_store_that_does_not_answer_cannot_be_written_to() {
    let world = World::new();
    world.spy.check_writable().await.expect("it answers");
    world.spy.away.store(true, Ordering::SeqCst);
    assert!(world.spy.check_writable().await.is_err());
}
